"""Let samples that need no waiting for come at the pace of a sound card."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Pacer"]

NS_PER_S = 1_000_000_000
# Later than this, a listener has long noticed; hurrying through what was missed would only flood the mesh.
LONGEST_STALL_NS = NS_PER_S


class Pacer:
    """A clock that ticks in samples, without drift: sample n is due n / sample_rate after the start.

    Parameters
    ----------
    sample_rate : int
        Hz.
    clock : callable
        Returns ns; that of the machine which never jumps.
    """

    def __init__(self, sample_rate: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._sample_rate = sample_rate
        self._clock = clock
        self._start_ns: int | None = None
        self._n_samples = 0
        self._closed = threading.Event()

    def wait(self, n_samples: int, timeout_s: float) -> int | None:
        """Wait until the next samples are due and count them.

        Parameters
        ----------
        n_samples : int
        timeout_s : float

        Returns
        -------
        int or None
            Monotonic clock, ns, at which the last of them was there: when we woke up for it, as for a sound card, or
            when it was due if we came too late. None if that lies beyond the timeout, or the pacer was closed.
        """
        now_ns = self._clock()
        if self._start_ns is None:
            self._start_ns = now_ns
        due_ns = self._start_ns + (self._n_samples + n_samples) * NS_PER_S // self._sample_rate
        if due_ns > now_ns:
            wait_s = (due_ns - now_ns) / NS_PER_S
            if self._closed.wait(min(wait_s, timeout_s)) or wait_s > timeout_s:
                return None
            due_ns = max(due_ns, self._clock())
        elif now_ns - due_ns > LONGEST_STALL_NS:
            self._start_ns += now_ns - due_ns
            due_ns = now_ns
        self._n_samples += n_samples
        return due_ns

    def rest(self, duration_s: float) -> None:
        """Leave the processor for a while to those who have just been given samples."""
        self._closed.wait(duration_s)

    def close(self) -> None:
        """End a wait that is under way in another thread, and all later ones."""
        self._closed.set()
