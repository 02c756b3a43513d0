"""One frame of samples to one row of descriptors.

Conventions
-----------
A frame is `N_FFT` mono samples, float64, full scale 1.0, under a periodic Hann window. A row has the `DESCRIPTOR_NAMES`
first, then the power of the third-octave bands, then the mean square of the frame; `ROW_LENGTH` values, float64.
Logarithms have a fixed floor, `FLOOR_POWER`, and nothing is measured against the maximum of a longer input: a row
depends on its own frame alone, the onset strength also on the frame before.

Every descriptor but the level stays as it is when the signal is turned up or down, as long as its spectrum lies above
the floor. White noise of L dBFS has bins of L + 29 dB, so the floor is a noise of -189 dBFS: the dither of 16 bits,
turned down by 40 dB, stays 50 dB above it. A lower floor would let each digital pause weigh more.

Contrast, centroid, bandwidth and rolloff read the magnitude spectrum; mel, chroma, flatness and bands its square.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from .filterbanks import (
    BAND_FREQUENCIES_HZ,
    N_BINS,
    N_CHROMA,
    N_FFT,
    N_MELS,
    N_MFCC,
    Matrix,
    bin_frequencies_hz,
    chroma_bank,
    dct_matrix,
    mel_bank,
    slope_weights,
    third_octave_bank,
)

FLOOR_POWER = 1e-16
"""Smallest power of a bin or band that a logarithm sees: -160 dB."""
CONTRAST_EDGES_HZ = (0, 200, 400, 800, 1600, 3200, 6400)
"""Lower edges of the seven contrast bands in Hz; the last band ends with the spectrum."""
ROLLOFF_SHARE = 0.85
"""Share of the summed magnitude below the rolloff frequency."""

_PITCH_CLASSES = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")
_SCALARS = (
    "centroid_hz",
    "bandwidth_hz",
    "rolloff_hz",
    "flatness",
    "zero_crossing_rate",
    "onset_db",
    "slope_db_per_octave",
    "level_db",
)

DESCRIPTOR_NAMES: tuple[str, ...] = (
    *(f"mfcc_{n:02d}" for n in range(1, N_MFCC + 1)),
    *(f"chroma_{name}" for name in _PITCH_CLASSES),
    *(f"contrast_{edge}_hz" for edge in CONTRAST_EDGES_HZ),
    *_SCALARS,
)
"""The 40 descriptors of a frame, in the order of the row."""

N_DESCRIPTORS = len(DESCRIPTOR_NAMES)
N_BANDS = len(BAND_FREQUENCIES_HZ)
ROW_LENGTH = N_DESCRIPTORS + N_BANDS + 1
BANDS = slice(N_DESCRIPTORS, N_DESCRIPTORS + N_BANDS)
"""Columns of the third-octave band powers."""
MEAN_SQUARE = ROW_LENGTH - 1
"""Column of the mean square of the frame's samples."""

_MFCC = slice(0, N_MFCC)
_CHROMA = slice(N_MFCC, N_MFCC + N_CHROMA)
_CONTRAST = slice(_CHROMA.stop, _CHROMA.stop + len(CONTRAST_EDGES_HZ))
_REST = slice(_CONTRAST.stop, N_DESCRIPTORS)

_QUANTILE = 0.02
_DB_OF_LOG = 10.0 / math.log(10.0)
_TINY = np.finfo(np.float64).tiny


