"""The filter banks against librosa and against what a band must do."""

from __future__ import annotations

import librosa
import numpy as np

from soundsage.shared.features import BAND_FREQUENCIES_HZ, FMAX_HZ, N_FFT, SAMPLE_RATE, filterbanks

# Only the order of float64 operations differs.
TOLERANCE = 1e-12


def test_the_mel_bank_is_librosas() -> None:
    """The mel bank is librosa's with Slaney's scale and area."""
    reference = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=filterbanks.N_MELS, fmax=FMAX_HZ, dtype=np.float64
    )
    bank = filterbanks.mel_bank()

    np.testing.assert_allclose(bank, reference[:, : filterbanks.N_BINS], atol=TOLERANCE)
    assert not reference[:, filterbanks.N_BINS :].any()


def test_the_chroma_bank_is_librosas() -> None:
    """The chroma bank is librosa's with tuning 0, cut at the highest analysed frequency."""
    reference = librosa.filters.chroma(sr=SAMPLE_RATE, n_fft=N_FFT, tuning=0.0, dtype=np.float64)

    np.testing.assert_allclose(filterbanks.chroma_bank(), reference[:, : filterbanks.N_BINS], atol=TOLERANCE)


def test_every_mel_filter_sees_a_bin() -> None:
    """No mel filter falls between two bins."""
    assert (filterbanks.mel_bank().max(axis=1) > 0).all()


def test_the_third_octaves_share_every_bin_between_their_edges() -> None:
    """Between the lowest and the highest edge each bin's power is counted once in total."""
    shares = filterbanks.third_octave_bank().sum(axis=0)
    frequencies_hz = filterbanks.bin_frequencies_hz()
    inside = (frequencies_hz > 45) & (frequencies_hz < 8900)

    np.testing.assert_allclose(shares[inside], 1.0, atol=1e-9)
    assert not shares[frequencies_hz > 9000].any()


def test_each_third_octave_is_as_wide_as_its_edges_say() -> None:
    """A band holds as many bins, in parts, as fit between its edges."""
    centres = np.asarray(BAND_FREQUENCIES_HZ)
    widths_hz = filterbanks.third_octave_bank().sum(axis=1) * SAMPLE_RATE / N_FFT

    np.testing.assert_allclose(widths_hz, centres * (2 ** (1 / 6) - 2 ** (-1 / 6)), rtol=1e-9)


def test_the_third_octave_centres_span_39_hz_to_8_khz() -> None:
    """The 24 centres are 1 kHz times powers of the cube root of two."""
    assert len(BAND_FREQUENCIES_HZ) == 24
    np.testing.assert_allclose(BAND_FREQUENCIES_HZ[0], 39.37, atol=0.01)
    assert BAND_FREQUENCIES_HZ[14] == 1000.0
    assert BAND_FREQUENCIES_HZ[-1] == 8000.0


def test_the_cosine_rows_are_orthonormal() -> None:
    """The rows of the cosine transform have length 1, are perpendicular, and ignore a constant."""
    rows = filterbanks.dct_matrix()

    np.testing.assert_allclose(rows @ rows.T, np.eye(filterbanks.N_MFCC), atol=TOLERANCE)
    np.testing.assert_allclose(rows.sum(axis=1), 0.0, atol=TOLERANCE)


def test_a_spectrum_falling_six_db_per_octave_has_that_slope() -> None:
    """The slope of a straight line over the octaves is its slope; its height does not matter."""
    frequencies_hz = np.maximum(filterbanks.bin_frequencies_hz(), 1.0)
    spectrum_db = 30.0 - 6.0 * np.log2(frequencies_hz)

    np.testing.assert_allclose(filterbanks.slope_weights() @ spectrum_db, -6.0, rtol=1e-9)


def test_the_tables_without_zeros_are_the_banks() -> None:
    """The weights and bins that the kernel reads make up the mel and third-octave banks."""
    tables = filterbanks.kernel_tables()
    bank = np.concatenate((filterbanks.mel_bank(), filterbanks.third_octave_bank()))
    places = np.concatenate(([0], np.cumsum(tables.filters[:, 1])))
    rebuilt = np.zeros_like(bank)
    for row, (first, n_bins), place in zip(rebuilt, tables.filters, places[:-1], strict=True):
        row[first : first + n_bins] = tables.weights[place : place + n_bins]

    np.testing.assert_array_equal(rebuilt, bank)
    assert places[-1] == len(tables.weights)


def test_the_contrast_bands_share_all_bins() -> None:
    """Each contrast band begins where the one below ends, and its peaks and valleys fit into it."""
    first, stop, n_extremes = filterbanks.contrast_layout().T

    np.testing.assert_array_equal(first[1:], stop[:-1])
    assert (first[0], stop[-1]) == (0, filterbanks.N_BINS)
    assert ((n_extremes >= 1) & (2 * n_extremes <= stop - first)).all()
