"""A whole mesh between real devices: a headless sound server with null sinks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import scipy.signal
from soundserver import SoundServer, require_sound_server, sound_server

from soundsage.shared.dsp import EqBand, design, response_db
from soundsage.shared.messages import EqCurve, RenderMeter

SAMPLE_RATE = 48_000
BELL = EqBand("peaking", 1000.0, 6.0, 1.0)
STRATEGY = """
from soundsage.shared.contracts import Decision, StrategyRecord
from soundsage.shared.dsp import EqBand
from soundsage.shared.hookspecs import hookimpl

class Bell:
    def decide(self, context):
        return Decision((EqBand("peaking", 1000.0, 6.0, 1.0),), "a bell")

@hookimpl
def soundsage_eq_strategies():
    return [StrategyRecord(name="bell", summary="6 dB at 1 kHz", make=Bell)]
"""


@pytest.fixture
def server(mesh: Any) -> Iterator[SoundServer]:
    """Return a sound server with the sinks `music` and `speakers`, which the mesh uses."""
    require_sound_server()
    with sound_server("music", "speakers") as server:
        mesh.environment["PULSE_SERVER"] = server.env["PULSE_SERVER"]
        mesh.environment["HOME"] = server.env["HOME"]
        yield server


@pytest.fixture
def bell(mesh: Any) -> None:
    """Install the strategy `bell` for the mesh, as a distribution of its own."""
    site: Path = mesh.directory / "site"
    info = site / "bell-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bell\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[soundsage.plugins]\nbell = bell_strategy\n")
    (site / "bell_strategy.py").write_text(STRATEGY)
    mesh.environment["PYTHONPATH"] = f"{site}:{mesh.environment.get('PYTHONPATH', '')}"


def noise(duration_s: float) -> np.ndarray:
    """Return white noise, shape (2, n_samples)."""
    rng = np.random.default_rng(440)
    return (0.1 * rng.standard_normal((2, round(duration_s * SAMPLE_RATE)))).astype(np.float32)


def level_db(samples: np.ndarray, frequency_hz: float) -> float:
    """Return the spectral level of the left channel around a frequency, a third of an octave wide."""
    frequencies_hz, density = scipy.signal.welch(samples[0], SAMPLE_RATE, nperseg=8192)
    band = np.abs(np.log2(np.maximum(frequencies_hz, 1) / frequency_hz)) < 1 / 6
    return float(10 * np.log10(density[band].mean()))


def quietest_over_median(samples: np.ndarray) -> float:
    """Return the level of the quietest 5 ms over the median; a gap makes it small."""
    n_blocks = samples.shape[1] // 240
    rms = np.sqrt((samples[0, : n_blocks * 240].reshape(n_blocks, 240) ** 2).mean(axis=1))
    return float(rms.min() / np.median(rms))


@pytest.mark.usefixtures("bell")
def test_music_between_two_devices_shows_the_equaliser_and_no_gap(mesh: Any, server: SoundServer) -> None:
    """Music in one sink is captured, equalised and rendered to another: the bell is in its spectrum, and no gap."""
    with server.playing(noise(90), SAMPLE_RATE, "music"):
        mesh.up("--source", "device:music.monitor", "--sink", "device:speakers?buffer_ms=300", "--strategy", "flat")
        mesh.hear(EqCurve)
        assert mesh.command("strategy", "set", "bell").returncode == 0
        mesh.hear(RenderMeter, lambda meter: meter.strategy == "bell" and bool(meter.bands))
        before = mesh.hear(RenderMeter).message
        with server.recording("speakers", SAMPLE_RATE) as recorded:
            for _ in range(60):
                after = mesh.hear(RenderMeter).message
        samples = recorded()
        mesh.down()
    assert (after.lost_blocks, after.late_blocks, after.underruns) == (0, 0, before.underruns)
    heard = samples[:, SAMPLE_RATE : 4 * SAMPLE_RATE]
    assert quietest_over_median(heard) > 0.5
    sos = design((BELL,), SAMPLE_RATE)
    for low_hz, high_hz in ((125.0, 1000.0), (500.0, 1000.0), (1000.0, 8000.0)):
        expected_db = float(np.subtract(*response_db(sos, np.array([high_hz, low_hz]), SAMPLE_RATE)))
        assert level_db(heard, high_hz) - level_db(heard, low_hz) == pytest.approx(expected_db, abs=1.0)


def test_the_source_system_stands_between_players_and_speakers_and_steps_aside(mesh: Any, server: SoundServer) -> None:
    """`system` becomes the default sink, plays to the former one, and gives the default back when it stops."""
    with server.playing(noise(60), SAMPLE_RATE):
        assert server.default_sink() == "music"
        mesh.up("--source", "system", "--sink", "device")
        mesh.hear(RenderMeter, lambda meter: min(meter.level_db) > -60)
        assert server.default_sink() == "soundsage_in"
        assert server.players()["music"] == "soundsage_in"
        mesh.down()
        assert server.default_sink() == "music"
        assert "soundsage_in" not in server.sinks()
        assert server.players()["music"] == "music"


def test_the_default_sink_is_given_back_when_everything_is_killed(mesh: Any, server: SoundServer) -> None:
    """Even when all processes of the mesh are killed at once, the former default sink is the default again."""
    mesh.up("--source", "system", "--sink", "device")
    mesh.hear(RenderMeter)
    guardians = {"soundsage.plugins.sources.guardian"}
    for process in mesh.processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # a strategy dies with its service
            if not guardians & set(process.cmdline()):
                process.kill()
    server.await_that(lambda: server.default_sink() == "music" and "soundsage_in" not in server.sinks())


def test_what_is_rendered_may_not_be_captured(mesh: Any, server: SoundServer) -> None:
    """Capturing the sink that is rendered to is refused in one line."""
    done = mesh.command("up", "--source", "device:speakers.monitor", "--sink", "device:speakers", "--no-ui")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert server.default_sink() == "music"
    mesh.must_be_clean()


@pytest.mark.parametrize("alias", ["pulse", "default"])
def test_what_is_rendered_may_not_be_captured_by_another_name(mesh: Any, server: SoundServer, alias: str) -> None:
    """Capturing the default sink while rendering to it by a name of PortAudio's is refused in one line."""
    done = mesh.command("up", "--source", "device:music.monitor", "--sink", f"device:{alias}", "--no-ui")
    assert done.returncode == 2
    assert "must not be the monitor of the sink" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not server.players()
    mesh.must_be_clean()


