"""Equalise music at random, so that a model can learn the way back.

Conventions
-----------
A curve is ten gains in dB for `GRAPHIC_FREQUENCIES_HZ`, rendered by the same sections as in the renderer; the curve of
negated gains is its exact inverse.
"""

from __future__ import annotations

import numpy as np

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ, design, graphic_bands

__all__ = ["LIMIT_DB", "equalised", "random_gains_db"]

LIMIT_DB = 6.0
"""Most that a band is moved, dB."""

_TILT_DB = 4.0
_BAND_DB = 2.0
_BROAD_DB = 1.5
_OCTAVES = np.linspace(-1.0, 1.0, len(GRAPHIC_FREQUENCIES_HZ))


def random_gains_db(generator: np.random.Generator) -> np.ndarray:
    """Return a curve: a tilt, a broad bend, and something for each band; shape (10,), within `LIMIT_DB`.

    Its size is random too, so that small faults are as frequent as large ones.
    """
    tilt = generator.uniform(-_TILT_DB, _TILT_DB) * _OCTAVES
    broad = generator.normal(0.0, _BROAD_DB) * np.cos(np.pi * (_OCTAVES + generator.uniform(-1.0, 1.0)))
    bands = generator.normal(0.0, _BAND_DB, len(_OCTAVES))
    size = generator.uniform(0.3, 1.2)
    gains_db: np.ndarray = np.clip(size * (tilt + broad + bands), -LIMIT_DB, LIMIT_DB)
    return gains_db


def equalised(samples: np.ndarray, sample_rate: int, gains_db: np.ndarray) -> np.ndarray:
    """Return samples through a curve, of the same shape (n_channels, n_samples), float32."""
    from scipy.signal import sosfilt

    sos = design(graphic_bands(gains_db.tolist()), sample_rate)
    filtered: np.ndarray = sosfilt(sos[: len(gains_db)], samples.astype(np.float64), axis=1)
    return filtered.astype(np.float32)
