"""The source `system`: between the players and the loudspeaker, and gone without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from soundserver import SoundServer, residue, sine

from soundsage.plugins.pulse import FORMER_DEFAULT, OWN_SINK
from soundsage.plugins.sinks.device import DeviceOptions
from soundsage.plugins.sinks.device import soundsage_sinks as device_sinks
from soundsage.plugins.sources.system import SystemSource, soundsage_sources
from soundsage.shared.errors import DeviceError, InputError
from soundsage.shared.spec import NoOptions

SAMPLE_RATE = 44_100
BLOCK_SIZE = 441
PATIENCE_S = 10.0
CAPTURE = """
from soundsage.plugins.sources.system import SystemSource
source = SystemSource(441)
print("capturing", flush=True)
while True:
    source.read(0.1)
"""


def opened() -> SystemSource:
    """Open the source as the capture service does."""
    (record,) = soundsage_sources()
    record.check("", NoOptions(), "device")
    return record.open("", NoOptions(), BLOCK_SIZE)  # type: ignore[return-value]


def heard(source: SystemSource, duration_s: float) -> np.ndarray:
    """Return what a source hears from now on."""
    blocks: list[np.ndarray] = []
    end = time.monotonic() + duration_s + PATIENCE_S
    while len(blocks) * BLOCK_SIZE < duration_s * source.sample_rate:
        assert time.monotonic() < end, "the source fell silent"
        block = source.read(0.1)
        if block is not None:
            blocks.append(block.samples)
    return np.concatenate(blocks, axis=1)


def capturing(sound: SoundServer) -> subprocess.Popen[bytes]:
    """Start a process that captures, and wait until it does."""
    process = sound.popen(sys.executable, "-c", CAPTURE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"capturing\n"
    process.stdout.close()
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process so that it can do nothing about it."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def is_restored(sound: SoundServer) -> bool:
    """Return whether nothing is left of us."""
    return OWN_SINK not in sound.sinks() and sound.default_sink() == "speakers"


@pytest.fixture(autouse=True)
def music(sound: SoundServer) -> Iterator[None]:
    """Play a tone to the default sink, as a music player does."""
    with sound.playing(sine(441, 60, SAMPLE_RATE), SAMPLE_RATE):
        yield


def test_what_plays_goes_through_us_and_back(sound: SoundServer) -> None:
    """What plays is moved to our sink and captured unchanged; when we close, everything is as it was."""
    assert sound.players() == {"music": "speakers"}
    source = opened()
    assert sound.default_sink() == OWN_SINK
    assert sound.players() == {"music": OWN_SINK}
    samples = heard(source, 2.0)[:, SAMPLE_RATE:]
    source.close()

    amplitude, distance = residue(samples[0], 441, SAMPLE_RATE)
    assert amplitude == pytest.approx(0.3, abs=1e-4)
    assert distance < 1e-4
    assert is_restored(sound)
    assert sound.players() == {"music": "speakers"}


def test_our_sink_has_the_format_of_the_one_it_stands_before(sound: SoundServer) -> None:
    """Our sink has the format of the one that it stands before, so that nothing is resampled twice, and names it."""
    sound.load_sink("surround", rate=96_000, channels=6)
    sound.set_default("surround")
    source = opened()
    with sound.client() as pulse:
        own = pulse.get_sink_by_name(OWN_SINK)
        former = pulse.get_sink_by_name("surround")
        assert own.channel_list == former.channel_list
        assert own.proplist[FORMER_DEFAULT] == "surround"
    source.close()

    assert (source.sample_rate, source.n_channels) == (96_000, 6)


def test_the_music_comes_out_of_the_former_default(sound: SoundServer) -> None:
    """The sink `device` plays to the former default: what goes in comes out there, once, and does not feed back."""
    source = opened()
    (record,) = device_sinks()
    sink = record.open("", DeviceOptions(buffer_ms=200.0), source.sample_rate, source.n_channels)
    with sound.recording("speakers", SAMPLE_RATE) as recorded:
        end = time.monotonic() + 4.0
        while time.monotonic() < end:
            block = source.read(0.1)
            if block is not None:
                sink.write(block.samples)
        players = sound.players()
    sink.close()
    source.close()
    samples = recorded()[0, -2 * SAMPLE_RATE :]

    assert players.pop("music") == OWN_SINK
    assert set(players.values()) == {"speakers"}
    assert residue(samples, 441, SAMPLE_RATE)[0] == pytest.approx(0.3, rel=0.05)


def test_a_capture_that_is_killed_leaves_nothing_behind(sound: SoundServer) -> None:
    """When the capturing process is killed, everything is as it was, and no process is left."""
    process = capturing(sound)
    assert sound.default_sink() == OWN_SINK
    (guardian,) = psutil.Process(process.pid).children()
    kill(process)
    sound.await_that(lambda: is_restored(sound) and sound.players() == {"music": "speakers"})

    psutil.wait_procs([guardian], PATIENCE_S)
    assert not guardian.is_running()


def test_captures_that_are_killed_one_after_another_never_lose_the_former_default(sound: SoundServer) -> None:
    """However fast one capture follows another that was killed, the former default is known."""
    for _ in range(3):
        process = capturing(sound)
        with sound.client() as pulse:
            assert pulse.get_sink_by_name(OWN_SINK).proplist[FORMER_DEFAULT] == "speakers"
        kill(process)
    sound.await_that(lambda: is_restored(sound))


def test_a_sink_that_was_left_behind_is_taken_over(sound: SoundServer) -> None:
    """When capture and guardian are both killed, the next capture takes over and gives back what was there before."""
    process = capturing(sound)
    (guardian,) = psutil.Process(process.pid).children()
    guardian.kill()
    kill(process)
    assert sound.default_sink() == OWN_SINK
    source = opened()
    assert sound.players() == {"music": OWN_SINK}
    heard(source, 0.2)
    source.close()

    assert is_restored(sound)
    assert sound.players() == {"music": "speakers"}


def test_a_guardian_that_is_gone_is_told() -> None:
    """A capture whose guardian is gone says so, since nobody would put the default back."""
    source = opened()
    source._guardian._process.kill()
    source._guardian._process.wait()
    with pytest.raises(DeviceError, match="ended"):
        source.read(0.1)
    source.close()
    source = opened()
    source.close()


def test_a_second_capture_is_refused(sound: SoundServer) -> None:
    """There is one `system` for a sound server; a second is refused and disturbs nothing."""
    source = opened()
    with pytest.raises(DeviceError, match=f"another SoundSage holds {OWN_SINK}"):
        opened()
    heard(source, 0.2)
    source.close()

    assert is_restored(sound)


def test_a_former_default_that_vanished_is_replaced(sound: SoundServer) -> None:
    """If the former default is unplugged meanwhile, another sink becomes the default."""
    module = sound.load_sink("usb")
    sound.set_default("usb")
    source = opened()
    sound.unload(module)
    source.close()

    assert sound.default_sink() == "speakers"
    assert OWN_SINK not in sound.sinks()
    assert set(sound.players().values()) == {"speakers"}


def test_a_default_that_was_chosen_meanwhile_is_kept(sound: SoundServer) -> None:
    """If somebody chose another default meanwhile, it stays the default."""
    source = opened()
    sound.set_default("other")
    source.close()

    assert sound.default_sink() == "other"
    assert OWN_SINK not in sound.sinks()


def test_signals_for_us_do_not_reach_the_guardian(sound: SoundServer) -> None:
    """The interrupt key and the supervisor reach the capture and not its guardian, which would die before its work."""
    process = capturing(sound)
    (guardian,) = psutil.Process(process.pid).children()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        guardian.send_signal(number)
    assert os.getsid(guardian.pid) == guardian.pid
    assert sound.default_sink() == OWN_SINK
    kill(process)
    sound.await_that(lambda: is_restored(sound))


def test_it_is_listed_with_where_it_renders_to() -> None:
    """It is listed with the sink that it stands before."""
    (record,) = soundsage_sources()
    (info,) = record.devices()

    assert (info.spec, info.sample_rate, info.n_channels) == ("system", SAMPLE_RATE, 2)


def test_rendering_into_our_own_sink_is_refused() -> None:
    """Rendering into the sink that is captured is refused."""
    (record,) = soundsage_sources()
    with pytest.raises(InputError, match=f"sink must not be {OWN_SINK}"):
        record.check("", NoOptions(), f"device:{OWN_SINK}")
    with pytest.raises(InputError, match="must have no target, got x"):
        record.check("x", NoOptions(), "device")


def test_without_a_sound_server_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a sound server it is refused, with a way on."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    (record,) = soundsage_sources()
    with pytest.raises(
        InputError, match="needs a sound server; start PulseAudio or PipeWire, or use --source file:PATH"
    ):
        record.check("", NoOptions(), "device")
