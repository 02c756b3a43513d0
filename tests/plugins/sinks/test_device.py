"""The sink `device`, on a sound server that really runs."""

from __future__ import annotations

import re
import subprocess
import time

import numpy as np
import pytest
from soundserver import SoundServer, residue, sine

from soundsage.plugins.pacing import Pacer
from soundsage.plugins.portaudio import find
from soundsage.plugins.pulse import FORMER_DEFAULT, OWN_SINK, STREAM_MARK
from soundsage.plugins.sinks.device import DeviceOptions, DeviceSink, on_channels, soundsage_sinks
from soundsage.plugins.sources.device import DeviceOptions as SourceOptions
from soundsage.plugins.sources.device import soundsage_sources
from soundsage.shared.errors import DeviceError, InputError

SAMPLE_RATE = 48_000
BLOCK_SIZE = 480
GONE_S = 1.0
PATIENCE_S = 10.0


def opened(target: str, n_channels: int = 2, buffer_ms: float = 200.0) -> DeviceSink:
    """Open a device as the renderer does, with a buffer for a machine that runs other tests beside this one."""
    (record,) = soundsage_sinks()
    options = DeviceOptions(buffer_ms=buffer_ms)
    record.check(target, options)
    return record.open(target, options, SAMPLE_RATE, n_channels)  # type: ignore[return-value]


def render(sink: DeviceSink, samples: np.ndarray) -> float:
    """Write samples in real time, as they would be captured; return how long one write took."""
    pacer, times_s = Pacer(SAMPLE_RATE), []
    for start in range(0, samples.shape[1], BLOCK_SIZE):
        pacer.wait(BLOCK_SIZE, PATIENCE_S)
        begin = time.perf_counter()
        sink.write(samples[:, start : start + BLOCK_SIZE])
        times_s.append(time.perf_counter() - begin)
    return float(np.median(times_s))


def time_to_fault(sink: DeviceSink, match: str) -> float:
    """Return how long it takes until a write raises."""
    block = sine(440, BLOCK_SIZE / SAMPLE_RATE, SAMPLE_RATE)
    begin = time.monotonic()
    while time.monotonic() < begin + PATIENCE_S:
        try:
            sink.write(block)
        except DeviceError as error:
            assert re.search(match, str(error))  # noqa: PT017  it ends the loop, and its time counts
            return time.monotonic() - begin
        sink._ended.wait(0.01)
    pytest.fail("no write raised")


def loud_part(samples: np.ndarray) -> np.ndarray:
    """Return what lies between the first and the last sample that is no silence."""
    (loud,) = np.nonzero(np.abs(samples[0]) > 1e-6)
    return samples[:, loud[0] : loud[-1] + 1]


