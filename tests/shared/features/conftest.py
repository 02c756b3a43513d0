"""Sounds whose descriptors differ: noise, a sweep, a chord with a noise floor, clicks, and a fade into silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from soundsage.shared.features import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]

N_SAMPLES = 4 * SAMPLE_RATE
TIME_S = np.arange(N_SAMPLES) / SAMPLE_RATE


def noise(rms: float) -> Sound:
    """Return white noise."""
    return (rms * np.random.default_rng(440).standard_normal(N_SAMPLES)).astype(np.float32)


def sweep() -> Sound:
    """Return a sine from 50 Hz to 9 kHz, logarithmic, over the dither of 16 bits."""
    rate = np.log(9000 / 50) / TIME_S[-1]
    phase = 2 * np.pi * 50 / rate * (np.exp(rate * TIME_S) - 1)
    sine: Sound = (0.3 * np.sin(phase)).astype(np.float32)
    return sine + noise(2**-16)


def chord() -> Sound:
    """Return A major with overtones, struck twice a second, over a faint hiss."""
    harmonics = [f * k for f in (220.0, 277.18, 329.63) for k in range(1, 9)]
    partials = [np.sin(2 * np.pi * f * TIME_S) * 220.0 / f for f in harmonics]
    struck: Sound = (0.1 * np.sum(partials, axis=0) * np.exp(-4 * (TIME_S % 0.5))).astype(np.float32)
    return struck + noise(1e-4)


def clicks() -> Sound:
    """Return a click every 90 ms, over the dither of 16 bits."""
    sound = noise(2**-16)
    sound[::1985] += 0.9
    return sound


def fade() -> Sound:
    """Return noise that falls by 20 dB a second."""
    return noise(0.1) * (10.0**-TIME_S).astype(np.float32)


SOUNDS: dict[str, Callable[[], Sound]] = {
    "noise": lambda: noise(0.1),
    "sweep": sweep,
    "chord": chord,
    "clicks": clicks,
    "fade": fade,
}


@pytest.fixture(params=SOUNDS)
def sound(request: pytest.FixtureRequest) -> Sound:
    """Return four seconds of each sound at the model rate, shape (N_SAMPLES,), float32."""
    return SOUNDS[request.param]()


@pytest.fixture
def music() -> Sound:
    """Return the chord alone."""
    return chord()
