"""A jitter buffer between a renderer and a sound card's callback."""

from __future__ import annotations

import numpy as np

__all__ = ["JitterBuffer"]

# How much may wait beyond the target, in blocks and periods each, before the oldest is dropped.
SLACK = 2


class JitterBuffer:
    """A ring of samples with one writer and one reader, each in a thread of its own, and no lock.

    The reader takes one period at a time. It waits until `target` samples are there, fades in, and plays; when it runs
    dry it fades out, counts an underrun, and fills to the target again. Since it always keeps one period in reserve,
    there is something to fade. When the writer's clock is the faster one the oldest samples are dropped under a
    crossfade.

    Only the writer changes `_n_written`, `target` and the drain request, only the reader `_n_read`; both counts only
    grow, and a sample is in the ring before it is counted.

    Parameters
    ----------
    n_channels : int
    period : int
        Samples that the reader takes at once.
    target : int
        Samples that wait before playing begins; raised to two blocks and a period when blocks are larger.
    capacity : int
        Samples that fit.

    Attributes
    ----------
    underruns : int
        How often it ran dry.
    overruns : int
        How often samples were dropped.
    is_drained : bool
        Whether everything was played after `drain`.
    """

    def __init__(self, n_channels: int, period: int, target: int, capacity: int) -> None:
        if capacity < 2 * target or capacity < 8 * period:
            raise ValueError(f"capacity must be at least {max(2 * target, 8 * period)}, got {capacity}")
        self.underruns = 0
        self.overruns = 0
        self.is_drained = False
        self.target = max(target, 2 * period)
        self._period = period
        self._largest = 0
        self._capacity = capacity
        self._ring = np.zeros((capacity, n_channels), np.float32)
        self._n_written = 0
        self._n_read = 0
        self._is_playing = False
        self._is_draining = False
        self._rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(period) + 0.5) / period)).astype(np.float32)[:, None]
        self._fall = self._rise[::-1].copy()
        self._older = np.zeros((period, n_channels), np.float32)

    @property
    def n_waiting(self) -> int:
        """Samples that wait to be played."""
        return self._n_written - self._n_read

    def write(self, frames: np.ndarray) -> None:
        """Put samples in, shape (n_samples, n_channels); those that do not fit are dropped and counted."""
        n_samples = len(frames)
        if n_samples > self._largest:
            self._largest = n_samples
            self.target = min(max(self.target, 2 * n_samples + self._period), self._capacity // 2)
        if self.n_waiting + n_samples > self._capacity:
            self.overruns += 1
            return
        start = self._n_written % self._capacity
        n_first = min(n_samples, self._capacity - start)
        self._ring[start : start + n_first] = frames[:n_first]
        self._ring[: n_samples - n_first] = frames[n_first:]
        self._n_written += n_samples

    def drain(self) -> None:
        """Play what is there to its end, however little, and then nothing more."""
        self._is_draining = True

    def read(self, out: np.ndarray) -> None:
        """Fill one period, shape (period, n_channels); for the reader's thread."""
        n_waiting = self.n_waiting
        is_first = not self._is_playing
        if is_first and n_waiting < self.target and not self._is_draining:
            out.fill(0.0)
            return
        self._is_playing = True
        if is_first and n_waiting > self._most():
            # A device that took its time to start has lost nothing that anybody waits for.
            self._n_read += n_waiting - self.target
            n_waiting = self.target
        if self._is_draining:
            self._end(out, n_waiting)
        elif n_waiting < 2 * self._period:
            self._pause(out)
        elif n_waiting > self._most():
            self._skip(out, n_waiting - self.target)
        else:
            self._take(out)
        if is_first:
            np.multiply(out, self._rise, out)

    def _most(self) -> int:
        return self.target + SLACK * (self._largest + self._period)

    def _pause(self, out: np.ndarray) -> None:
        """Fade out, and wait for more."""
        self._take(out)
        np.multiply(out, self._fall, out)
        self._is_playing = False
        self.underruns += 1

    def _end(self, out: np.ndarray, n_waiting: int) -> None:
        """Play on; the last period that there is fades out."""
        self._take(out)
        until_fall = n_waiting - self._period
        if 0 <= until_fall < self._period:
            out[until_fall:] *= self._fall[: self._period - until_fall]
        elif until_fall < 0:
            out[:n_waiting] *= self._fall[-until_fall:]
        self.is_drained = self.n_waiting == 0

    def _take(self, out: np.ndarray) -> None:
        """Move the oldest samples; zeros where there are too few."""
        n_taken = min(self._period, self.n_waiting)
        start = self._n_read % self._capacity
        n_first = min(n_taken, self._capacity - start)
        out[:n_first] = self._ring[start : start + n_first]
        out[n_first:n_taken] = self._ring[: n_taken - n_first]
        out[n_taken:] = 0.0
        self._n_read += n_taken

    def _skip(self, out: np.ndarray, n_dropped: int) -> None:
        """Drop samples, crossfading from the oldest to those after the gap."""
        self.overruns += 1
        self._take(self._older)
        self._n_read += n_dropped - self._period
        self._take(out)
        np.multiply(self._older, self._fall, self._older)
        np.multiply(out, self._rise, out)
        np.add(out, self._older, out)
