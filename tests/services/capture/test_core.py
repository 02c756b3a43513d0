"""The place of blocks in their stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.services.capture.core import Stream
from soundsage.shared.wire import MAX_FRAME_BYTES


@given(sizes=st.lists(st.integers(0, 1000)))
def test_each_block_begins_where_the_one_before_ended(sizes: list[int]) -> None:
    """Starts are the running sum of all sizes, and the end is the sum."""
    stream = Stream("main")
    starts = [stream.block(np.zeros((2, n_samples), np.float32), 48_000).start for n_samples in sizes]

    assert starts == [sum(sizes[:i]) for i in range(len(sizes))]
    assert stream.end().start == sum(sizes)


def test_a_source_that_was_opened_again_goes_on_in_the_same_stream() -> None:
    """Another rate or another number of channels begins no new stream."""
    stream = Stream("main")
    stream.block(np.zeros((2, 100), np.float32), 48_000)
    block = stream.block(np.zeros((1, 10), np.float32), 44_100)

    assert (block.stream, block.start, block.sample_rate) == ("main", 100, 44_100)


@pytest.mark.parametrize("sample_rate", [0, -1, 999, 768_001])
def test_a_rate_that_no_receiver_takes_is_refused(sample_rate: int) -> None:
    """And it does not move the stream."""
    stream = Stream("main")
    with pytest.raises(ValueError, match="sample_rate must lie in"):
        stream.block(np.zeros((1, 10), np.float32), sample_rate)
    assert stream.start == 0


def test_a_block_that_no_message_can_hold_is_refused() -> None:
    """A source that hands out everything at once is told."""
    with pytest.raises(ValueError, match="samples must have at most"):
        Stream("main").block(np.zeros((1, MAX_FRAME_BYTES // 4 + 1), np.float32), 48_000)
