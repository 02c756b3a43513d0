"""A window of descriptor rows to the 80 features and the band levels.

Conventions
-----------
Rows have shape ``(n_frames, ROW_LENGTH)`` in time order, float64; results are float32. Features do not depend on the
level of the signal: levels are taken relative to the loudest frame of their window, and at most `LEVEL_RANGE_DB` below
it, so that a pause counts the same whether it is quiet or empty.
"""

from __future__ import annotations

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


def features_of(rows: Matrix) -> npt.NDArray[np.float32]:
    """Return the features of a window: 40 means, then 40 standard deviations, in the order of `FEATURE_NAMES`.

    Parameters
    ----------
    rows : ndarray of shape (n_frames, ROW_LENGTH), float64

    Returns
    -------
    ndarray of shape (80,), float32
        Standard deviations divide by the number of frames.

    """
    descriptors = rows[:, :N_DESCRIPTORS].copy()
    levels = descriptors[:, _LEVEL]
    np.maximum(levels - levels.max(), -LEVEL_RANGE_DB, out=levels)
    means = descriptors.mean(axis=0)
    descriptors -= means
    deviations = np.sqrt(np.einsum("ij,ij->j", descriptors, descriptors) / len(rows))
    return np.concatenate((means, deviations), dtype=np.float32, casting="same_kind")


def bands_db_of(rows: Matrix) -> npt.NDArray[np.float32]:
    """Return the third-octave levels of the window's mean power spectrum relative to their mean, shape (24,), in dB."""
    levels = 10.0 * np.log10(np.maximum(rows[:, BANDS].mean(axis=0), FLOOR_POWER))
    relative: npt.NDArray[np.float32] = (levels - levels.mean()).astype(np.float32)
    return relative


def level_db_of(rows: Matrix) -> float:
    """Return the RMS level of the window's frames in dBFS, at least `LEVEL_FLOOR_DB`."""
    mean_square = rows[:, MEAN_SQUARE].mean()
    return float(10.0 * np.log10(max(mean_square, 10.0 ** (LEVEL_FLOOR_DB / 10.0))))
