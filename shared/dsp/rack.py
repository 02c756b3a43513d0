"""Equalise a stream with a rack of fixed size whose curve changes without a click.

Conventions
-----------
``samples`` are ``(n_channels, n_samples)`` float32, full scale 1.0. Time is counted in samples of the stream, so the
same changes requested at the same samples give the same output bit for bit, however the stream is cut into blocks.

Notes
-----
A change runs the incoming curve on the same input first, unheard, until its state has forgotten that it began at zero,
and then crosses over with a raised cosine. Swapping or gliding coefficients is audible as a click; this is not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .bands import N_SECTIONS
from .design import is_stable
from .kernel import (
    ACTIVE,
    HAS_WAITING,
    INCOMING,
    N_BANKS,
    N_CLOCK,
    PHASE,
    REFUSED,
    SETTLED,
    WAITING,
    WAITING_WARM,
    process,
)

if TYPE_CHECKING:
    import numpy.typing as npt

WARM_S = 0.100
"""Time for which an automatic change runs unheard before its crossfade."""

URGENT_WARM_S = 0.030
"""The same for a person's command, which with its crossfade takes 50 ms in all."""

FADE_S = 0.020
"""Length of the crossfade."""

_UNITY = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
_RUN_COLUMNS = [0, 1, 2, 4, 5]
_N_COLUMNS = 6


class Rack:
    """Sixteen second-order sections in series for each channel, and the change to the next sixteen.

    A new rack is a relay. One thread at a time may use a rack; ``process`` neither allocates nor holds the interpreter
    lock while it runs.

    Parameters
    ----------
    sample_rate : int
        In Hz, above 0.
    n_channels : int
        At least 1. The channels are independent: each sounds as it would in a rack of its own.

    Raises
    ------
    ValueError
        If either is not positive.

    Notes
    -----
    An input sample that is NaN or infinite is replaced by 0 and counted in ``n_refused``, since one such sample would
    stay in the filters for ever. Output beyond the range of float32 is clipped to it. Input that is finite therefore
    passes a relay bit for bit, and output is always finite.
    """

    def __init__(self, sample_rate: int, n_channels: int) -> None:
        if sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, got {sample_rate}")
        if n_channels < 1:
            raise ValueError(f"n_channels must be at least 1, got {n_channels}")
        self.sample_rate = sample_rate
        self.n_channels = n_channels
        n_fade = max(1, round(FADE_S * sample_rate))
        self._fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_fade) + 0.5) / n_fade)
        self._sos = np.zeros((N_BANKS, N_SECTIONS, 5))
        self._n_sections = np.zeros(N_BANKS, dtype=np.int64)
        self._gains = np.ones(N_BANKS)
        self._state = np.zeros((n_channels, N_BANKS, N_SECTIONS, 2))
        self._clock = np.zeros(N_CLOCK, dtype=np.int64)
        self._clock[[ACTIVE, INCOMING, WAITING]] = range(N_BANKS)

    @property
    def settled(self) -> bool:
        """Whether the output is that of the latest target alone."""
        return bool(self._clock[PHASE] == SETTLED and not self._clock[HAS_WAITING])

    @property
    def n_refused(self) -> int:
        """Input samples that were not finite, since the rack was made."""
        return int(self._clock[REFUSED])

    def process(self, samples: npt.NDArray[np.float32], out: npt.NDArray[np.float32]) -> None:
        """Write the equalised block to ``out``.

        Parameters
        ----------
        samples : ndarray of shape (n_channels, n_samples), float32, C order
            The next block of the stream, of any length.
        out : ndarray of the same shape, float32, C order
            Where the output goes; may be ``samples`` itself.

        Raises
        ------
        ValueError
            If a shape is wrong.
        TypeError
            If a type or a memory order is wrong.
        """
        if samples.shape[0] != self.n_channels:
            raise ValueError(f"samples must have {self.n_channels} channels, got shape {samples.shape}")
        if out.shape != samples.shape:
            raise ValueError(f"out must have shape {samples.shape}, got {out.shape}")
        process(samples, out, self._sos, self._n_sections, self._gains, self._state, self._fade, self._clock)

    def set_target(
        self,
        sos: npt.NDArray[np.float64],
        gain_db: float = 0.0,
        *,
        bypass: bool = False,
        urgent: bool = False,
        warm_samples: int | None = None,
    ) -> None:
        """Change to another curve from the next sample on, without a click.

        A change that is under way is finished first; of several targets requested meanwhile the latest one counts.
        A target equal to the present one changes nothing.

        Parameters
        ----------
        sos : ndarray of shape (n_sections, 6), float64
            At most 16 sections as of :func:`soundsage.shared.dsp.design`. Sections that are unity cost nothing.
        gain_db : float
            Gain after the sections, in dB.
        bypass : bool
            Relay the input instead: output bits are input bits once the change is over.
        urgent : bool
            Take 50 ms in all, for a person who waits, at the price of a less settled start.
        warm_samples : int, optional
            Samples for which the target runs unheard; by default 100 ms, or 30 ms if urgent.

        Raises
        ------
        ValueError
            If the sections are too many, malformed or unstable, the gain is not finite, or ``warm_samples`` is
            negative.
        """
        if warm_samples is None:
            warm_samples = round((URGENT_WARM_S if urgent else WARM_S) * self.sample_rate)
        if warm_samples < 0:
            raise ValueError(f"warm_samples must be at least 0, got {warm_samples}")
        if not math.isfinite(gain_db):
            raise ValueError(f"gain_db must be finite, got {gain_db}")
        running = _running_sections(sos)
        self._put_waiting(running[:0] if bypass else running, 1.0 if bypass else 10.0 ** (gain_db / 20.0))
        self._clock[WAITING_WARM] = warm_samples
        self._clock[HAS_WAITING] = not self._is_waiting_redundant()

    def _put_waiting(self, running: npt.NDArray[np.float64], gain: float) -> None:
        waiting = self._clock[WAITING]
        self._sos[waiting] = 0.0
        self._sos[waiting, : len(running)] = running
        self._n_sections[waiting] = len(running)
        self._gains[waiting] = gain
        self._state[:, waiting] = 0.0

    def _is_waiting_redundant(self) -> bool:
        waiting, phase = self._clock[WAITING], self._clock[PHASE]
        latest = self._clock[ACTIVE if phase == SETTLED else INCOMING]
        return bool(
            self._gains[latest] == self._gains[waiting]
            and self._n_sections[latest] == self._n_sections[waiting]
            and np.array_equal(self._sos[latest], self._sos[waiting])
        )


def _running_sections(sos: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sos = np.asarray(sos, dtype=np.float64)
    if sos.shape[1:] != (_N_COLUMNS,) or len(sos) > N_SECTIONS:
        raise ValueError(f"sos must have shape (n_sections, 6) with at most {N_SECTIONS} sections, got {sos.shape}")
    for index, section in enumerate(sos):
        if section[3] != 1.0 or not is_stable(section):
            raise ValueError(f"sos[{index}] must be stable with a0 = 1, got {section.tolist()}")
    running = sos[(sos != _UNITY).any(axis=1)]
    return np.ascontiguousarray(running[:, _RUN_COLUMNS])
