"""The compiled parts one by one: the transform against numpy and theory, the selection against sorting, the mixing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soundsage.shared.features import HOP_LENGTH, N_FFT, kernel
from soundsage.shared.features.filterbanks import kernel_tables

N_BINS = N_FFT // 2  # the highest bin is never analysed
WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
# Of the largest bin: float64, and a few roundings in each of the five passes.
TOLERANCE = 1e-14

signals = arrays.arrays(np.float64, N_FFT, elements=st.floats(-1.0, 1.0, width=32))


def transformed(ring, begin=0):
    """Return power spectrum, mean square and rate of zero crossings of a frame."""
    work = np.full((4, N_FFT // 2), np.nan)
    mean_square, crossing_rate = kernel._transform(ring, begin, kernel_tables().cosines, work)
    return work[0, :N_BINS].copy(), mean_square, crossing_rate


def reference(frame):
    """Return the power spectrum as numpy has it."""
    return np.abs(np.fft.rfft(frame * WINDOW)[:N_BINS]) ** 2


def assert_close(power, expected):
    """Assert that amplitudes agree, relative to the largest."""
    largest = np.sqrt(expected.max())
    np.testing.assert_allclose(np.sqrt(power), np.sqrt(expected), rtol=0, atol=TOLERANCE * largest + 1e-300)


@given(signals)
@settings(deadline=None)
def test_the_transform_is_numpys(frame):
    """The power spectrum of any frame is that of numpy under a Hann window."""
    assert_close(transformed(frame)[0], reference(frame))


@pytest.mark.parametrize("seed", range(5))
def test_the_transform_of_noise_is_numpys(seed):
    """The power spectrum of noise, in which every bin counts, is numpy's."""
    frame = np.random.default_rng(seed).standard_normal(N_FFT)

    assert_close(transformed(frame)[0], reference(frame))


@pytest.mark.parametrize("place", [0, 1, 2, 511, 512, 1023, 1024, 1025, 2047])
def test_a_click_has_the_power_of_the_window_in_every_bin(place):
    """A single sample has a flat spectrum, as high as the window where it stands."""
    frame = np.zeros(N_FFT)
    frame[place] = 1.0

    np.testing.assert_allclose(transformed(frame)[0], WINDOW[place] ** 2, rtol=1e-13, atol=1e-30)


@pytest.mark.parametrize("bin_", [3, 100, 511, 512, 513, 1000])
def test_a_sine_of_a_bin_has_its_power_there_and_a_quarter_beside(bin_):
    """Hann's window shows a sine on a bin as a quarter of its length there, an eighth on both sides, else nothing."""
    power = transformed(np.cos(2 * np.pi * bin_ * np.arange(N_FFT) / N_FFT))[0]
    expected = np.zeros(N_BINS)
    expected[bin_ - 1 : bin_ + 2] = (N_FFT / np.array([8, 4, 8])) ** 2

    np.testing.assert_allclose(power, expected, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("n_hops", [1, 13, 14, 15, 16, 1000])
def test_it_does_not_matter_where_in_a_ring_a_frame_lies(n_hops):
    """A frame at any hop of a ring, also one that begins at its end, gives the same bits."""
    frame, begin = np.random.default_rng(440).standard_normal(N_FFT), n_hops * HOP_LENGTH
    ring = np.full(8192, np.nan)
    ring[(begin + np.arange(N_FFT)) % 8192] = frame

    power, *others = transformed(ring, begin)
    expected, *expected_others = transformed(frame)
    np.testing.assert_array_equal(power, expected)
    assert others == expected_others


@given(signals)
@settings(deadline=None)
def test_mean_square_and_crossings_are_those_of_the_frame(frame):
    """Both are of the samples themselves, not of those under the window; zero counts as positive."""
    _, mean_square, crossing_rate = transformed(frame)

    np.testing.assert_allclose(mean_square, np.mean(frame**2), rtol=1e-12)
    assert crossing_rate == np.count_nonzero(np.diff(frame < 0)) / N_FFT


@given(
    st.integers(1, 7).flatmap(
        lambda n: st.tuples(st.just(n), arrays.arrays(np.float64, st.integers(2 * n, 60), elements=st.floats(0, 1e3)))
    )
)
@settings(deadline=None)
def test_the_contrast_is_that_of_the_sorted_bins(drawn):
    """Peaks and valleys are the means of the last and the first of the sorted bins, also of equal ones."""
    n_extremes, magnitude = drawn
    ordered, floor = np.sort(magnitude), 1e-8
    peak, valley = (max(part.mean(), floor) for part in (ordered[-n_extremes:], ordered[:n_extremes]))
    contrast_db = kernel._contrast_db(magnitude, n_extremes, floor, np.empty(8), np.empty(8))

    np.testing.assert_allclose(contrast_db, 10 * np.log10(peak / valley), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("begin", [0, 3, 60, 64, 1_000_001])
@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_channels_are_averaged_into_the_ring(begin, n_channels):
    """The ring holds the average of the channels from the place on, over its end, and nothing else is touched."""
    samples = np.random.default_rng(440).standard_normal((n_channels, 40), dtype=np.float32)
    ring = np.full(64, -1.0)
    places = (begin + np.arange(40)) % 64

    assert kernel.mix(samples, ring, begin, 40) == 40
    np.testing.assert_allclose(ring[places], samples.astype(np.float64).mean(axis=0), rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(np.delete(ring, places), -1.0)


@pytest.mark.parametrize("samples", [np.zeros((0, 4)), np.zeros((1, 9)), [[0.0, np.nan]], [[np.inf], [-np.inf]]])
def test_a_block_without_channels_too_long_or_not_finite_is_refused(samples):
    """Of such a block no number of samples is returned."""
    assert kernel.mix(np.asarray(samples, dtype=np.float32), np.zeros(16), 0, 8) == kernel.REFUSED
