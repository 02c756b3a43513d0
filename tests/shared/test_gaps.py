"""Counting what never came."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from soundsage.shared.gaps import GapCounter
from soundsage.shared.wire import Envelope


def envelope(seq: int, source: str = "capture", epoch: int = 1) -> Envelope:
    """Return what is known of a message."""
    return Envelope("audio_block/v1", source, epoch, seq, 0, 0, 500, msgspec.Raw(b"\x80"))


@given(arriving=st.sets(st.integers(0, 200), min_size=1))
def test_what_is_lost_is_what_lies_between_the_first_and_the_last(arriving: set[int]) -> None:
    """Of a source whose messages come in order, exactly the missing ones are counted."""
    gaps = GapCounter()

    assert all(gaps.accepts("audio_block/main", envelope(seq)) for seq in sorted(arriving))
    assert gaps.lost.total() == max(arriving) - min(arriving) + 1 - len(arriving)


@given(seqs=st.lists(st.integers(0, 20)))
def test_nothing_is_accepted_that_is_not_newer(seqs: list[int]) -> None:
    """Whatever the order, what is accepted only grows, and every message is accepted, lost or refused."""
    gaps = GapCounter()
    accepted = [seq for seq in seqs if gaps.accepts("audio_block/main", envelope(seq))]

    assert accepted == sorted(set(accepted))
    assert gaps.lost.total() == (accepted[-1] - accepted[0] + 1 - len(accepted) if accepted else 0)


def test_sources_and_topics_count_for_themselves() -> None:
    """A gap of one source, or in one topic, is none of another."""
    gaps = GapCounter()
    for source in ("capture", "other"):
        for topic in ("audio_block/main", "meter/main"):
            assert gaps.accepts(topic, envelope(7, source))
    assert gaps.accepts("audio_block/main", envelope(10))

    assert dict(gaps.lost) == {"audio_block/main": 2, "meter/main": 0} or gaps.lost.total() == 2
    assert gaps.lost["audio_block/main"] == 2


def test_a_restarted_source_begins_anew() -> None:
    """A larger epoch with smaller numbers is accepted, and no gap."""
    gaps = GapCounter()
    gaps.accepts("audio_block/main", envelope(1000, epoch=1))

    assert gaps.accepts("audio_block/main", envelope(0, epoch=2))
    assert gaps.accepts("audio_block/main", envelope(1, epoch=2))
    assert gaps.lost.total() == 0


def test_what_an_older_epoch_still_had_under_way_is_refused() -> None:
    """After a restart the old process has nothing more to say, and its numbers are no gaps."""
    gaps = GapCounter()
    gaps.accepts("audio_block/main", envelope(5, epoch=2))

    assert not gaps.accepts("audio_block/main", envelope(1001, epoch=1))
    assert gaps.accepts("audio_block/main", envelope(6, epoch=2))
    assert gaps.lost.total() == 0


def test_who_listens_late_has_lost_nothing() -> None:
    """The first message that is heard is the first that counts, whatever its number."""
    gaps = GapCounter()

    assert gaps.accepts("audio_block/main", envelope(123_456))
    assert gaps.lost.total() == 0