def test_what_is_rendered_is_heard_without_a_gap(sound: SoundServer) -> None:
    """What is rendered is heard whole, without a gap and at its level, fading in and out; and no write waits."""
    samples = sine(440, 3.0, SAMPLE_RATE)
    with sound.recording("speakers", SAMPLE_RATE) as recorded:
        # As much as there is, since only the machine's other work could run it dry.
        sink = opened("speakers", buffer_ms=500.0)
        write_s = render(sink, samples)
        sink.close()
        sound.await_that(lambda: not sound.players())
    heard = loud_part(recorded())
    amplitude, distance = residue(heard[0, BLOCK_SIZE:-BLOCK_SIZE], 440, SAMPLE_RATE)

    assert (sink.underruns, sink.overruns) == (0, 0)
    # The first sample of a sine is zero, and so is the last of a fade, nearly.
    assert heard.shape[1] == pytest.approx(samples.shape[1], abs=BLOCK_SIZE // 4)
    assert amplitude == pytest.approx(0.3, abs=1e-4)
    assert distance < 1e-4
    # A fade of 10 ms is 480 steps; without it the steps at the ends would be as large as the sine itself.
    assert np.abs(heard[0, :20]).max() < 0.01
    assert np.abs(heard[0, -20:]).max() < 0.01
    assert write_s < 0.1 * BLOCK_SIZE / SAMPLE_RATE


def test_mono_is_heard_on_both_sides(sound: SoundServer) -> None:
    """Mono is heard on both sides, at its level."""
    with sound.recording("speakers", SAMPLE_RATE) as recorded:
        sink = opened("speakers", n_channels=1)
        render(sink, sine(440, 1.0, SAMPLE_RATE)[:1])
        sink.close()
        sound.await_that(lambda: not sound.players())
    heard = loud_part(recorded())

    np.testing.assert_array_equal(heard[0], heard[1])
    assert residue(heard[0, BLOCK_SIZE:-BLOCK_SIZE], 440, SAMPLE_RATE)[0] == pytest.approx(0.3, abs=1e-4)


def test_a_sink_that_runs_dry_says_so_and_goes_on(sound: SoundServer) -> None:
    """A sink that runs dry counts that once, and goes on when there is enough again."""
    sink = opened("speakers")
    render(sink, sine(440, 0.5, SAMPLE_RATE))
    sound.await_that(lambda: sink._buffer.underruns > 0)
    render(sink, sine(440, 0.5, SAMPLE_RATE))
    counted = sink.underruns
    sink.close()

    assert counted == 1


def test_a_sink_that_is_unplugged_is_told_and_can_be_opened_again(sound: SoundServer) -> None:
    """An unplugged sink raises within a second, cannot be opened while it is away, and can when it is back."""
    module = sound.load_sink("usb")
    sink = opened("usb")
    render(sink, sine(440, 0.3, SAMPLE_RATE))
    sound.unload(module)
    assert time_to_fault(sink, "sink usb is gone") < GONE_S
    sink.close()
    (record,) = soundsage_sinks()
    with pytest.raises(DeviceError, match="usb does not exist"):
        record.open("usb", DeviceOptions(), SAMPLE_RATE, 2)
    sound.load_sink("usb")
    sink = opened("usb")
    render(sink, sine(440, 0.3, SAMPLE_RATE))
    sink.close()


def test_without_a_name_the_default_is_played(sound: SoundServer) -> None:
    """Without a name the default sink is played, and a new default is told, so that it is opened instead."""
    sink = opened("")
    render(sink, sine(440, 0.3, SAMPLE_RATE))
    assert set(sound.players().values()) == {"speakers"}
    sound.set_default("other")
    assert time_to_fault(sink, "speakers is not the default any more") < GONE_S
    sink.close()
    sink = opened("")
    render(sink, sine(440, 0.3, SAMPLE_RATE))
    assert set(sound.players().values()) == {"other"}
    sink.close()


def test_a_named_sink_stays_when_the_default_changes(sound: SoundServer) -> None:
    """A stream to a named sink stays there when the default changes, though the server takes it along."""
    sink = opened("speakers")
    render(sink, sine(440, 0.3, SAMPLE_RATE))
    sound.set_default("other")
    render(sink, sine(440, 0.3, SAMPLE_RATE))
    sound.await_that(lambda: set(sound.players().values()) == {"speakers"})
    sink.close()


def test_our_own_sink_is_never_the_default_that_is_played(sound: SoundServer) -> None:
    """Where our own sink is the default, the one that it stands before is played."""
    sound.load_sink(OWN_SINK, sink_properties=f"{FORMER_DEFAULT}=other")
    sound.set_default(OWN_SINK)
    sink = opened("")
    render(sink, sine(440, 0.3, SAMPLE_RATE))

    assert set(sound.players().values()) == {"other"}
    sink.close()


@pytest.mark.parametrize("alias", ["pulse", "default", "index"])
def test_no_other_name_of_the_default_reaches_our_own_sink(sound: SoundServer, alias: str) -> None:
    """PortAudio's names and indices of the default are the sink that our own one stands before, too."""
    sound.load_sink(OWN_SINK, sink_properties=f"{FORMER_DEFAULT}=other")
    sound.set_default(OWN_SINK)
    sink = opened(str(find("sink", "pulse").device) if alias == "index" else alias)
    render(sink, sine(440, 0.3, SAMPLE_RATE))

    assert set(sound.players().values()) == {"other"}
    sink.close()


@pytest.mark.usefixtures("sound")
def test_a_sink_that_we_capture_cannot_be_opened() -> None:
    """A sink whose monitor we capture cannot be opened by any name, and can when the capture ended."""
    (sources,) = soundsage_sources()
    source = sources.open("speakers.monitor", SourceOptions(), BLOCK_SIZE)
    for target in ("speakers", "", "pulse"):
        with pytest.raises(DeviceError, match="sink speakers is captured by SoundSage"):
            opened(target)
    opened("other").close()
    source.close()
    opened("speakers").close()


def test_a_sink_gives_way_to_a_capture_that_hears_it(sound: SoundServer) -> None:
    """A stream of ours that comes to hear the sink, as when both opened at once, is told within a second."""
    sink = opened("speakers")
    render(sink, sine(440, 0.3, SAMPLE_RATE))
    capture = ("parec", "--device=speakers.monitor")
    with sound.popen("env", f"PULSE_PROP={STREAM_MARK}=another", *capture, stdout=subprocess.DEVNULL) as process:
        with sound.client() as pulse:
            sound.await_that(lambda: bool(pulse.source_output_list()))
        assert time_to_fault(sink, "sink speakers is captured by SoundSage") < GONE_S
        process.kill()
    sink.close()


def test_a_sink_that_was_idle_plays_though_it_rendered_ahead(sound: SoundServer) -> None:
    """A null sink that was idle has rendered two seconds ahead; it plays when it comes to that."""
    sound.load("module-null-sink", sink_name="lazy")
    sink = opened("lazy")
    deadline = time.monotonic() + PATIENCE_S
    while not sink._buffer._n_read:
        assert time.monotonic() < deadline, "it never played"
        render(sink, sine(440, 0.1, SAMPLE_RATE))
    sink.close()


def test_devices_are_listed_with_the_default(sound: SoundServer) -> None:
    """Devices are listed as they are written on the command line, with their format, the default marked."""
    sound.load_sink("surround", rate=44_100, channels=6)
    (record,) = soundsage_sinks()
    found = {info.spec: info for info in record.devices()}

    assert (found["device:surround"].sample_rate, found["device:surround"].n_channels) == (44_100, 6)
    assert [info.spec for info in found.values() if info.is_default] == ["device:speakers"]


@pytest.mark.usefixtures("sound")
def test_a_wrong_name_is_refused_with_the_nearest_ones() -> None:
    """A wrong name is refused with the nearest ones."""
    (record,) = soundsage_sinks()
    with pytest.raises(InputError, match="sink speaker does not exist; nearest are speakers"):
        record.check("speaker", DeviceOptions())


def test_channels_are_spread_and_mixed() -> None:
    """Mono goes to all channels; more than there are are averaged, every n-th together, which cannot clip."""
    samples = np.arange(12, dtype=np.float32).reshape(4, 3)

    np.testing.assert_array_equal(on_channels(samples[:1], 3), np.tile(samples[0], (3, 1)))
    np.testing.assert_array_equal(on_channels(samples, 2), [samples[[0, 2]].mean(axis=0), samples[[1, 3]].mean(axis=0)])
    assert on_channels(samples, 4) is samples
    with pytest.raises(ValueError, match="must have 1 or 3 channels or more, got 2"):
        on_channels(samples[:2], 3)
