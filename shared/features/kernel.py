"""The compiled code of the features: mix the channels, describe a frame, summarise a window.

Conventions
-----------
All arithmetic is float64. No sum is reordered or fused (no ``fastmath``), and none depends on where a stream is cut or
where in a ring its samples lie. Sizes come from the shapes of the tables of :mod:`.filterbanks`; numbers that are
settings are arguments, because the cache of compiled code notices changes of this file alone.

Notes
-----
A service sleeps between hops, and a neighbour takes its caches meanwhile. A hop then costs what it fetches: code first,
since each layer of a library is code of its own, then lines of memory. Hence one pass of plain loops, tables without
zeros, and few arguments. Importing this module loads or compiles; only who measures sound does so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit, types

if TYPE_CHECKING:
    import numpy.typing as npt

    Vector = npt.NDArray[np.float64]
    Matrix = npt.NDArray[np.float64]
    Layout = npt.NDArray[np.int64]
    Samples = npt.NDArray[np.float32]

REFUSED = -1
"""What `mix` returns instead of a number of samples."""
FLOOR_POWER, ROLLOFF_SHARE, BIN_WIDTH_HZ, LEVEL_RANGE_DB, FLOOR_MEAN_SQUARE, N_SETTINGS = range(6)
"""Places in ``settings``, and how many there are."""

_N_PITCH_CLASSES = 12
_TINY = float(np.finfo(np.float64).tiny)
_DB_OF_LOG = 10.0 / math.log(10.0)

# Part of a message, which may be read-only and lie anywhere in any order, unlike what is ours.
_GIVEN = types.Array(types.float32, 2, "A", readonly=True, aligned=False)
_F4, _F8, _F8_2D, _I8_2D = types.float32[::1], types.float64[::1], types.float64[:, ::1], types.int64[:, ::1]


@njit(types.int64(_GIVEN, _F8, types.int64, types.int64), nogil=True, cache=True)
def mix(samples: Samples, ring: Vector, begin: int, n_most: int) -> int:
    """Write the average of the channels to a ring, and return the number of samples.

    Parameters
    ----------
    samples : ndarray of shape (n_channels, n_samples), float32
        Channels are added one after the other: another order would give other bits.
    ring : ndarray of shape (n,), float64
        n is a power of two.
    begin : int
        Place of the first sample, counted in samples without end.
    n_most : int
        Most samples that are taken; at most n.

    Returns
    -------
    int
        `REFUSED` if the block has no channels, is too long or is not finite. What was written of it does not count.
    """
    n_channels, n_samples = samples.shape
    if n_channels == 0 or n_samples > n_most:
        return REFUSED
    mask = ring.size - 1
    are_finite = True
    for index in range(n_samples):
        total = np.float64(samples[0, index])  # compiled, ``float`` would leave it a float32
        for channel in range(1, n_channels):
            total += samples[channel, index]
        are_finite &= math.isfinite(total)
        ring[(begin + index) & mask] = total / n_channels
    return n_samples if are_finite else REFUSED


@njit(nogil=True)
def _window(ring: Vector, begin: int, cosines: Vector, evens: Vector, odds: Vector) -> tuple[float, float]:
    """Write the frame under its window, and return its mean square and its rate of zero crossings.

    A hop begins at a quarter of a frame, so that each quarter lies in one piece. Zero counts as positive.
    """
    half, quarter = cosines.size - 1, cosines.size // 2
    evens_square = odds_square = 0.0
    n_crossings = 0
    was_negative = ring[begin & (ring.size - 1)] < 0.0
    for part in range(4):
        place = (begin + part * quarter) & (ring.size - 1)
        samples = ring[place : place + quarter]
        for pair in range(quarter // 2):
            left, right = samples[2 * pair], samples[2 * pair + 1]
            evens_square += left * left
            odds_square += right * right
            n_crossings += ((left < 0.0) != was_negative) + ((left < 0.0) != (right < 0.0))
            was_negative = right < 0.0
            even = part * quarter + 2 * pair
            to = even // 2
            evens[to] = left * (0.5 - 0.5 * cosines[even if even < half else 2 * half - even])
            odds[to] = right * (0.5 - 0.5 * cosines[even + 1 if even < half else 2 * half - even - 1])
    return (evens_square + odds_square) / (2 * half), n_crossings / (2 * half)


@njit(nogil=True)
def _radix_4(  # noqa: PLR0917 -- compiled code takes arrays, not objects
    real: Vector, imag: Vector, to_real: Vector, to_imag: Vector, stride: int, cosines: Vector
) -> None:
    """Do one pass of Stockham's transform: four points that lie a quarter apart become four that lie side by side.

    The inner loop runs over `stride` independent transforms; `cosines` holds half a period of twice the points.
    """
    quarter = real.size // 4
    right_angle = cosines.size // 2
    for step in range(quarter // stride):
        start = step * stride
        c1, s1 = cosines[2 * start], -cosines[right_angle - 2 * start]
        c2, s2 = c1 * c1 - s1 * s1, 2.0 * c1 * s1
        c3, s3 = c1 * c2 - s1 * s2, c1 * s2 + s1 * c2
        for offset in range(stride):
            index = start + offset
            second, third, fourth = index + quarter, index + 2 * quarter, index + 3 * quarter
            even_sum_r, even_sum_i = real[index] + real[third], imag[index] + imag[third]
            even_r, even_i = real[index] - real[third], imag[index] - imag[third]
            odd_sum_r, odd_sum_i = real[second] + real[fourth], imag[second] + imag[fourth]
            # The difference times the imaginary unit.
            odd_r, odd_i = imag[fourth] - imag[second], real[second] - real[fourth]
            to = index + 3 * start
            to_real[to] = even_sum_r + odd_sum_r
            to_imag[to] = even_sum_i + odd_sum_i
            r, i = even_r - odd_r, even_i - odd_i
            to_real[to + stride] = c1 * r - s1 * i
            to_imag[to + stride] = c1 * i + s1 * r
            r, i = even_sum_r - odd_sum_r, even_sum_i - odd_sum_i
            to_real[to + 2 * stride] = c2 * r - s2 * i
            to_imag[to + 2 * stride] = c2 * i + s2 * r
            r, i = even_r + odd_r, even_i + odd_i
            to_real[to + 3 * stride] = c3 * r - s3 * i
            to_imag[to + 3 * stride] = c3 * i + s3 * r


@njit(nogil=True)
def _real_spectrum_power(real: Vector, imag: Vector, cosines: Vector, power: Vector) -> None:
    """Write the power of a real signal's spectrum, all bins but the last, from that of its even and odd samples.

    Press et al., Numerical Recipes, "FFT of a single real function": bins `low` and `high` share their operands.
    """
    half, right_angle = real.size, real.size // 2
    power[0] = (real[0] + imag[0]) ** 2
    for low in range(1, right_angle + 1):
        high = half - low
        even_r, even_i = real[low] + real[high], imag[low] - imag[high]
        odd_r, odd_i = imag[low] + imag[high], real[high] - real[low]
        c, s = cosines[low], cosines[right_angle - low]
        turned_r, turned_i = c * odd_r + s * odd_i, c * odd_i - s * odd_r
        power[low] = 0.25 * ((even_r + turned_r) ** 2 + (even_i + turned_i) ** 2)
        power[high] = 0.25 * ((even_r - turned_r) ** 2 + (even_i - turned_i) ** 2)


@njit(nogil=True)
def _transform(ring: Vector, begin: int, cosines: Vector, work: Matrix) -> tuple[float, float]:
    """Leave the power spectrum of a frame in the first row of `work`; return its mean square and crossing rate."""
    mean_square, crossing_rate = _window(ring, begin, cosines, work[0], work[1])
    stride, here, there = 1, 0, 2  # an odd number of passes ends there
    while stride < work.shape[1]:
        _radix_4(work[here], work[here + 1], work[there], work[there + 1], stride, cosines)
        stride, here, there = 4 * stride, there, here
    _real_spectrum_power(work[here], work[here + 1], cosines, work[there])
    return mean_square, crossing_rate


@njit(nogil=True)
def _filter(power: Vector, weights: Vector, filters: Layout, sums: Vector) -> None:
    """Write the weighted sum of each filter; `filters` has the first bin and the number of bins of each."""
    place = 0
    for index in range(filters.shape[0]):
        first, n_bins = filters[index, 0], filters[index, 1]
        total = 0.0
        for offset in range(n_bins):
            total += weights[place + offset] * power[first + offset]
        sums[index] = total
        place += n_bins


@njit(nogil=True)
def _cepstrum(mel_db: Vector, cosine_rows: Matrix, out: Vector) -> None:
    for row in range(cosine_rows.shape[0]):
        total = 0.0
        for index in range(mel_db.size):
            total += cosine_rows[row, index] * mel_db[index]
        out[row] = total


@njit(nogil=True)
def _onset_db(mel_db: Vector, previous_mel_db: Vector) -> float:
    """Return the mean rise of the mel bands in dB, and let them be the previous ones."""
    total = 0.0
    for index in range(mel_db.size):
        total += max(mel_db[index] - previous_mel_db[index], 0.0)
        previous_mel_db[index] = mel_db[index]
    return total / mel_db.size


@njit(nogil=True)
def _chroma(power: Vector, bank: Matrix, out: Vector) -> None:
    """Write the power of each pitch class over the largest; digital silence stays 0."""
    for pitch_class in range(_N_PITCH_CLASSES):
        out[pitch_class] = 0.0
    for index in range(power.size):
        for pitch_class in range(_N_PITCH_CLASSES):
            out[pitch_class] += power[index] * bank[index, pitch_class]
    largest = 0.0
    for pitch_class in range(_N_PITCH_CLASSES):
        largest = max(largest, out[pitch_class])
    for pitch_class in range(_N_PITCH_CLASSES):
        out[pitch_class] /= largest if largest >= _TINY else 1.0


@njit(nogil=True)
def _insert(value: float, extremes: Vector, n_extremes: int) -> None:
    """Put a value among the smallest ones, which ascend, in place of the largest of them, if it is smaller."""
    place = n_extremes - 1
    if value >= extremes[place]:
        return
    while place > 0 and extremes[place - 1] > value:
        extremes[place] = extremes[place - 1]
        place -= 1
    extremes[place] = value


@njit(nogil=True)
def _contrast_db(magnitude: Vector, n_extremes: int, floor: float, lowest: Vector, negated_highest: Vector) -> float:
    """Return the mean of the highest bins over that of the lowest, 10 log10 of magnitudes.

    Few bins pass the first comparison, so this costs a reading and no sorting.
    """
    for place in range(n_extremes):
        lowest[place] = negated_highest[place] = np.inf
    for index in range(magnitude.size):
        _insert(magnitude[index], lowest, n_extremes)
        _insert(-magnitude[index], negated_highest, n_extremes)
    valley = peak = 0.0
    for place in range(n_extremes):
        valley += lowest[place] / n_extremes
        peak -= negated_highest[place] / n_extremes
    return _DB_OF_LOG * math.log(max(peak, floor) / max(valley, floor))


@njit(nogil=True)
def _shape(magnitude: Vector, bin_width_hz: float, rolloff_share: float, out: Vector) -> None:
    """Write centroid, bandwidth and rolloff in Hz; all 0 for digital silence."""
    total = moment = 0.0
    for index in range(magnitude.size):
        total += magnitude[index]
        moment += magnitude[index] * index
    out[0] = out[1] = out[2] = 0.0
    if total < _TINY:
        return
    centroid = moment / total
    spread = 0.0
    for index in range(magnitude.size):
        spread += magnitude[index] * (index - centroid) ** 2
    running, rolloff = magnitude[0], 0
    while running < rolloff_share * total:
        rolloff += 1
        running += magnitude[rolloff]
    out[0] = bin_width_hz * centroid
    out[1] = bin_width_hz * math.sqrt(spread / total)
    out[2] = bin_width_hz * rolloff


@njit(nogil=True)
def _flatness_and_slope(power: Vector, floor: float, slope_weights: Vector) -> tuple[float, float]:
    """Return geometric over arithmetic mean of the power, and the slope of its dB over the octaves."""
    total = log_total = slope = 0.0
    for index in range(power.size):
        floored = max(power[index], floor)
        log = math.log(floored)
        total += floored
        log_total += log
        slope += slope_weights[index] * log
    return math.exp(log_total / power.size) / (total / power.size), _DB_OF_LOG * slope


@njit(nogil=True)
def _describe(  # noqa: PLR0917 -- compiled code takes arrays, not objects
    ring: Vector,
    begin: int,
    row: Vector,
    previous_mel_db: Vector,
    cosines: Vector,
    weights: Vector,
    filters: Layout,
    cosine_rows: Matrix,
    chroma_bank: Matrix,
    slope_weights: Vector,
    contrast: Layout,
    settings: Vector,
    work: Matrix,
) -> None:
    """Write the row of one frame, in the order of :data:`.descriptors.DESCRIPTOR_NAMES`."""
    floor_power = settings[FLOOR_POWER]
    n_bins, (n_mfcc, n_mels), n_contrast = slope_weights.size, cosine_rows.shape, contrast.shape[0]
    rest = n_mfcc + _N_PITCH_CLASSES + n_contrast
    mean_square, crossing_rate = _transform(ring, begin, cosines, work)
    power, magnitude, spare = work[0, :n_bins], work[1, :n_bins], work[2]
    for index in range(n_bins):
        magnitude[index] = math.sqrt(power[index])
    row[rest + 3], row[rest + 6] = _flatness_and_slope(power, floor_power, slope_weights)
    row[rest + 4] = crossing_rate
    row[rest + 7] = _DB_OF_LOG * math.log(max(mean_square, floor_power))
    _shape(magnitude, settings[BIN_WIDTH_HZ], settings[ROLLOFF_SHARE], row[rest : rest + 3])
    _chroma(power, chroma_bank, row[n_mfcc : n_mfcc + _N_PITCH_CLASSES])
    for band in range(n_contrast):
        bins, n_extremes = magnitude[contrast[band, 0] : contrast[band, 1]], contrast[band, 2]
        row[rest - n_contrast + band] = _contrast_db(
            bins, n_extremes, math.sqrt(floor_power), spare, spare[n_extremes:]
        )
    sums, mel_db = spare[: filters.shape[0]], work[3, :n_mels]
    _filter(power, weights, filters, sums)
    for band in range(filters.shape[0] - n_mels):
        row[rest + 8 + band] = sums[n_mels + band]
    row[row.size - 1] = mean_square
    for index in range(n_mels):
        mel_db[index] = _DB_OF_LOG * math.log(max(sums[index], floor_power))
    _cepstrum(mel_db, cosine_rows, row[:n_mfcc])
    row[rest + 5] = _onset_db(mel_db, previous_mel_db)


@njit(nogil=True)
def _means(rows: Matrix, oldest: int, out: Vector) -> None:
    for column in range(out.size):
        out[column] = 0.0
    for age in range(rows.shape[0]):
        row = rows[(oldest + age) % rows.shape[0]]
        for column in range(out.size):
            out[column] += row[column]
    for column in range(out.size):
        out[column] /= rows.shape[0]


@njit(nogil=True)
def _standard_deviations(rows: Matrix, oldest: int, means: Vector, out: Vector) -> None:
    """Write the deviations of the first columns, divided by the number of rows, in a second pass over the rows."""
    for column in range(out.size):
        out[column] = 0.0
    for age in range(rows.shape[0]):
        row = rows[(oldest + age) % rows.shape[0]]
        for column in range(out.size):
            out[column] += (row[column] - means[column]) ** 2
    for column in range(out.size):
        out[column] = math.sqrt(out[column] / rows.shape[0])


@njit(nogil=True)
def _levels_below_max(rows: Matrix, oldest: int, column: int, range_db: float) -> tuple[float, float]:
    """Return mean and standard deviation of the level relative to the loudest frame, and at most a range below it."""
    loudest_db, n_frames = rows[0, column], rows.shape[0]
    for frame in range(n_frames):
        loudest_db = max(loudest_db, rows[frame, column])
    mean_db = square = 0.0
    for age in range(n_frames):
        mean_db += max(rows[(oldest + age) % n_frames, column] - loudest_db, -range_db) / n_frames
    for age in range(n_frames):
        square += (max(rows[(oldest + age) % n_frames, column] - loudest_db, -range_db) - mean_db) ** 2
    return mean_db, math.sqrt(square / n_frames)


@njit(nogil=True)
def _decibels(power: float, floor_power: float) -> float:
    return 10.0 * math.log10(max(power, floor_power))


@njit(nogil=True)
def _relative_db(power: Vector, floor_power: float, out: Samples) -> None:
    """Write levels of bands in dB relative to their mean."""
    mean_db = 0.0
    for band in range(power.size):
        mean_db += _decibels(power[band], floor_power) / power.size
    for band in range(power.size):
        out[band] = _decibels(power[band], floor_power) - mean_db


@njit(nogil=True)
def _summarise(rows: Matrix, oldest: int, settings: Vector, work: Matrix, results: Samples) -> float:
    """Write what the rows of a window say together, and return the level of the window in dBFS."""
    n_descriptors = results.size - rows.shape[1] + 1
    means, deviations, level = work[0, : rows.shape[1]], work[1, :n_descriptors], n_descriptors - 1
    _means(rows, oldest, means)
    _standard_deviations(rows, oldest, means, deviations)
    for column in range(n_descriptors):
        results[column] = means[column]
        results[n_descriptors + column] = deviations[column]
    mean_db, deviation_db = _levels_below_max(rows, oldest, level, settings[LEVEL_RANGE_DB])
    results[level], results[n_descriptors + level] = mean_db, deviation_db
    _relative_db(means[n_descriptors : means.size - 1], settings[FLOOR_POWER], results[2 * n_descriptors :])
    return _decibels(means[means.size - 1], settings[FLOOR_MEAN_SQUARE])


@njit(
    types.float64(
        _F8, types.int64, _F8_2D, types.int64, _F8, *[_F8] * 2, _I8_2D, *[_F8_2D] * 2, _F8, _I8_2D, _F8, _F8_2D, _F4
    ),
    nogil=True,
    cache=True,
)
def hop(  # noqa: PLR0917 -- compiled code takes arrays, not objects
    ring: Vector,
    begin: int,
    rows: Matrix,
    newest: int,
    previous_mel_db: Vector,
    cosines: Vector,
    weights: Vector,
    filters: Layout,
    cosine_rows: Matrix,
    chroma_bank: Matrix,
    slope_weights: Vector,
    contrast: Layout,
    settings: Vector,
    work: Matrix,
    results: Samples,
) -> float:
    """Describe the next frame, summarise the window that it completes, and return the level of the window in dBFS.

    Parameters
    ----------
    ring : ndarray of shape (n,), float64
        n is a power of two, and at least the length of a frame.
    begin : int
        Place of the frame's first sample in the ring, counted without end; a multiple of a quarter of the frame.
    rows : ndarray of shape (n_frames, n_descriptors + n_bands + 1), float64
        Rows of the frames: a ring in which time begins after the row `newest`, which is overwritten.
    previous_mel_db : ndarray of shape (n_mels,), float64
        Of the frame before, infinite if there was none; becomes that of this frame.
    cosines, weights, filters, cosine_rows, chroma_bank, slope_weights, contrast : ndarray
        As :class:`.filterbanks.Tables` has them.
    settings : ndarray of shape (N_SETTINGS,), float64
    work : ndarray of shape (4, n_fft / 2), float64
        Is overwritten.
    results : ndarray of shape (2 n_descriptors + n_bands,), float32
        Becomes means, standard deviations and band levels.
    """
    _describe(
        ring,
        begin,
        rows[newest],
        previous_mel_db,
        cosines,
        weights,
        filters,
        cosine_rows,
        chroma_bank,
        slope_weights,
        contrast,
        settings,
        work,
    )
    return _summarise(rows, (newest + 1) % rows.shape[0], settings, work, results)
