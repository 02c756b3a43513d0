"""Say how much passes the bus."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Traffic"]


@dataclass(frozen=True)
class Traffic:
    """What had come in by a moment.

    Attributes
    ----------
    n_frames, n_bytes : int
        Since the service began.
    time_s : float
    """

    n_frames: int
    n_bytes: int
    time_s: float

    def bytes_per_s(self, before: Traffic) -> float:
        """Return the traffic since an earlier moment; 0 when no time has passed."""
        elapsed_s = self.time_s - before.time_s
        return (self.n_bytes - before.n_bytes) / elapsed_s if elapsed_s > 0 else 0.0
