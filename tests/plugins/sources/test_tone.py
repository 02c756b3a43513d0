"""The sources `tone` and `null`: signals whose every sample is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.plugins.sources import null, tone
from soundsage.plugins.sources.tone import ToneOptions, signal_of
from soundsage.shared.errors import InputError
from soundsage.shared.spec import options_of, parse_spec

SAMPLE_RATE = 48_000
TARGETS = ["", "1000", "0.5", "sweep", "noise"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3_000), min_size=2, max_size=20), st.sampled_from(TARGETS), st.integers(0, 1_000_000))
def test_the_signal_does_not_depend_on_how_it_is_cut(sizes: list[int], target: str, start: int) -> None:
    """The signal does not depend on how it is cut, so its phase never jumps."""
    signal = signal_of(target, ToneOptions())
    whole = signal(start, sum(sizes))
    starts = start + np.cumsum([0, *sizes[:-1]])
    parts = [signal(int(first), n_samples) for first, n_samples in zip(starts, sizes, strict=True)]

    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    assert whole.dtype == np.float32


@pytest.mark.parametrize("target", ["", "1000", "sweep", "noise"])
@pytest.mark.parametrize("level_db", [-60.0, -20.0])
def test_the_level_is_the_rms_level(target: str, level_db: float) -> None:
    """The level that is asked for is the RMS level, in dBFS."""
    samples = signal_of(target, ToneOptions(level_db=level_db))(0, tone.NOISE_SAMPLES)

    assert 10 * np.log10(np.mean(samples.astype(np.float64) ** 2)) == pytest.approx(level_db, abs=0.05)


@pytest.mark.parametrize("frequency_hz", [1.0, 440.0, 12_345.6])
def test_a_tone_has_its_frequency(frequency_hz: float) -> None:
    """A tone is a sine of its frequency, also after ten hours."""
    start = 10 * 3600 * SAMPLE_RATE
    samples = signal_of(str(frequency_hz), ToneOptions(n_channels=1))(start, SAMPLE_RATE)[0]
    phase = 2 * np.pi * ((frequency_hz * start) % SAMPLE_RATE + frequency_hz * np.arange(SAMPLE_RATE)) / SAMPLE_RATE

    np.testing.assert_allclose(samples, np.sqrt(2) * 0.1 * np.sin(phase), atol=1e-5)


def test_a_sweep_grows_by_the_same_factor_in_the_same_time() -> None:
    """A sweep goes from 20 Hz to 20 kHz in 10 s, by the same factor each second, and begins again without a jump."""
    samples = signal_of("sweep", ToneOptions(n_channels=1, level_db=-20.0))(0, 11 * SAMPLE_RATE)[0]
    n_crossings = np.array(
        [np.sum(np.diff(np.signbit(second))) for second in np.split(samples[: 10 * SAMPLE_RATE], 10)]
    )
    factors = n_crossings[4:] / n_crossings[3:-1]
    seam = samples[10 * SAMPLE_RATE - 200 : 10 * SAMPLE_RATE + 200]

    np.testing.assert_allclose(factors, 1_000 ** (1 / 10), rtol=0.02)
    # 20 kHz is the fastest that it moves: its steps between samples bound every other.
    assert np.abs(np.diff(seam)).max() <= 2 * np.sqrt(2) * 0.1


def test_noise_has_the_same_power_in_each_octave() -> None:
    """Pink noise has the same power in each octave, another wave in each channel, and the same one every time."""
    samples = signal_of("noise", ToneOptions())(0, tone.NOISE_SAMPLES)
    power = np.abs(np.fft.rfft(samples[0])) ** 2
    frequencies_hz = np.fft.rfftfreq(tone.NOISE_SAMPLES, 1 / SAMPLE_RATE)
    octaves_hz = 62.5 * 2.0 ** np.arange(8)
    levels_db = [10 * np.log10(power[(frequencies_hz >= low) & (frequencies_hz < 2 * low)].sum()) for low in octaves_hz]

    # The lowest octave has 680 lines, whose power scatters by 1 / sqrt(680), or 0.17 dB; this is three times that.
    assert np.ptp(levels_db) < 0.5
    assert abs(np.corrcoef(samples)[0, 1]) < 0.02
    np.testing.assert_array_equal(signal_of("noise", ToneOptions())(0, 100), samples[:, :100])
    assert np.abs(signal_of("noise", ToneOptions(level_db=tone.MAX_NOISE_DB))(0, tone.NOISE_SAMPLES)).max() <= 1.0


def test_the_source_plays_the_signal_from_its_start() -> None:
    """The source plays the signal from its start, in the format that was asked for."""
    spec = parse_spec("tone:1000?sample_rate=44100&n_channels=3")
    (record,) = tone.soundsage_sources()
    options = options_of(spec, ToneOptions)
    record.check(spec.target, options, "device")
    source = record.open(spec.target, options, 441)
    blocks = [block.samples for _ in range(5) if (block := source.read(1.0))]
    source.close()

    assert (source.sample_rate, source.n_channels) == (44_100, 3)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), signal_of("1000", options)(0, 5 * 441))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tone:loud", "frequency in Hz, sweep or noise, got loud"),
        ("tone:24000", "below 24000 Hz, got 24000"),
        ("tone:-1", "must lie above 0"),
        ("tone:nan", "must lie above 0"),
        ("tone:noise?level_db=-3.2", "level_db of noise must be at most -15"),
        ("tone?level_db=0", "level_db"),
        ("tone?volume=1", "volume"),
    ],
)
def test_a_signal_that_cannot_be_is_refused(text: str, reason: str) -> None:
    """A signal that cannot be, or would clip, is refused."""
    spec = parse_spec(text)
    (record,) = tone.soundsage_sources()
    with pytest.raises(InputError, match=reason):
        record.check(spec.target, options_of(spec, record.options), "null")


def test_the_null_source_is_silence() -> None:
    """The source `null` is silence in blocks of their own, in the format that was asked for."""
    spec = parse_spec("null?sample_rate=8000&n_channels=1")
    (record,) = null.soundsage_sources()
    source = record.open("", options_of(spec, record.options), 80)
    first, second = source.read(1.0), source.read(1.0)
    source.close()

    assert first is not None
    assert second is not None
    assert (source.sample_rate, first.samples.shape) == (8_000, (1, 80))
    assert not first.samples.any()
    assert not np.shares_memory(first.samples, second.samples)


def test_the_null_source_has_no_target() -> None:
    """The source `null` has no target."""
    (record,) = null.soundsage_sources()
    with pytest.raises(InputError, match="must have no target, got x"):
        record.check("x", null.NullOptions(), "null")
