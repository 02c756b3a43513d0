"""Count what passes the bus."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Traffic"]


@dataclass
class Traffic:
    """Events since the service began.

    Attributes
    ----------
    n_events, n_bytes : int
    """

    n_events: int = 0
    n_bytes: int = 0

    def add(self, frames: list[bytes]) -> None:
        """Count one event."""
        self.n_events += 1
        self.n_bytes += sum(map(len, frames))
