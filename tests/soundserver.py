"""A private, headless PulseAudio for tests: it knows nothing of the machine's sound, and the machine nothing of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pulsectl
import pytest

__all__ = ["PROGRAMS", "SoundServer", "require_sound_server", "residue", "sine", "sound_server"]

PROGRAMS = ("pulseaudio", "pacat", "parec")
PACKAGES = "pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
TIMEOUT_S = 20.0


@dataclass(frozen=True)
class SoundServer:
    """A server that runs.

    Attributes
    ----------
    env : dict of str
        The environment of a program that shall use it.
    folder : Path
        Where it keeps its files; goes with it.
    process : Popen
        The server itself.
    """

    env: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes]

    def client(self) -> pulsectl.Pulse:
        """Return a connection of its own, to be used with `with`."""
        return pulsectl.Pulse("test", server=self.env["PULSE_SERVER"])

    def load(self, module: str, **arguments: object) -> int:
        """Load a module, such as `module-null-sink` with `sink_name`, and return its index."""
        with self.client() as pulse:
            return int(pulse.module_load(module, " ".join(f"{key}={value}" for key, value in arguments.items())))

    def load_sink(self, name: str, **arguments: object) -> int:
        """Make a null sink of 32-bit floats, and return the index of its module."""
        # Without rewinding it renders 50 ms ahead at most; others render two seconds ahead while they are idle.
        return self.load("module-null-sink", **({"sink_name": name, "format": "float32le", "norewinds": 1} | arguments))

    def unload(self, module: int) -> None:
        """Take a module away, as if its device were unplugged."""
        with self.client() as pulse:
            pulse.module_unload(module)

    def set_default(self, sink: str) -> None:
        """Make a sink the default."""
        with self.client() as pulse:
            pulse.default_set(pulse.get_sink_by_name(sink))

    def default_sink(self) -> str:
        """Return the name of the default sink."""
        with self.client() as pulse:
            return str(pulse.server_info().default_sink_name)

    def sinks(self) -> list[str]:
        """Return the names of all sinks."""
        with self.client() as pulse:
            return [sink.name for sink in pulse.sink_list()]

    def players(self) -> dict[str, str]:
        """Return where each program plays: the sink by the name of its stream."""
        with self.client() as pulse:
            sinks = {sink.index: sink.name for sink in pulse.sink_list()}
            return {stream.name: sinks[stream.sink] for stream in pulse.sink_input_list() if stream.sink in sinks}

    def await_that(self, is_so: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Wait for a state of the server; each of its changes is looked at."""

        def wake(_event: pulsectl.PulseEventInfo) -> None:
            raise pulsectl.PulseLoopStop

        deadline = time.monotonic() + timeout_s
        with self.client() as pulse:
            pulse.event_mask_set("all")
            pulse.event_callback_set(wake)
            while not is_so():
                assert time.monotonic() < deadline, f"it did not come about within {timeout_s:g} s"
                pulse.event_listen(timeout=0.05)

    @contextlib.contextmanager
    def playing(self, samples: np.ndarray, sample_rate: int, sink: str | None = None) -> Iterator[None]:
        """Play samples, shape (n_channels, n_samples), into a sink or the default, as a music player would."""
        raw = self.folder / "music.raw"
        samples.T.astype("<f4").tofile(raw)
        command = ["pacat", "--playback", "--stream-name=music", "--latency-msec=500", "--format=float32le"]
        command += [f"--rate={sample_rate}", f"--channels={len(samples)}", *([f"--device={sink}"] if sink else []), raw]
        with self.popen(*command) as player:
            try:
                self.await_that(lambda: "music" in self.players())
                yield
            finally:
                player.kill()

    @contextlib.contextmanager
    def recording(self, sink: str, sample_rate: int, n_channels: int = 2) -> Iterator[Callable[[], np.ndarray]]:
        """Record what a sink plays; call what is given for it, shape (n_channels, n_samples), after the block."""
        raw = self.folder / f"{sink}.raw"
        command = ["parec", f"--device={sink}.monitor", "--format=float32le", "--latency-msec=20"]
        command += [f"--rate={sample_rate}", f"--channels={n_channels}"]
        with raw.open("wb") as file, self.popen(*command, stdout=file) as recorder:
            try:
                self.await_that(lambda: raw.stat().st_size > 0)
                yield lambda: np.fromfile(raw, "<f4").reshape(-1, n_channels).T
            finally:
                recorder.terminate()

    def popen(self, *command: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program that uses this server."""
        return subprocess.Popen(command, env=self.env, **options)


def require_sound_server() -> None:
    """Skip the test where there is no PulseAudio; fail it in continuous integration, which must have one."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    reason = f"needs {', '.join(missing)}: apt-get install {PACKAGES}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def sound_server(*sinks: str) -> Iterator[SoundServer]:
    """Run a server with null sinks of these names, the first of them the default."""
    # The path of a socket is short, so this is not the folder that pytest gives.
    with tempfile.TemporaryDirectory(prefix="sound-") as name:
        folder = Path(name)
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PULSE_", "DBUS_", "DISPLAY"))}
        env |= dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"), name)
        env["PULSE_SERVER"] = f"unix:{folder / 'native'}"
        log = folder / "log"
        with log.open("wb") as file, subprocess.Popen(_command(folder), env=env, stdout=file, stderr=file) as process:
            try:
                server = SoundServer(env, folder, process)
                _await_start(server, log)
                for sink in sinks:
                    server.load_sink(sink)
                if sinks:
                    server.set_default(sinks[0])
                yield server
            finally:
                process.kill()


def _command(folder: Path) -> list[str]:
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-target=stderr"]
    return [*command, f"--load=module-native-protocol-unix auth-anonymous=1 socket={folder / 'native'}"]


def _await_start(server: SoundServer, log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(pulsectl.PulseError), server.client() as pulse:
            pulse.server_info()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.02)
            break
    pytest.fail(f"PulseAudio did not start: {log.read_text()[-2000:]}")


def sine(frequency_hz: float, duration_s: float, sample_rate: int, amplitude: float = 0.3) -> np.ndarray:
    """Return a stereo sine, shape (2, n_samples), float32."""
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    return np.tile(amplitude * np.sin(2 * np.pi * frequency_hz * time_s), (2, 1)).astype(np.float32)


def residue(samples: np.ndarray, frequency_hz: float, sample_rate: int) -> tuple[float, float]:
    """Return the amplitude of the sine that fits best, and the largest distance from it: a gap or click stands out."""
    phase = 2 * np.pi * frequency_hz * np.arange(samples.shape[-1]) / sample_rate
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, samples.astype(np.float64), rcond=None)
    return float(np.hypot(*weights)), float(np.abs(samples - basis @ weights).max())
