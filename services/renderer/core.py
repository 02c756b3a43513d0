"""What happens to the samples.

Conventions
-----------
Everything counts samples, nothing reads a clock: the output depends on the input and on the sample before which a curve
or a command came, and not on how the stream was cut into blocks.
"""

from __future__ import annotations

import numpy as np

from soundsage.shared.contracts import Effect
from soundsage.shared.dsp import EqBand, design
from soundsage.shared.dsp.rack import Rack
from soundsage.shared.errors import PluginError
from soundsage.shared.messages import EqCurve
from soundsage.shared.plugins import Guard, guarded

from .bypass import Bypass

__all__ = ["GuardedEffect", "Rendering"]

FLAT = "flat"
MAX_LATENCY_SAMPLES = 1 << 20  # 22 s at 48 kHz: nobody waits longer for a sound


class GuardedEffect:
    """An effect whose failure costs nothing but itself.

    Parameters
    ----------
    name : str
    effect : Effect
    shape : tuple of int
        Channels and the longest block.

    Attributes
    ----------
    latency_samples : int
        How much later the sound comes out.
    """

    def __init__(self, name: str, effect: Effect, shape: tuple[int, int]) -> None:
        self._guard = Guard(f"effect {name}")
        self._effect = effect
        self.latency_samples = guarded(f"effect {name}", _latency_of, effect)
        self._before = np.zeros(shape, np.float32)

    def process(self, samples: np.ndarray) -> PluginError | None:
        """Change a block in place; when the effect fails, leave it as it was and return why."""
        if self._guard.is_quarantined:
            return None
        before = self._before[:, : samples.shape[1]]
        np.copyto(before, samples)
        try:
            self._guard.call(self._effect.process, samples)
        except PluginError as error:
            np.copyto(samples, before)
            return error
        if np.isfinite(samples).all():
            return None
        np.copyto(samples, before)
        return self._guard.strike(f"{self._guard.what} must answer finite samples")


def _latency_of(effect: Effect) -> int:
    latency_samples = int(effect.latency())
    if not 0 <= latency_samples <= MAX_LATENCY_SAMPLES:
        raise ValueError(f"latency must lie in [0, {MAX_LATENCY_SAMPLES}] samples, got {latency_samples}")
    return latency_samples


class Rendering:
    """One stream of one format: the rack, the effects, and the curve in force.

    Parameters
    ----------
    sample_rate : int
        Hz.
    n_channels : int
    max_block : int
        The longest block, samples.
    hold_s : float
        How long a curve stays when no new one comes.
    effects : tuple of GuardedEffect

    Attributes
    ----------
    bands, preamp_db, strategy
        The curve in force.
    """

    def __init__(
        self, sample_rate: int, n_channels: int, max_block: int, hold_s: float, effects: tuple[GuardedEffect, ...] = ()
    ) -> None:
        self.sample_rate = sample_rate
        self.n_channels = n_channels
        self.bands: tuple[EqBand, ...] = ()
        self.preamp_db = 0.0
        self.strategy = FLAT
        self.failures: list[PluginError] = []
        self._is_bypassed = False
        self._gain_db = 0.0
        self._hold_samples = round(hold_s * sample_rate)
        self._held_samples = 0
        self._rack = Rack(sample_rate, n_channels)
        self._max_block = max_block
        self._memory = np.zeros(n_channels * max_block, np.float32)
        self._effects = effects
        # Without effects the rack fades by itself.
        self._bypass = Bypass(sample_rate, n_channels, max_block, self.latency_samples) if effects else None

    @property
    def latency_samples(self) -> int:
        """How much later the sound comes out of the effects; the rack adds nothing."""
        return sum(effect.latency_samples for effect in self._effects)

    @property
    def n_refused(self) -> int:
        """Input samples that were not finite."""
        return self._rack.n_refused

    def fits(self, sample_rate: int, samples: np.ndarray) -> bool:
        """Return whether a block is of this format."""
        n_channels, n_samples = samples.shape
        return (sample_rate, n_channels) == (self.sample_rate, self.n_channels) and n_samples <= self._max_block

    def follow(self, curve: EqCurve) -> None:
        """Change to a curve; the same curve again only says that it still holds."""
        self._held_samples = 0
        self.strategy = curve.strategy
        if (curve.bands, curve.preamp_db) != (self.bands, self.preamp_db):
            self.bands, self.preamp_db = curve.bands, curve.preamp_db
            self._change(urgent=not curve.automatic)

    def command(self, *, bypass: bool, gain_db: float) -> None:
        """Do what a person set."""
        if (bypass, gain_db) != (self._is_bypassed, self._gain_db):
            self._is_bypassed, self._gain_db = bypass, gain_db
            if self._bypass is not None:
                self._bypass.is_on = bypass
            self._change(urgent=True)

    def settle(self) -> None:
        """Put what was asked for in force before the first sample, when there is nothing yet to click."""
        silence = np.zeros((self.n_channels, self._max_block), np.float32)
        while not self._rack.settled:
            self._rack.process(silence, silence)
        if self._bypass is not None:
            self._bypass.settle()

    def render(self, samples: np.ndarray) -> np.ndarray:
        """Return the rendered block, shape (n_channels, n_samples), float32; it holds until the next call."""
        out = self._memory[: samples.size].reshape(samples.shape)
        np.copyto(out, samples)
        self._rack.process(out, out)
        if self._bypass is not None:
            # Also while nobody hears them: what they remember must be the sound before, when they are heard again.
            dry = self._bypass.hear(samples)
            self._affect(out)
            self._bypass.mix(dry, out)
        self._let_go(samples.shape[1])
        return out

    def _affect(self, samples: np.ndarray) -> None:
        for effect in self._effects:
            failure = effect.process(samples)
            if failure is not None:
                self.failures.append(failure)

    def _let_go(self, n_samples: int) -> None:
        """Glide to flat when nobody has said for too long that the curve still holds."""
        self._held_samples += n_samples
        if (self.bands or self.preamp_db) and self._held_samples > self._hold_samples:
            self.bands, self.preamp_db, self.strategy = (), 0.0, FLAT
            self._change(urgent=False)

    def _change(self, *, urgent: bool) -> None:
        sos = design(self.bands, self.sample_rate)
        bypass = self._is_bypassed and self._bypass is None
        self._rack.set_target(sos, self.preamp_db + self._gain_db, bypass=bypass, urgent=urgent)
