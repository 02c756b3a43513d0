"""The stream: any cutting gives the same numbers, any level the same features, and time is counted in samples."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.shared.features import (
    FEATURE_NAMES,
    HOP_LENGTH,
    LEVEL_FLOOR_DB,
    MIN_SAMPLE_RATE,
    N_FFT,
    SAMPLE_RATE,
    WINDOW_FRAMES,
    WINDOW_S,
    FeatureStream,
    WindowFeatures,
    kernel,
    windows_of,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]

SAMPLE_RATES = (SAMPLE_RATE, 8000, 16000, 44100, 48000)
LENGTH_S = 3.2


def noise(sample_rate: int, n_channels: int = 2, length_s: float = LENGTH_S) -> Sound:
    """Return uncorrelated noise on each channel."""
    shape = (n_channels, round(length_s * sample_rate))
    return 0.1 * np.random.default_rng(440).standard_normal(shape, dtype=np.float32)


def assert_equal(windows: list[WindowFeatures], others: list[WindowFeatures]) -> None:
    """Assert that two lists of windows are the same, bit for bit."""
    assert len(windows) == len(others)
    for window, other in zip(windows, others, strict=True):
        np.testing.assert_array_equal(window.features, other.features)
        np.testing.assert_array_equal(window.bands_db, other.bands_db)
        assert (window.level_db, window.end_s) == (other.level_db, other.end_s)


@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_cutting_of_the_stream_gives_the_same_windows(sample_rate: int, data: st.DataObject) -> None:
    """Blocks of any sizes give the same windows as one block, bit for bit, through the resampler too."""
    samples = noise(sample_rate)
    cuts = data.draw(st.lists(st.integers(0, samples.shape[1]), max_size=12).map(sorted))
    stream = FeatureStream(sample_rate)
    windows = [w for block in np.split(samples, cuts, axis=1) for w in stream.process(block)] + stream.flush()

    assert windows
    assert_equal(windows, windows_of(samples, sample_rate))


@pytest.mark.parametrize("block_size", [1, 64, 441, 1024])
def test_equal_blocks_of_any_size_give_the_same_windows(block_size: int) -> None:
    """The block sizes of sound cards, and single samples, change nothing."""
    samples = noise(8000, n_channels=9, length_s=3.1)
    stream = FeatureStream(8000)
    blocks = np.split(samples, range(block_size, samples.shape[1], block_size), axis=1)

    assert_equal([w for b in blocks for w in stream.process(b)] + stream.flush(), windows_of(samples, 8000))


@pytest.mark.parametrize("gain_db", [-40.0, -23.7, -6.0, 6.0, 20.0])
def test_a_gain_changes_no_feature(sound: Sound, gain_db: float) -> None:
    """Features and bands stay as they are from -40 to +20 dB; the level follows."""
    # The rounding of the scaled samples to float32 is noise 150 dB below them, felt where a spectrum is that empty.
    louder = (sound.astype(np.float64) * 10 ** (gain_db / 20)).astype(np.float32)
    for before, after in zip(
        windows_of(sound[np.newaxis], SAMPLE_RATE), windows_of(louder[np.newaxis], SAMPLE_RATE), strict=True
    ):
        np.testing.assert_allclose(after.features, before.features, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(after.bands_db, before.bands_db, atol=1e-3)
        np.testing.assert_allclose(after.level_db - before.level_db, gain_db, atol=1e-5)


@pytest.mark.parametrize("factor", [2.0**-7, 2.0**-3, 2.0**3])
def test_a_gain_without_rounding_changes_no_feature_at_all(sound: Sound, factor: float) -> None:
    """A power of two, which float32 scales by exactly, leaves the features alone."""
    # At the lowest gain one bin of dither in a hundred thousand falls below the floor and moves the slope by this.
    before = windows_of(sound[np.newaxis], SAMPLE_RATE)[-1]
    after = windows_of(np.float32(factor) * sound[np.newaxis], SAMPLE_RATE)[-1]

    np.testing.assert_allclose(after.features, before.features, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(after.bands_db, before.bands_db, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gain_db", [-40.0, 20.0])
def test_a_gain_changes_no_feature_behind_the_resampler(music: Sound, gain_db: float) -> None:
    """Resampling keeps the features independent of the level."""
    louder = (music.astype(np.float64) * 10 ** (gain_db / 20)).astype(np.float32)
    before, after = (windows_of(samples[np.newaxis], 24000)[-1] for samples in (music, louder))

    np.testing.assert_allclose(after.features, before.features, rtol=1e-3, atol=1e-3)


def test_the_first_window_ends_when_its_frames_fit() -> None:
    """The first window comes with the sample that completes 126 frames, and ends there."""
    n_samples = (WINDOW_FRAMES - 1) * HOP_LENGTH + N_FFT
    samples = noise(SAMPLE_RATE, n_channels=1)
    stream = FeatureStream(SAMPLE_RATE)

    assert WINDOW_FRAMES == 126
    assert n_samples <= WINDOW_S * SAMPLE_RATE < n_samples + HOP_LENGTH
    assert stream.process(samples[:, : n_samples - 1]) == []
    (window,) = stream.process(samples[:, n_samples - 1 : n_samples])
    assert window.end_s == n_samples / SAMPLE_RATE


def test_a_window_comes_every_hop() -> None:
    """Windows end 512 samples of the model rate apart, exactly."""
    ends_s = [window.end_s for window in windows_of(noise(48000), 48000)]

    np.testing.assert_array_equal(np.rint(np.diff(ends_s) * SAMPLE_RATE), HOP_LENGTH)
    assert ends_s[-1] <= LENGTH_S < ends_s[-1] + HOP_LENGTH / SAMPLE_RATE


def test_the_resampler_keeps_the_time() -> None:
    """A click has its onset at the same stream time at every sample rate."""
    ends_s = []
    for sample_rate in SAMPLE_RATES:
        samples = 0.001 * noise(sample_rate, n_channels=1, length_s=4.0)
        samples[0, round(3.5 * sample_rate)] = 0.9
        windows = windows_of(samples, sample_rate)
        ends_s.append(next(w.end_s for w in windows if w.level_db > windows[0].level_db + 3.0))

    np.testing.assert_allclose(ends_s, 3.5 + 0.5 * HOP_LENGTH / SAMPLE_RATE, atol=0.5 * HOP_LENGTH / SAMPLE_RATE)


def test_the_sample_rate_of_the_source_is_not_heard() -> None:
    """The same sound recorded at 44.1 and 48 kHz has almost the same features."""
    time_s = {rate: np.arange(round(3.1 * rate)) / rate for rate in (44100, 48000)}
    partials = np.arange(100.0, 10_000.0, 77.7)
    sounds = {
        rate: np.sum([np.sin(2 * np.pi * f * t + f * f) for f in partials], axis=0) / 100 for rate, t in time_s.items()
    }
    first, second = (windows_of(sound[np.newaxis].astype(np.float32), rate)[-1] for rate, sound in sounds.items())

    np.testing.assert_allclose(second.features, first.features, rtol=0.02, atol=0.1)
    np.testing.assert_allclose(second.bands_db, first.bands_db, atol=0.05)


def test_equal_channels_are_one() -> None:
    """Two equal channels have the features of one, bit for bit."""
    mono = noise(44100, n_channels=1)

    assert_equal(windows_of(np.repeat(mono, 2, axis=0), 44100), windows_of(mono, 44100))


def test_a_window_does_not_depend_on_what_came_before_it() -> None:
    """A window late in a stream is the one of its own samples, all but the onset of its first frame."""
    samples = noise(SAMPLE_RATE, n_channels=1, length_s=7.0)
    start = 100 * HOP_LENGTH
    late = windows_of(samples, SAMPLE_RATE)[100]
    alone = windows_of(samples[:, start:], SAMPLE_RATE)[0]
    without_onset = [n for n, name in enumerate(FEATURE_NAMES) if not name.startswith("onset")]

    np.testing.assert_array_equal(late.features[without_onset], alone.features[without_onset])
    np.testing.assert_array_equal(late.bands_db, alone.bands_db)


@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_digital_silence_has_finite_features(sample_rate: int) -> None:
    """Silence has the lowest level, flat bands, no spread, and nothing that is not a number."""
    windows = windows_of(np.zeros((1, 4 * sample_rate), dtype=np.float32), sample_rate)
    window = windows[-1]

    assert np.isfinite(window.features).all()
    np.testing.assert_array_equal(window.bands_db, 0.0)
    assert window.level_db == LEVEL_FLOOR_DB


def test_a_sine_has_its_rms_level() -> None:
    """A sine of half amplitude has -9.03 dBFS."""
    sine = (0.5 * np.sin(2 * np.pi * 440 * np.arange(4 * 44100) / 44100)).astype(np.float32)

    np.testing.assert_allclose(windows_of(sine[np.newaxis], 44100)[-1].level_db, -9.03, atol=0.01)


@pytest.mark.parametrize("frequency_hz", [100.0, 1000.0, 8000.0])
def test_the_highest_band_is_that_of_the_sine(frequency_hz: float) -> None:
    """The highest of the bands is the one whose centre is nearest to the sine."""
    sine = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(4 * 44100) / 44100).astype(np.float32)
    band = int(windows_of(sine[np.newaxis], 44100)[-1].bands_db.argmax())

    assert band == round(3 * np.log2(frequency_hz / 1000.0)) + 14


def test_a_reset_stream_is_a_new_one() -> None:
    """After a reset, and after a flush, a stream gives what a new one gives."""
    samples = noise(44100)
    stream = FeatureStream(44100)
    expected = windows_of(samples, 44100)
    stream.process(samples[:, ::-1].copy())
    stream.reset()

    assert_equal(stream.process(samples) + stream.flush(), expected)
    assert_equal(stream.process(samples) + stream.flush(), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_samples", [100, 3 * 44100])
def test_a_sample_that_is_no_number_is_refused_and_leaves_the_stream_alone(value: float, n_samples: int) -> None:
    """A block with NaN or infinity at its end is refused whole; the stream goes on as if it had not come."""
    samples = noise(44100)
    broken = samples[:, :n_samples].copy()
    broken[1, -1] = value
    stream = FeatureStream(44100)
    stream.process(samples[:, :1000])

    with pytest.raises(ValueError, match="samples must be finite"):
        stream.process(broken)
    assert_equal(stream.process(samples[:, 1000:]) + stream.flush(), windows_of(samples, 44100))


@pytest.mark.parametrize(
    "samples",
    [np.zeros(100, np.float32), np.zeros((0, 100), np.float32), np.zeros((1, 100)), np.zeros((1, 100), np.int16)],
)
def test_samples_of_another_shape_or_type_are_refused(samples: npt.NDArray[np.float32]) -> None:
    """Only float32 of channels and time is taken: integers would be read as far above full scale."""
    with pytest.raises(ValueError, match="samples must be float32 of shape"):
        FeatureStream(44100).process(samples)


@pytest.mark.parametrize("is_writeable", [True, False])
def test_samples_in_another_order_of_bytes_are_refused(*, is_writeable: bool) -> None:
    """Swapped bytes are refused, also after blocks that differ from them in nothing else."""
    stream = FeatureStream(44100)
    samples = np.zeros((1, 100), np.float32)
    swapped = samples.astype(samples.dtype.newbyteorder())
    samples.flags.writeable = swapped.flags.writeable = is_writeable
    stream.process(samples)

    with pytest.raises(ValueError, match="samples must be float32 of shape"):
        stream.process(swapped)


@pytest.mark.parametrize("n_samples", [256, 10_000])
def test_samples_in_any_order_of_memory_are_taken(n_samples: int) -> None:
    """Blocks that are read-only, out of order, or part of something larger give the same windows, bit for bit."""
    samples = noise(44100)
    read_only, across = samples.copy(), np.asfortranarray(samples)
    within = np.repeat(samples, 2, axis=1)[:, ::2]
    unaligned = np.frombuffer(b" " + samples.tobytes(), np.float32, offset=1).reshape(samples.shape)
    read_only.flags.writeable = False
    expected = windows_of(samples, 44100)

    for other in (read_only, across, within, unaligned):
        stream = FeatureStream(44100)
        blocks = [other[:, begin : begin + n_samples] for begin in range(0, other.shape[1], n_samples)]
        assert_equal([w for b in blocks for w in stream.process(b)] + stream.flush(), expected)


def test_a_window_can_not_be_written_to_and_stays_as_it_is() -> None:
    """The arrays of a window are read-only, and no later window changes them."""
    samples = noise(SAMPLE_RATE)
    stream = FeatureStream(SAMPLE_RATE)
    first = stream.process(samples)[0]
    features, bands_db = first.features.copy(), first.bands_db.copy()
    stream.process(samples)

    for array, kept in ((first.features, features), (first.bands_db, bands_db)):
        np.testing.assert_array_equal(array, kept)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_the_first_block_finds_all_code_compiled() -> None:
    """A stream that is made has compiled all there is: no block, read-only or not, adds a variant."""
    stream = FeatureStream(48000)
    before = [list(function.signatures) for function in (kernel.mix, kernel.hop)]
    for samples in (noise(48000), np.asfortranarray(noise(48000, n_channels=3)), noise(48000)[:, ::2]):
        stream.process(samples)

    assert [list(function.signatures) for function in (kernel.mix, kernel.hop)] == before
    assert [len(signatures) for signatures in before] == [1, 1]


def test_names_and_settings_are_read_without_a_compiler() -> None:
    """Who imports the package, as most services do for its names, loads no compiler."""
    program = "import sys, soundsage.shared.features; sys.exit('numba' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_sample_rate_below_telephony_is_refused() -> None:
    """A source needs at least 8 kHz."""
    with pytest.raises(ValueError, match=f"sample_rate must be at least {MIN_SAMPLE_RATE} Hz, got 4000"):
        FeatureStream(4000)


def test_the_given_samples_are_left_as_they_were() -> None:
    """Processing does not write to a block."""
    samples = noise(SAMPLE_RATE)
    kept = samples.copy()
    FeatureStream(SAMPLE_RATE).process(samples)

    np.testing.assert_array_equal(samples, kept)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_windows_come_one_by_one_a_hop_apart(sample_rate: int) -> None:
    """Windows come one by one, a hop apart to within a block, although the resampler hands out several hops at once."""
    stream = FeatureStream(sample_rate)
    block = np.zeros((1, sample_rate // 200), np.float32)
    came = [n_blocks for n_blocks in range(1000) for _ in stream.process(block)]
    apart_s = np.diff(came) / 200
    assert len(came) > 50
    assert np.all(np.abs(apart_s - HOP_LENGTH / SAMPLE_RATE) < 1 / 200)
