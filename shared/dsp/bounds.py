"""Keep curves within what ears and masters stand: limits on gain and on the sum of the bands, and how fast they move.

Conventions
-----------
Gains are in dB. A limit holds for boost and cut alike, from 20 Hz to 20 kHz.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from .bands import N_SECTIONS
from .design import design, response_db

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .bands import EqBand

    FloatArray = npt.NDArray[np.float64]

LIMIT_DB = 6.0
"""Most that a curve may raise or lower any frequency, in dB, unless the caller knows better."""

SLEW_DB_PER_S = 0.5
"""Fastest automatic change of a band: slow enough to go unnoticed, fast enough for the next song."""

_AUDIBLE_HZ = (20.0, 20_000.0)

_POINTS_PER_OCTAVE = 24

# A narrow peak lies within its bandwidth of a pole or a zero; in fractions of that bandwidth, denser inside.
_AROUND = np.array(
    [-1.5, -1.0, -0.7, -0.5, -0.35, -0.25, -0.15, -0.07, 0.0, 0.07, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.5]
)

# Each round lowers the curve at least this much, so that the search for a scale ends.
_STEP = 0.999


def bound_bands(
    bands: Sequence[EqBand],
    limit_db: float = LIMIT_DB,
    sample_rate: int = 48_000,
) -> tuple[tuple[EqBand, ...], int]:
    """Return the bands with gains lowered until no audible frequency is moved by more than the limit.

    Parameters
    ----------
    bands : sequence of at most 16 EqBand
        What was asked for.
    limit_db : float
        Limit on each gain and on the response of all bands together, above 0 dB.
    sample_rate : int
        Rate at which the curve will be rendered, in Hz.

    Returns
    -------
    bands : tuple of EqBand
        The same bands in the same order. Each gain is clipped to the limit, then all are scaled by one factor if their
        sum still exceeds it, so that the curve keeps its shape.
    n_bounded : int
        How many bands have another gain than asked for.

    Raises
    ------
    ValueError
        If there are more than 16 bands, a band is not finite, or the limit is not a positive number.

    Examples
    --------
    >>> from soundsage.shared.dsp import EqBand
    >>> bound_bands([EqBand("peaking", 1000.0, 9.0, 1.0)])
    ((EqBand(kind='peaking', frequency_hz=1000.0, gain_db=6.0, q=1.0),), 1)
    """
    _require_curve(bands)
    if not (math.isfinite(limit_db) and limit_db > 0.0):
        raise ValueError(f"limit_db must be a positive number, got {limit_db}")
    bounded = tuple(_with_gain(band, min(max(band.gain_db, -limit_db), limit_db)) for band in bands)
    while (peak_db := _audible_peak_db(bounded, sample_rate)) > limit_db:
        scale = min(_STEP, limit_db / peak_db)
        bounded = tuple(_with_gain(band, band.gain_db * scale) for band in bounded)
    return bounded, sum(after.gain_db != before.gain_db for after, before in zip(bounded, bands, strict=True))


def headroom_db(bands: Sequence[EqBand], sample_rate: int) -> float:
    """Return the gain that brings the highest peak of the curve down to 0 dB.

    Parameters
    ----------
    bands : sequence of at most 16 EqBand
        The curve.
    sample_rate : int
        Rate at which it is rendered, in Hz.

    Returns
    -------
    float
        In dB, 0 or below: a curve that only cuts is not made louder.

    Raises
    ------
    ValueError
        If there are more than 16 bands, or a band is not finite.
    """
    _require_curve(bands)
    sos = design(bands, sample_rate)
    grid = np.append(0.0, _grid_hz(bands, 5.0, 0.5 * sample_rate))
    highest = int(np.argmax(response_db(sos, grid, sample_rate)))
    # The true peak lies between the neighbours of the highest point.
    near = np.linspace(grid[max(highest - 1, 0)], grid[min(highest + 1, grid.size - 1)], 129)
    peak_db = np.max(response_db(sos, np.append(near, grid[highest]), sample_rate))
    return min(0.0, -float(peak_db))


def _require_curve(bands: Sequence[EqBand]) -> None:
    if len(bands) > N_SECTIONS:
        raise ValueError(f"bands must be at most {N_SECTIONS}, got {len(bands)}")
    for index, band in enumerate(bands):
        if not all(math.isfinite(value) for value in (band.frequency_hz, band.gain_db, band.q)):
            raise ValueError(f"bands[{index}] must be finite, got {band}")


def _audible_peak_db(bands: Sequence[EqBand], sample_rate: int) -> float:
    grid = _grid_hz(bands, _AUDIBLE_HZ[0], min(_AUDIBLE_HZ[1], 0.5 * sample_rate))
    # A band alone reaches its own gain at its centre but for the last digits, which are no excess.
    return round(float(np.max(np.abs(response_db(design(bands, sample_rate), grid, sample_rate)))), 6)


def _grid_hz(bands: Sequence[EqBand], lowest_hz: float, highest_hz: float) -> FloatArray:
    n_points = round(_POINTS_PER_OCTAVE * math.log2(highest_hz / lowest_hz))
    points = [np.geomspace(lowest_hz, highest_hz, n_points), *(_near_hz(band) for band in bands)]
    return np.unique(np.clip(np.concatenate(points), lowest_hz, highest_hz))


def _near_hz(band: EqBand) -> FloatArray:
    # The poles and zeros of a bell lie at its frequency, those of a shelf on either side.
    spread = 1.0 if band.kind == "peaking" else 10.0 ** (band.gain_db / 80.0)
    centres_hz = np.array([band.frequency_hz / spread, band.frequency_hz * spread])
    return np.outer(centres_hz, np.exp(_AROUND / band.q)).ravel()


def _with_gain(band: EqBand, gain_db: float) -> EqBand:
    return band if gain_db == band.gain_db else msgspec.structs.replace(band, gain_db=gain_db)
