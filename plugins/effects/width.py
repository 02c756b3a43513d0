"""Stereo width, and the chain `mono` that sets it to nothing."""

from __future__ import annotations

import numpy as np

from soundsage.shared.contracts import Chain, ChainStep, EffectRecord
from soundsage.shared.hookspecs import hookimpl

__all__ = ["Width"]

STEREO = 2
FADE_S = 0.02


class Width:
    """Scales what differs between left and right: 0 is mono, 1 leaves it, 2 doubles it.

    Sounds of other than two channels pass untouched. A change glides over 20 ms.
    """

    def __init__(self, sample_rate: int, n_channels: int, max_block: int) -> None:
        self._is_stereo = n_channels == STEREO
        self._step = 1.0 / (FADE_S * sample_rate)
        self._goal = 1.0
        self._width = 1.0
        self._ramp = np.arange(1, max_block + 1, dtype=np.float32)
        self._side = np.zeros(max_block, np.float32)
        self._middle = np.zeros(max_block, np.float32)
        self._gains = np.zeros(max_block, np.float32)

    def process(self, samples: np.ndarray) -> None:
        """Change a block of shape (n_channels, n_samples), float32, in place."""
        if not self._is_stereo or (self._width == 1.0 and self._goal == 1.0):
            return
        n_samples = samples.shape[1]
        side, middle, gains = self._side[:n_samples], self._middle[:n_samples], self._gains[:n_samples]
        left, right = samples
        np.subtract(left, right, out=side)
        np.add(left, right, out=middle)
        side *= 0.5
        middle *= 0.5
        self._glide(gains)
        side *= gains
        np.add(middle, side, out=left)
        np.subtract(middle, side, out=right)

    def set_params(self, *, width: float) -> None:
        """Glide to a width in [0, 2]."""
        if not 0.0 <= width <= 2.0:  # noqa: PLR2004  beyond, the middle is drowned
            raise ValueError(f"width must lie in [0, 2], got {width}")
        self._goal = width

    def latency(self) -> int:
        """Return 0: no sample waits."""
        return 0

    def reset(self) -> None:
        """Be at the goal at once."""
        self._width = self._goal

    def _glide(self, gains: np.ndarray) -> None:
        """Write the width of each sample, on the way to the goal at constant speed."""
        distance = self._goal - self._width
        step = np.copysign(self._step, distance)
        np.multiply(self._ramp[: gains.size], step, out=gains)
        np.clip(gains, min(distance, 0.0), max(distance, 0.0), out=gains)
        gains += np.float32(self._width)
        is_there = abs(distance) <= self._step * gains.size
        self._width = self._goal if is_there else self._width + float(step) * gains.size


@hookimpl
def soundsage_effects() -> list[EffectRecord]:
    """Return the effect."""
    return [EffectRecord(name="width", summary="Stereo width: 0 is mono, 1 as it was, 2 wider", prepare=Width)]


@hookimpl
def soundsage_effect_chains() -> list[Chain]:
    """Return the chain."""
    return [Chain(name="mono", summary="Both channels the same", steps=(ChainStep("width", {"width": 0.0}),))]
