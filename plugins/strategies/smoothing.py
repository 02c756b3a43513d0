"""What the strategies share: values that follow the music over seconds, and how sure a posterior is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from soundsage.shared.messages import GenrePosterior

__all__ = ["LIMIT_DB", "MUSIC_STATES", "Smoothed", "strength_of"]

LIMIT_DB = 3.0
"""Most that a strategy moves a band by itself, dB: what mastering engineers allow a matching tool."""

MUSIC_STATES = ("genre", "uncertain")
"""States in which music plays; in all others a strategy keeps its hands off."""

_PAUSES = ("silence", "no_signal")
_TIME_CONSTANT_S = 5.0


class Smoothed:
    """A vector that follows others exponentially, in stream time.

    Parameters
    ----------
    time_constant_s : float
        After this time it has covered 63 % of a step.

    Notes
    -----
    It begins at a value that means nothing yet, so that the first seconds of a song move little. A pause, another
    stream or time that runs backwards begin it anew: what follows may be another song.
    """

    def __init__(self, time_constant_s: float = _TIME_CONSTANT_S) -> None:
        self._time_constant_s = time_constant_s
        self._value: np.ndarray | None = None
        self._stream = ""
        self._time_s = 0.0

    def follow(self, posterior: GenrePosterior, value: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the smoothed value at the time of the posterior.

        Parameters
        ----------
        posterior : GenrePosterior
            Says when, in which stream, and whether music plays.
        value, start : ndarray of shape (n,), float64
            Where to go, and where to begin.
        """
        if posterior.state in _PAUSES:
            self._value = None
            return start
        is_new = posterior.stream != self._stream or posterior.time_s < self._time_s
        before = start if is_new or self._value is None or self._value.shape != value.shape else self._value
        elapsed_s = 0.0 if is_new or self._value is None else posterior.time_s - self._time_s
        self._stream, self._time_s = posterior.stream, posterior.time_s
        # Speech or noise in between is waited out: it says nothing about the music.
        step = -math.expm1(-elapsed_s / self._time_constant_s) if posterior.state in MUSIC_STATES else 0.0
        self._value = before + step * (value - before)
        return self._value


def strength_of(probabilities: np.ndarray) -> float:
    """Return how far the largest probability lies above chance: 0 at chance, 1 at certainty.

    Examples
    --------
    >>> strength_of(np.array([0.25, 0.25, 0.25, 0.25]))
    0.0
    >>> strength_of(np.array([0.0, 1.0]))
    1.0
    """
    chance = 1.0 / len(probabilities)
    if len(probabilities) == 1:
        return 0.0
    return float(np.clip((probabilities.max() - chance) / (1.0 - chance), 0.0, 1.0))
