"""Hold the sink `soundsage_in` as the default for as long as somebody holds our standard input open.

The source `system` starts this as a process of its own, since what must happen when a process is killed cannot be done
by that process. It says `ready` on standard output when the sink is there; at the end of standard input, which comes
with the death of whoever started us, it gives the default back, moves what plays, and takes the sink away.

It must start at once, so it loads nothing but the standard library and pulsectl.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from soundsage.plugins.pulse import FORMER_DEFAULT, OWN_SINK, connected, own_streams, render_default
from soundsage.shared.errors import DeviceError

if TYPE_CHECKING:
    import pulsectl

__all__ = ["insert", "main", "restore"]

# The guardian of a capture that was killed gives back first; that takes milliseconds.
LOCK_TIMEOUT_S = 3.0
LOCK_RETRY_S = 0.01


def main() -> int:
    """Insert the sink, wait for the end of standard input, take it away."""
    # Whoever ends the mesh ends us by closing the pipe; dying earlier would leave the sink behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        with connected() as pulse, _only_one(pulse):
            try:
                insert(pulse)
                _say("ready")
                _await_end()
            finally:
                restore(pulse)
    except DeviceError as error:
        _say(str(error))
        return 1
    return 0


def _say(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever started us is gone, as standard input will tell
        os.write(1, f"{line}\n".encode())


def insert(pulse: pulsectl.Pulse) -> None:
    """Make our sink the default, and move there what plays on the former one.

    Raises
    ------
    DeviceError
        If there is no sink to render to, or ours cannot be made.
    """
    former = render_default(pulse)
    if former is None or former == OWN_SINK:
        raise DeviceError("there is no sink to render to; plug in a loudspeaker")
    # One that a guardian left behind when it was itself killed may stand before a sink that is gone by now.
    for sink in pulse.sink_list():
        if sink.name == OWN_SINK:
            _give_back(pulse, former)
            pulse.module_unload(sink.owner_module)
    _load(pulse, former)
    pulse.default_set(pulse.get_sink_by_name(OWN_SINK))
    _move(pulse, former, OWN_SINK)
    _keep_ours_out(pulse, former)


def restore(pulse: pulsectl.Pulse) -> None:
    """Undo `insert`; does nothing where it was undone."""
    own = next((sink for sink in pulse.sink_list() if sink.name == OWN_SINK), None)
    if own is None:
        return
    former = render_default(pulse)
    if former is not None:
        _give_back(pulse, former)
    pulse.module_unload(own.owner_module)


def _load(pulse: pulsectl.Pulse, former: str) -> None:
    import pulsectl

    sink = pulse.get_sink_by_name(former)
    channel_map = ",".join(sink.channel_list)
    properties = f"device.description=SoundSage {FORMER_DEFAULT}={former}"
    arguments = (
        f"sink_name={OWN_SINK} rate={sink.sample_rate} channels={sink.channel_count} channel_map={channel_map} "
        f'format=float32le sink_properties="{properties}"'
    )
    try:
        # Without rewinding it renders 50 ms ahead at most, not two seconds.
        pulse.module_load("module-null-sink", f"{arguments} norewinds=1")
    except pulsectl.PulseError:
        pulse.module_load("module-null-sink", arguments)  # PulseAudio before 15


def _give_back(pulse: pulsectl.Pulse, former: str) -> None:
    """Make the former sink the default unless somebody chose another meanwhile, and move there what plays on ours."""
    if pulse.server_info().default_sink_name == OWN_SINK:
        pulse.default_set(pulse.get_sink_by_name(former))
    _move(pulse, OWN_SINK, render_default(pulse) or former)


def _move(pulse: pulsectl.Pulse, origin: str, target: str) -> None:
    """Move what plays on one sink to another, except what we render ourselves."""
    import pulsectl

    indices = {sink.name: sink.index for sink in pulse.sink_list()}
    ours = {stream.index for stream in own_streams(pulse, "sink")}
    for stream in pulse.sink_input_list():
        if stream.sink == indices.get(origin) and stream.index not in ours:
            with contextlib.suppress(pulsectl.PulseOperationFailed):  # it ended, or does not let itself be moved
                pulse.sink_input_move(stream.index, indices[target])


def _keep_ours_out(pulse: pulsectl.Pulse, former: str) -> None:
    """Move our own rendering back, should the server have taken it along to the new default."""
    import pulsectl

    indices = {sink.name: sink.index for sink in pulse.sink_list()}
    for stream in own_streams(pulse, "sink"):
        if stream.sink == indices.get(OWN_SINK):
            with contextlib.suppress(pulsectl.PulseOperationFailed):
                pulse.sink_input_move(stream.index, indices[former])


@contextlib.contextmanager
def _only_one(pulse: pulsectl.Pulse) -> Iterator[None]:
    """Wait until no other guardian holds this sound server: an abstract socket, which the kernel frees when we die."""
    name = f"\0soundsage-system-{os.getuid()}-{pulse.server_info().cookie}"
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    with socket.socket(socket.AF_UNIX) as lock:
        while True:
            try:
                lock.bind(name)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise DeviceError(f"another SoundSage holds {OWN_SINK}; stop it first") from error
                time.sleep(LOCK_RETRY_S)
        yield


def _await_end() -> None:
    while os.read(0, 4096):
        pass


if __name__ == "__main__":
    sys.exit(main())
