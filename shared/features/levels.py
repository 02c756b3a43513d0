"""Levels of raw samples, for meters.

Conventions
-----------
Samples have shape ``(n_channels, n_samples)`` and full scale 1.0. Levels are dBFS: a full-scale square wave has an RMS
level of 0 dB, a full-scale sine one of -3.01 dB.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEVEL_FLOOR_DB = -120.0
"""Lowest level in dBFS: digital silence, which has none, is shown as this."""


def rms_db(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the RMS level of each channel.

    Parameters
    ----------
    samples : ndarray of shape (n_channels, n_samples), float32 or float64
        At least one sample.

    Returns
    -------
    ndarray of shape (n_channels,), float64
        dBFS, at least `LEVEL_FLOOR_DB`.
    """
    _require_samples(samples)
    return _dbfs(np.sqrt(np.mean(np.square(samples, dtype=np.float64), axis=-1)))


def peak_db(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the level of the largest sample of each channel.

    Parameters
    ----------
    samples : ndarray of shape (n_channels, n_samples), float32 or float64
        At least one sample.

    Returns
    -------
    ndarray of shape (n_channels,), float64
        dBFS, at least `LEVEL_FLOOR_DB`; above 0 where a sample exceeds full scale.
    """
    _require_samples(samples)
    return _dbfs(np.max(np.abs(samples), axis=-1).astype(np.float64))


def levels_of(samples: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return `rms_db` and `peak_db` of each channel, two arrays of shape (n_channels,) in dBFS."""
    return rms_db(samples), peak_db(samples)


def _dbfs(amplitude: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return an amplitude in dBFS, not below the floor."""
    decibels: npt.NDArray[np.float64] = 20.0 * np.log10(np.maximum(amplitude, 10.0 ** (LEVEL_FLOOR_DB / 20.0)))
    return decibels


def _require_samples(samples: npt.NDArray[np.floating]) -> None:
    if samples.ndim != 2 or samples.size == 0:  # noqa: PLR2004 - channels and time
        msg = f"samples must be of shape (n_channels, n_samples) and not empty, got shape {samples.shape}"
        raise ValueError(msg)