class FrameAnalyser:
    """Writes the descriptors of one frame after another; remembers one frame back, for the onset strength."""

    def __init__(self) -> None:
        self._window: Matrix = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
        self._chroma_bank = chroma_bank()
        self._bands = _Banded(np.concatenate((mel_bank(), third_octave_bank())))
        self._frequencies_hz = bin_frequencies_hz()
        self._dct = dct_matrix()
        self._log_weights = np.stack((np.full(N_BINS, 1.0 / N_BINS), slope_weights()))
        self._contrast = _Contrast()
        self._windowed = np.empty(N_FFT)
        self._spectrum = np.empty(N_FFT // 2 + 1, dtype=np.complex128)
        self._previous_mel_db: Matrix | None = None

    def reset(self) -> None:
        """Forget the frame before."""
        self._previous_mel_db = None

    def describe(self, frame: Matrix, row: Matrix) -> None:
        """Write the descriptors of a frame into a row.

        Parameters
        ----------
        frame : ndarray of shape (N_FFT,), float64
            Mono samples, full scale 1.0. Read only.
        row : ndarray of shape (ROW_LENGTH,), float64
            Is overwritten.
        """
        power = self._power(frame)
        magnitude = np.sqrt(power)
        summed = self._bands.sums(power)
        mel_db = _db(summed[:N_MELS])
        mean_square = float(frame @ frame) / N_FFT
        np.matmul(self._dct, mel_db, out=row[_MFCC])
        _normalise(self._chroma_bank @ power, out=row[_CHROMA])
        self._contrast.write(magnitude, out=row[_CONTRAST])
        flatness, slope = self._flatness_and_slope(power)
        row[_REST] = (
            *self._shape(magnitude),
            flatness,
            _zero_crossing_rate(frame),
            self._onset_db(mel_db),
            slope,
            10.0 * math.log10(max(mean_square, FLOOR_POWER)),
        )
        row[BANDS] = summed[N_MELS:]
        row[MEAN_SQUARE] = mean_square

    def _power(self, frame: Matrix) -> Matrix:
        np.multiply(frame, self._window, out=self._windowed)
        np.fft.rfft(self._windowed, out=self._spectrum)
        analysed = self._spectrum[:N_BINS]
        return analysed.real**2 + analysed.imag**2

    def _shape(self, magnitude: Matrix) -> tuple[float, float, float]:
        """Return centroid, bandwidth and rolloff in Hz; all 0 for digital silence."""
        running = np.cumsum(magnitude)
        total = running[-1]
        if total < _TINY:
            return 0.0, 0.0, 0.0
        share = magnitude / total
        centroid = float(share @ self._frequencies_hz)
        variance = float(share @ (self._frequencies_hz - centroid) ** 2)
        rolloff = float(self._frequencies_hz[np.searchsorted(running, ROLLOFF_SHARE * total)])
        return centroid, variance**0.5, rolloff

    def _flatness_and_slope(self, power: Matrix) -> tuple[float, float]:
        """Return geometric over arithmetic mean of the power, and the slope of its dB over the octaves."""
        floored = np.maximum(power, FLOOR_POWER)
        mean_log, slope = self._log_weights @ np.log(floored)
        return math.exp(mean_log) / float(floored.sum() / N_BINS), slope * _DB_OF_LOG

    def _onset_db(self, mel_db: Matrix) -> float:
        """Return the mean rise of the mel bands since the frame before in dB; 0 for the first frame."""
        previous, self._previous_mel_db = self._previous_mel_db, mel_db
        if previous is None:
            return 0.0
        return float(np.maximum(mel_db - previous, 0.0).sum()) / N_MELS


class _Banded:
    """A filter bank whose filters are narrow: only the weights that are not 0 are kept and read.

    The same as a matrix product, with a fortieth of the memory to fetch, which is what it costs in a process that
    sleeps between hops.
    """

    def __init__(self, bank: Matrix) -> None:
        filters, self._bins = np.nonzero(bank)
        self._weights = bank[filters, self._bins]
        self._starts = np.searchsorted(filters, np.arange(len(bank)))
        self._weighted = np.empty(len(self._bins))

    def sums(self, power: Matrix) -> Matrix:
        """Return the weighted sum of each filter, shape (n_filters,)."""
        np.take(power, self._bins, out=self._weighted, mode="clip")
        self._weighted *= self._weights
        sums: Matrix = np.add.reduceat(self._weighted, self._starts)
        return sums


class _Contrast:
    """Spectral contrast: peaks over valleys in seven bands (Jiang et al., ICME 2002).

    One buffer holds all bands side by side; each is sorted in place, and one pass sums the lowest and highest
    bins of all.
    """

    def __init__(self) -> None:
        edges, n_extremes = _contrast_layout()
        self._sorted = np.empty(N_BINS)
        self._bands = [self._sorted[a:b] for a, b in itertools.pairwise(edges)]
        valleys, peaks = edges[:-1], edges[1:] - n_extremes
        # Segments valley, middle, peak of each band; np.add.reduceat sums each one.
        self._segments = np.stack((valleys, valleys + n_extremes, peaks), axis=1).ravel()
        self._n_extremes = n_extremes

    def write(self, magnitude: Matrix, out: Matrix) -> None:
        """Write the contrast of a magnitude spectrum, 10 log10 of the ratio of magnitudes, shape (7,)."""
        np.copyto(self._sorted, magnitude)
        for band in self._bands:
            band.sort()
        sums = np.add.reduceat(self._sorted, self._segments)
        extremes = np.maximum(np.stack((sums[2::3], sums[0::3])) / self._n_extremes, FLOOR_POWER**0.5)
        np.log10(extremes[0] / extremes[1], out=out)
        out *= 10.0


def _contrast_layout() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the edges of the bands as bins, shape (8,), and how many bins make a peak or a valley, shape (7,).

    A band begins one bin below its lower edge. The quantile counts the bins of a band with both edges, hence the
    one more in all bands but the highest; at least one bin makes a peak.
    """
    first = np.searchsorted(bin_frequencies_hz(), CONTRAST_EDGES_HZ)
    edges = np.concatenate(([0], first[1:] - 1, [N_BINS]))
    counted = np.diff(edges) + (np.arange(len(CONTRAST_EDGES_HZ)) < len(CONTRAST_EDGES_HZ) - 1)
    return edges, np.maximum(np.rint(_QUANTILE * counted), 1).astype(np.intp)


def _db(power: Matrix) -> Matrix:
    """Return a power in dB, not below the floor."""
    decibels: Matrix = 10.0 * np.log10(np.maximum(power, FLOOR_POWER))
    return decibels


def _normalise(values: Matrix, out: Matrix) -> None:
    """Write values over their largest one; digital silence stays 0."""
    largest = values.max()
    np.divide(values, largest if largest >= _TINY else 1.0, out=out)


def _zero_crossing_rate(frame: Matrix) -> float:
    """Return the share of samples whose sign differs from the one before; zero counts as positive."""
    negative = frame < 0.0
    return int(np.count_nonzero(negative[1:] != negative[:-1])) / N_FFT
