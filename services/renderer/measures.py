"""What the renderer measures of itself, in memory that it has from the beginning."""

from __future__ import annotations

import numpy as np

__all__ = ["Samples"]


class Samples:
    """Measured values since they were last taken.

    Parameters
    ----------
    size : int
        How many there is room for; further ones take the place of the oldest.
    """

    def __init__(self, size: int) -> None:
        self._values = np.zeros(size, np.float32)
        self._n = 0

    def add(self, value: float) -> None:
        """Keep a value."""
        self._values[self._n % self._values.size] = value
        self._n += 1

    def take(self) -> np.ndarray:
        """Return the values, float32, and begin anew."""
        values = self._values[: min(self._n, self._values.size)].copy()
        self._n = 0
        return values
