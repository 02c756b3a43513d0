"""Levels of a stream over time.

Conventions
-----------
Levels are dBFS of a full scale of 1.0 (a full-scale sine has an RMS level of -3.01 dBFS); what is quieter than
`LEVEL_FLOOR_DB` is given that level.
"""

from __future__ import annotations

import math

import numpy as np

from .features.levels import LEVEL_FLOOR_DB

__all__ = ["LevelMeter"]

FLOOR = 10.0 ** (LEVEL_FLOOR_DB / 20.0)


class LevelMeter:
    """RMS and peak of each channel, over what came since they were last taken.

    Parameters
    ----------
    meter_hz : float
        How often levels are due.
    """

    def __init__(self, meter_hz: float) -> None:
        self._period_s = 1.0 / meter_hz
        self._energy = np.zeros(0)
        self._peak = np.zeros(0)
        self._n_samples = 0

    def add(self, samples: np.ndarray, sample_rate: int) -> bool:
        """Take a block of shape (n_channels, n_samples), float32, and return whether the levels are due.

        A block with a sample that is not finite has no level and is left out.
        """
        n_channels, n_samples = samples.shape
        energy = np.einsum("cn,cn->c", samples, samples, dtype=np.float64)
        if not all(map(math.isfinite, energy.tolist())):
            return False
        if n_channels != self._energy.size:
            self._clear(n_channels)
        self._energy += energy
        np.maximum(self._peak, samples.max(axis=1, initial=0.0), out=self._peak)
        np.maximum(self._peak, -samples.min(axis=1, initial=0.0), out=self._peak)
        self._n_samples += n_samples
        return self._n_samples >= self._period_s * sample_rate

    def take(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return RMS and peak of each channel in dBFS, and begin anew."""
        rms = np.sqrt(self._energy / max(self._n_samples, 1))
        levels = _db(rms), _db(self._peak)
        self._clear(self._energy.size)
        return levels

    def _clear(self, n_channels: int) -> None:
        self._energy = np.zeros(n_channels)
        self._peak = np.zeros(n_channels)
        self._n_samples = 0


def _db(amplitudes: np.ndarray) -> tuple[float, ...]:
    return tuple((20.0 * np.log10(np.maximum(amplitudes, FLOOR))).tolist())