def test_the_source_system_is_rendered_to_the_former_default_by_any_name(mesh: Any, server: SoundServer) -> None:
    """With the source `system`, PortAudio's name of the default is the former one and never our own sink."""
    with server.playing(noise(60), SAMPLE_RATE):
        mesh.up("--source", "system", "--sink", "device:pulse")
        mesh.hear(RenderMeter, lambda meter: min(meter.level_db) > -60)
        server.await_that(lambda: sorted(server.players().values()) == ["music", "soundsage_in"])
        mesh.down()


def test_a_default_that_is_captured_is_not_rendered_to(mesh: Any, server: SoundServer) -> None:
    """When the captured sink becomes the default, rendering waits within a second, and goes on when it no longer is."""

    def rendered() -> set[str]:
        return {sink for name, sink in server.players().items() if name != "music"}

    server.set_default("speakers")
    with server.playing(noise(60), SAMPLE_RATE, "music"):
        mesh.up("--source", "device:music.monitor", "--sink", "device")
        mesh.hear(RenderMeter)
        server.await_that(lambda: rendered() == {"speakers"})
        server.set_default("music")
        server.await_that(lambda: not rendered(), timeout_s=1.0)
        while "captured by SoundSage" not in str(mesh.status()):
            assert "music" not in rendered()
        server.set_default("speakers")
        server.await_that(lambda: rendered() == {"speakers"})
        mesh.down()


def test_a_device_that_is_unplugged_is_waited_for(mesh: Any, server: SoundServer) -> None:
    """A captured device that goes away is a state, and it is captured again once it is back."""
    module = server.load_sink("stick")
    with server.playing(noise(60), SAMPLE_RATE, "music"):
        mesh.up("--source", "device:stick.monitor", "--sink", "null")
        mesh.hear(RenderMeter)
        server.unload(module)
        server.await_that(lambda: "stick" not in server.sinks())
        states = {each["name"]: each["state"] for each in mesh.status()["services"]}
        while states["capture"] != "waiting":
            states = {each["name"]: each["state"] for each in mesh.status()["services"]}
        server.load_sink("stick")
        mesh.hear(RenderMeter)
        mesh.down()
