"""A window of descriptor rows to the 80 features and the band levels.

Conventions
-----------
Rows have shape ``(n_frames, ROW_LENGTH)`` in time order, float64; results are float32. Features do not depend on the
level of the signal: levels are taken relative to the loudest frame of their window, and at most `LEVEL_RANGE_DB` below
it, so that a pause counts the same whether it is quiet or empty.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .descriptors import BANDS, DESCRIPTOR_NAMES, FLOOR_POWER, MEAN_SQUARE, N_DESCRIPTORS
from .levels import LEVEL_FLOOR_DB

if TYPE_CHECKING:
    from .filterbanks import Matrix

LEVEL_RANGE_DB = 60.0
"""Frames count as at most this much quieter than the loudest one, in dB."""

_LEVEL = DESCRIPTOR_NAMES.index("level_db")
_MEAN_NAMES = {"level_db": "mean_below_max"}

FEATURE_TABLE: tuple[tuple[str, str], ...] = (
    *((descriptor, _MEAN_NAMES.get(descriptor, "mean")) for descriptor in DESCRIPTOR_NAMES),
    *((descriptor, "std") for descriptor in DESCRIPTOR_NAMES),
)
"""Descriptor and statistic of each feature."""
FEATURE_NAMES: tuple[str, ...] = tuple(f"{descriptor}_{statistic}" for descriptor, statistic in FEATURE_TABLE)
"""Names of the 80 features, in their order."""
FEATURE_SET = "soundsage-80/v1"
"""Name of this list of features and of every setting behind it; a model states it."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class WindowSummary:
    """What the rows of one window say together. Arrays are read-only."""

    features: npt.NDArray[np.float32]
    """Shape (80,), in the order of `FEATURE_NAMES`; independent of the level."""
    bands_db: npt.NDArray[np.float32]
    """Shape (24,): third-octave levels of the mean power spectrum in dB relative to their mean."""
    level_db: float
    """RMS level of the window's frames in dBFS, at least `LEVEL_FLOOR_DB`."""


def summary_of(rows: Matrix) -> WindowSummary:
    """Return the features, band levels and level of a window.

    Parameters
    ----------
    rows : ndarray of shape (n_frames, ROW_LENGTH), float64
        In time order.

    Returns
    -------
    WindowSummary
        Features are 40 means, then 40 standard deviations, which divide by the number of frames.
    """
    means = rows.mean(axis=0)
    features, bands_db = _features(rows, means), _bands_db(means[BANDS])
    features.flags.writeable = bands_db.flags.writeable = False
    return WindowSummary(features=features, bands_db=bands_db, level_db=_level_db(means[MEAN_SQUARE]))


def _features(rows: Matrix, means: Matrix) -> npt.NDArray[np.float32]:
    levels = rows[:, _LEVEL]
    levels = np.maximum(levels - levels.max(), -LEVEL_RANGE_DB)
    means = means[:N_DESCRIPTORS].copy()
    deviations = rows[:, :N_DESCRIPTORS] - means
    means[_LEVEL] = levels.mean()
    deviations[:, _LEVEL] = levels - means[_LEVEL]
    stds = np.sqrt(np.einsum("ij,ij->j", deviations, deviations) / len(rows))
    return np.concatenate((means, stds), dtype=np.float32, casting="same_kind")


def _bands_db(power: Matrix) -> npt.NDArray[np.float32]:
    levels = 10.0 * np.log10(np.maximum(power, FLOOR_POWER))
    relative: npt.NDArray[np.float32] = (levels - levels.mean()).astype(np.float32)
    return relative


def _level_db(mean_square: float) -> float:
    return 10.0 * math.log10(max(mean_square, 10.0 ** (LEVEL_FLOOR_DB / 10.0)))
