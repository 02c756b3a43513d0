"""All conversions between units, `a_to_b`."""

from __future__ import annotations

import math

__all__ = ["amplitude_to_db", "db_to_amplitude", "samples_to_s"]


def db_to_amplitude(gain_db: float) -> float:
    """Return the factor of a gain.

    Examples
    --------
    >>> db_to_amplitude(0.0)
    1.0
    >>> round(db_to_amplitude(-6.0206), 4)
    0.5
    """
    return float(10.0 ** (gain_db / 20.0))


def amplitude_to_db(amplitude: float) -> float:
    """Return the level of an amplitude above 0.

    Examples
    --------
    >>> amplitude_to_db(1.0)
    0.0
    """
    return 20.0 * math.log10(amplitude)


def samples_to_s(n_samples: int, sample_rate: int) -> float:
    """Return how long so many samples last.

    Examples
    --------
    >>> samples_to_s(24_000, 48_000)
    0.5
    """
    return n_samples / sample_rate
