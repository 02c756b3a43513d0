"""Sounds that are no music: coloured noise, tones and hum, at random, for the model to learn that it does not know.

Conventions
-----------
Sounds are mono at the model rate, float32, one window long.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from soundsage.shared.features import HOP_LENGTH, N_FFT, SAMPLE_RATE, WINDOW_FRAMES, windows_of

__all__ = ["outlier_features"]

_N_SAMPLES = (WINDOW_FRAMES - 1) * HOP_LENGTH + N_FFT
_TIME_S = np.arange(_N_SAMPLES) / SAMPLE_RATE
_LEVEL_DB = (-55.0, -6.0)
_HISS_DB = (-100.0, -50.0)
# From falling faster than brown noise to blue noise, dB per octave.
_SLOPE_DB = (-9.0, 3.0)
_TONE_HZ = (25.0, 9500.0)


def outlier_features(n_sounds: int, seed: int) -> np.ndarray:
    """Return the features of random sounds that are no music, shape (n_sounds, 80), float32.

    Parameters
    ----------
    n_sounds : int
        A third each of noises, tones and hums.
    seed : int
    """
    generator = np.random.default_rng(seed)
    return np.stack([_features(_MAKERS[number % len(_MAKERS)], generator) for number in range(n_sounds)])


def _noise(generator: np.random.Generator) -> np.ndarray:
    slope_db = generator.uniform(*_SLOPE_DB)
    frequencies = np.maximum(np.fft.rfftfreq(_N_SAMPLES), 1.0 / _N_SAMPLES)
    spectrum = np.fft.rfft(generator.standard_normal(_N_SAMPLES)) * frequencies ** (slope_db / 6.02)
    return np.fft.irfft(spectrum, _N_SAMPLES)


def _tone(generator: np.random.Generator) -> np.ndarray:
    frequency_hz = np.exp(generator.uniform(*np.log(_TONE_HZ)))
    tone: np.ndarray = np.sin(2 * np.pi * frequency_hz * _TIME_S)
    return tone


def _hum(generator: np.random.Generator) -> np.ndarray:
    """Return mains hum: harmonics of 50 or 60 Hz that fall off at random."""
    orders = np.arange(1, 1 + generator.integers(1, 20))
    amplitudes = orders ** -generator.uniform(0.3, 2.0)
    phases = generator.uniform(0, 2 * np.pi, len(orders))
    mains_hz = generator.choice([50.0, 60.0])
    hum: np.ndarray = amplitudes @ np.sin(
        2 * np.pi * mains_hz * orders[:, np.newaxis] * _TIME_S + phases[:, np.newaxis]
    )
    return hum


_MAKERS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (_noise, _tone, _hum)


def _features(make: Callable[[np.random.Generator], np.ndarray], generator: np.random.Generator) -> np.ndarray:
    sound = make(generator)
    sound *= 10.0 ** (generator.uniform(*_LEVEL_DB) / 20.0) / np.sqrt(np.mean(sound**2))
    sound += 10.0 ** (generator.uniform(*_HISS_DB) / 20.0) * generator.standard_normal(_N_SAMPLES)
    (window,) = windows_of(sound[np.newaxis].astype(np.float32), SAMPLE_RATE)
    return window.features
