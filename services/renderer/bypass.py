"""The input beside a chain of effects, and the crossfade between the two."""

from __future__ import annotations

import numpy as np

from soundsage.shared.dsp.rack import FADE_S, Rack

__all__ = ["Bypass"]


class Bypass:
    """The input, as late as the effects are, faded over their sound while it is on.

    The fade is a raised cosine of 20 ms, counted in samples, that turns back from where it is when it is switched in
    the midst of it. Before and after it one of the two passes bit for bit; an input sample that is not finite is 0, as
    in the rack.

    Parameters
    ----------
    sample_rate : int
        Hz.
    n_channels : int
    max_block : int
        The longest block, samples.
    latency_samples : int
        By how much the effects are late.

    Attributes
    ----------
    is_on : bool
        What it fades to: the input, or the effects.
    """

    def __init__(self, sample_rate: int, n_channels: int, max_block: int, latency_samples: int) -> None:
        self.is_on = False
        self._n_fade = max(1, round(FADE_S * sample_rate))
        self._share = (0.5 - 0.5 * np.cos(np.pi * np.arange(self._n_fade + 1) / self._n_fade)).astype(np.float32)
        self._rest = 1.0 - self._share
        self._faded = 0
        self._relay = Rack(sample_rate, n_channels)
        self._memory = np.zeros(n_channels * max_block, np.float32)
        self._latency_samples = latency_samples
        self._line = np.zeros((n_channels, latency_samples + max_block), np.float32)

    def settle(self) -> None:
        """Be there at once."""
        self._faded = self._n_fade if self.is_on else 0

    def hear(self, samples: np.ndarray) -> np.ndarray:
        """Return the input for a block of effects, shape (n_channels, n_samples), float32; it is for `mix`."""
        dry = self._memory[: samples.size].reshape(samples.shape)
        np.copyto(dry, samples)
        self._relay.process(dry, dry)
        if self._latency_samples:
            self._delay(dry)
        return dry

    def mix(self, dry: np.ndarray, out: np.ndarray) -> None:
        """Fade `dry` over the sound of the effects in `out`, both of shape (n_channels, n_samples), float32."""
        n_samples = out.shape[1]
        n_fading = min(n_samples, self._n_fade - self._faded if self.is_on else self._faded)
        if n_fading:
            self._fade(dry[:, :n_fading], out[:, :n_fading])
        if self.is_on:
            np.copyto(out[:, n_fading:], dry[:, n_fading:])

    def _fade(self, dry: np.ndarray, out: np.ndarray) -> None:
        n_samples, faded = out.shape[1], self._faded
        if self.is_on:
            way = slice(faded + 1, faded + n_samples + 1)
            step = 1
            self._faded += n_samples
        else:
            way = slice(faded - n_samples, faded)
            step = -1
            self._faded -= n_samples
        dry *= self._share[way][::step]
        out *= self._rest[way][::step]
        out += dry

    def _delay(self, dry: np.ndarray) -> None:
        n_samples, latency = dry.shape[1], self._latency_samples
        self._line[:, latency : latency + n_samples] = dry
        np.copyto(dry, self._line[:, :n_samples])
        self._line[:, :latency] = self._line[:, n_samples : n_samples + latency]
