"""The fixed tables that turn one frame into mel bands, chroma, third-octave bands, contrast bands and MFCC.

Conventions
-----------
All banks have shape ``(n_filters, N_BINS)``, float64, and are applied to a *power* spectrum of the lowest `N_BINS`
bins of an `N_FFT`-point transform at `SAMPLE_RATE`. The spectrum ends at `FMAX_HZ`: above it lies the transition band
of the resampler, whose emptiness would tell the sample rate of a source instead of its sound. The formulas are written
out here because a filter bank is no reason to load a whole analysis library into a live process.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Layout = npt.NDArray[np.int64]

SAMPLE_RATE = 22050
"""Model rate in Hz, int."""
N_FFT = 2048
"""Samples per analysis frame, 92.9 ms."""
HOP_LENGTH = 512
"""Samples between frames, 23.2 ms."""
FMAX_HZ = 10_000.0
"""Highest analysed frequency in Hz."""
N_BINS = math.floor(FMAX_HZ * N_FFT / SAMPLE_RATE) + 1
"""Analysed bins of the spectrum, from 0 Hz to at most `FMAX_HZ`."""
N_MELS = 64
"""Mel bands from 0 Hz to `FMAX_HZ`."""
N_MFCC = 13
"""Cepstral coefficients 1 to 13; coefficient 0 is the level and left out."""
N_CHROMA = 12
"""Pitch classes, from C, A at 440 Hz."""
BAND_FREQUENCIES_HZ: tuple[float, ...] = tuple(1000.0 * 2.0 ** (n / 3) for n in range(-14, 10))
"""Centres of the 24 third-octave bands in Hz, 39.4 Hz to 8 kHz."""
CONTRAST_EDGES_HZ = (0, 200, 400, 800, 1600, 3200, 6400)
"""Lower edges of the seven contrast bands in Hz; the last band ends with the spectrum."""

_MEL_SPACING_HZ = 200.0 / 3  # Slaney: linear up to 1 kHz, ...
_LOG_START_HZ = 1000.0
_LOG_STEP = math.log(6.4) / 27.0  # ... then 27 mels for a factor of 6.4
_CHROMA_CENTRE_OCTAVE = 5.0  # octaves above A0 = 27.5 Hz: 880 Hz weighs most
_CHROMA_WIDTH_OCTAVES = 2.0
_CONTRAST_QUANTILE = 0.02


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Tables:
    """What the kernel reads to describe a frame."""

    cosines: Matrix
    """Half a period of a cosine of N_FFT points, shape (N_FFT / 2 + 1,): the periodic Hann window and all twiddles."""
    weights: Matrix
    """The weights that are not 0 of the mel and then of the third-octave filters, side by side."""
    filters: Layout
    """First bin and number of bins of each of these filters, shape (n_filters, 2)."""
    cosine_rows: Matrix
    """As `dct_matrix` has it."""
    chroma_bank: Matrix
    """As `chroma_bank` has it, transposed: all weights of a bin are read together."""
    slope_weights: Matrix
    """As `slope_weights` has it."""
    contrast: Layout
    """As `contrast_layout` has it."""


@functools.cache
def bin_frequencies_hz() -> Matrix:
    """Return the frequencies of the analysed bins, shape (N_BINS,), in Hz."""
    return np.arange(N_BINS, dtype=np.float64) * (SAMPLE_RATE / N_FFT)


@functools.cache
def mel_bank() -> Matrix:
    """Return triangular mel filters of equal area, shape (N_MELS, N_BINS).

    Notes
    -----
    Slaney's mel scale and area normalisation (Auditory Toolbox, 1998).
    """
    edges_hz = _hz_of_mel(np.linspace(0.0, _mel_of_hz(FMAX_HZ), N_MELS + 2))[:, np.newaxis]
    widths_hz = np.diff(edges_hz, axis=0)
    ramps_hz = edges_hz - bin_frequencies_hz()
    triangles = np.minimum(-ramps_hz[:-2] / widths_hz[:-1], ramps_hz[2:] / widths_hz[1:])
    area: Matrix = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return np.maximum(0.0, triangles) * area


@functools.cache
def chroma_bank() -> Matrix:
    """Return one filter for each pitch class from C, shape (N_CHROMA, N_BINS).

    Each bin spreads over the pitch classes as a Gaussian of its own width in semitones, scaled to unit length, and
    weighs by a Gaussian of its distance from the centre octave.

    Notes
    -----
    Ellis, "Chroma feature analysis and synthesis" (2007), equal temperament with A at 440 Hz.
    """
    semitones = _semitones_above_a0()
    widths = np.maximum(np.diff(semitones), 1.0)
    semitones = semitones[:-1]
    distance = semitones - np.arange(N_CHROMA)[:, np.newaxis]
    wrapped = np.remainder(distance + N_CHROMA / 2, N_CHROMA) - N_CHROMA / 2
    bumps = np.exp(-0.5 * (2.0 * wrapped / widths) ** 2)
    bumps /= np.sqrt(np.sum(bumps**2, axis=0))
    octaves_off = semitones / N_CHROMA - _CHROMA_CENTRE_OCTAVE
    weighted = bumps * np.exp(-0.5 * (octaves_off / _CHROMA_WIDTH_OCTAVES) ** 2)
    return np.roll(weighted, -3, axis=0)  # A first becomes C first


@functools.cache
def third_octave_bank() -> Matrix:
    """Return rectangular bands around `BAND_FREQUENCIES_HZ`, shape (24, N_BINS).

    A bin counts with the part of its own width that lies in the band, so that neighbouring bands share no power and
    lose none. Below about 100 Hz a band is narrower than the main lobe of the window and also shows its neighbours.
    """
    centres = np.asarray(BAND_FREQUENCIES_HZ)[:, np.newaxis]
    bin_width_hz = SAMPLE_RATE / N_FFT
    low = np.maximum(bin_frequencies_hz() - bin_width_hz / 2, centres * 2.0 ** (-1 / 6))
    high = np.minimum(bin_frequencies_hz() + bin_width_hz / 2, centres * 2.0 ** (1 / 6))
    shares: Matrix = np.maximum(0.0, high - low) / bin_width_hz
    return shares


@functools.cache
def dct_matrix() -> Matrix:
    """Return rows 1 to N_MFCC of the orthonormal DCT-II, shape (N_MFCC, N_MELS)."""
    order = np.arange(1, N_MFCC + 1)[:, np.newaxis]
    phase = np.pi * order * (np.arange(N_MELS) + 0.5) / N_MELS
    rows: Matrix = np.sqrt(2.0 / N_MELS) * np.cos(phase)
    return rows


@functools.cache
def slope_weights() -> Matrix:
    """Return the weights whose product with a spectrum in dB is its slope in dB per octave, shape (N_BINS,).

    Least squares over the bins above 0 Hz against the logarithm of frequency.
    """
    octaves = np.log2(bin_frequencies_hz()[1:])
    octaves -= octaves.mean()
    return np.concatenate(([0.0], octaves / np.sum(octaves**2)))


@functools.cache
def contrast_layout() -> Layout:
    """Return first bin, end, and number of bins that make a peak or a valley, of each contrast band, shape (7, 3).

    A band begins one bin below its lower edge. The quantile counts the bins of a band with both edges, hence the
    one more in all bands but the highest; at least one bin makes a peak.

    Notes
    -----
    Jiang et al., "Music type classification by spectral contrast feature" (ICME 2002), with librosa's bands.
    """
    first = np.searchsorted(bin_frequencies_hz(), CONTRAST_EDGES_HZ)
    edges = np.concatenate(([0], first[1:] - 1, [N_BINS]))
    counted = np.diff(edges) + (np.arange(len(CONTRAST_EDGES_HZ)) < len(CONTRAST_EDGES_HZ) - 1)
    n_extremes = np.maximum(np.rint(_CONTRAST_QUANTILE * counted), 1)
    return np.stack((edges[:-1], edges[1:], n_extremes), axis=1).astype(np.int64)


@functools.cache
def kernel_tables() -> Tables:
    """Return the tables of the kernel, which all streams of a process share."""
    weights, filters = _without_zeros(np.concatenate((mel_bank(), third_octave_bank())))
    return Tables(
        cosines=np.cos(2.0 * np.pi * np.arange(N_FFT // 2 + 1) / N_FFT),
        weights=weights,
        filters=filters,
        cosine_rows=dct_matrix(),
        chroma_bank=np.ascontiguousarray(chroma_bank().T),
        slope_weights=slope_weights(),
        contrast=contrast_layout(),
    )


def _without_zeros(bank: Matrix) -> tuple[Matrix, Layout]:
    """Return the weights of narrow filters that are not 0, and first bin and number of bins of each filter."""
    spans = [np.flatnonzero(filter_)[[0, -1]] for filter_ in bank]
    weights = np.concatenate([filter_[first : last + 1] for filter_, (first, last) in zip(bank, spans, strict=True)])
    return weights, np.array([(first, last + 1 - first) for first, last in spans], dtype=np.int64)


def _mel_of_hz(frequency_hz: float) -> float:
    """Return a frequency above 1 kHz on Slaney's mel scale."""
    return _LOG_START_HZ / _MEL_SPACING_HZ + math.log(frequency_hz / _LOG_START_HZ) / _LOG_STEP


def _hz_of_mel(mels: Matrix) -> Matrix:
    """Return the frequencies in Hz of points of Slaney's mel scale."""
    above = mels - _LOG_START_HZ / _MEL_SPACING_HZ
    return np.where(above < 0.0, mels * _MEL_SPACING_HZ, _LOG_START_HZ * np.exp(above * _LOG_STEP))


def _semitones_above_a0() -> Matrix:
    """Return the pitches of N_BINS + 1 bins; 0 Hz, which has none, lies 1.5 octaves under the first bin."""
    frequencies_hz = np.arange(1, N_BINS + 1) * (SAMPLE_RATE / N_FFT)
    semitones = N_CHROMA * np.log2(frequencies_hz / 27.5)
    return np.concatenate(([semitones[0] - 1.5 * N_CHROMA], semitones))
