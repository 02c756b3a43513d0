"""Source `system`: everything that plays on this computer, on its way to the loudspeaker (Linux).

A null sink becomes the default; what plays goes there, we capture its monitor and the sink `device` renders to the
former default. A guardian process puts everything back when the capture ends, however it ends.
"""

from __future__ import annotations

import selectors
import subprocess
import sys
from typing import IO, cast

import msgspec

from soundsage.plugins.capture import DeviceSource
from soundsage.plugins.portaudio import find
from soundsage.plugins.pulse import OWN_SINK, nodes
from soundsage.shared.contracts import DeviceInfo, SourceBlock, SourceRecord
from soundsage.shared.errors import DeviceError, InputError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.spec import parse_spec

__all__ = ["SystemSource", "soundsage_sources"]

# It may wait for another to give back, and on a busy machine it has to be loaded.
READY_TIMEOUT_S = 10.0
RESTORE_TIMEOUT_S = 5.0


class Guardian:
    """The process that holds our sink."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # a session of its own, so that no signal for us reaches it
            [sys.executable, "-m", "soundsage.plugins.sources.guardian"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._stdin, self._stdout = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        answer = self._answer()
        if answer != "ready":
            self.close()
            raise DeviceError(answer or "the process that holds our sink ended")

    @property
    def is_alive(self) -> bool:
        """Whether it still holds the sink."""
        return self._process.poll() is None

    def close(self) -> None:
        """Have everything put back, and wait for that."""
        self._stdin.close()
        try:
            self._process.wait(RESTORE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()

    def _answer(self) -> str:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            if not selector.select(READY_TIMEOUT_S):
                return f"the sound server did not answer within {READY_TIMEOUT_S:g} s; restart it"
        return self._stdout.readline().decode().strip()


class SystemSource:
    """What plays on this computer."""

    def __init__(self, block_size: int) -> None:
        self._guardian = Guardian()
        try:
            self._source = DeviceSource(find("source", f"{OWN_SINK}.monitor"), block_size)
        except BaseException:
            self._guardian.close()
            raise
        self.sample_rate = self._source.sample_rate
        self.n_channels = self._source.n_channels

    @property
    def overruns(self) -> int:
        """How often samples were lost."""
        return self._source.overruns

    def read(self, timeout_s: float) -> SourceBlock | None:
        """Return the next block.

        Raises
        ------
        DeviceError
            If our sink is gone, or nobody would put the default back.
        """
        if not self._guardian.is_alive:
            raise DeviceError(f"the process that holds {OWN_SINK} ended")
        return self._source.read(timeout_s)

    def close(self) -> None:
        """Put everything back."""
        self._source.close()
        self._guardian.close()


def _open(target: str, options: msgspec.Struct, block_size: int) -> SystemSource:  # noqa: ARG001  has none
    try:
        return SystemSource(block_size)
    except InputError as error:
        raise DeviceError(str(error)) from error


def _check(target: str, options: msgspec.Struct, sink: str) -> None:  # noqa: ARG001  has none
    if target:
        raise InputError(f"system source must have no target, got {target}; write system")
    if not sys.platform.startswith("linux"):
        raise InputError("system source must run on Linux; name the loopback device of this computer as device:NAME")
    server = nodes()
    if server is None:
        raise InputError("system source needs a sound server; start PulseAudio or PipeWire, or use --source file:PATH")
    if server.default_sink is None or server.default_sink == OWN_SINK:
        raise InputError("system source needs a sink to render to; plug in a loudspeaker")
    rendered = parse_spec(sink)
    if rendered.name == "device" and rendered.target == OWN_SINK:
        raise InputError(f"sink must not be {OWN_SINK}, which is captured; use --sink device")


def _devices() -> list[DeviceInfo]:
    server = nodes()
    former = server.sinks.get(server.default_sink or "") if server else None
    if former is None:
        return []
    return [DeviceInfo("system", f"what plays on {former.description}", former.n_channels, former.sample_rate)]


@hookimpl
def soundsage_sources() -> list[SourceRecord]:
    """Return this source."""
    return [
        SourceRecord(
            name="system",
            summary="everything that plays on this computer (Linux with PulseAudio or PipeWire)",
            open=_open,
            check=_check,
            devices=_devices,
        )
    ]
