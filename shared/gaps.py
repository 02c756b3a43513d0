"""Count what a receiver never got."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .wire import Envelope

__all__ = ["GapCounter"]


class GapCounter:
    """Watches the sequence numbers of each source and topic.

    Attributes
    ----------
    lost : Counter
        Messages that never came, by topic.
    """

    def __init__(self) -> None:
        self.lost: Counter[str] = Counter()
        self._expected: dict[tuple[str, str], tuple[int, int]] = {}

    def accepts(self, topic: str, envelope: Envelope[Any]) -> bool:
        """Return whether the message is newer than all before it, and count the gap in front of it.

        A source that restarted has a larger epoch and begins anew; what an older epoch still had under way is refused.
        """
        key = (envelope.source, topic)
        epoch, expected = self._expected.get(key, (0, envelope.seq))
        if envelope.epoch < epoch or (envelope.epoch == epoch and envelope.seq < expected):
            return False
        if envelope.epoch == epoch and envelope.seq > expected:
            self.lost[topic] += envelope.seq - expected
        self._expected[key] = (envelope.epoch, envelope.seq + 1)
        return True
