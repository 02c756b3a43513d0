"""A window of descriptor rows to the 80 features and the band levels.

Conventions
-----------
Rows have shape ``(n_frames, ROW_LENGTH)`` in time order, float64; results are float32. Features do not depend on the
level of the signal: levels are taken relative to the loudest frame of their window, and at most `LEVEL_RANGE_DB` below
it, so that a pause counts the same whether it is quiet or empty.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from .descriptors import DESCRIPTOR_NAMES

LEVEL_RANGE_DB = 60.0
"""Frames count as at most this much quieter than the loudest one, in dB."""

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
