"""The jitter buffer, without a sound card: the test is its callback."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soundsage.plugins.ring import JitterBuffer

PERIOD = 100


def counting(start: int, n_samples: int) -> np.ndarray:
    """Return samples that say which they are, from one up, on two channels."""
    ramp = np.arange(start + 1, start + 1 + n_samples, dtype=np.float32)
    return np.stack([ramp, -ramp], axis=1)


def write(buffer: JitterBuffer, frames: np.ndarray) -> None:
    """Write in blocks of one period, for which the target need not be raised."""
    for start in range(0, len(frames), PERIOD):
        buffer.write(frames[start : start + PERIOD])


def read(buffer: JitterBuffer) -> np.ndarray:
    """Return what the next callback plays."""
    out = np.full((PERIOD, 2), np.nan, np.float32)
    buffer.read(out)
    return out


def test_it_is_silent_until_the_target_is_there() -> None:
    """It is silent until the target is there, and that is no underrun."""
    buffer = JitterBuffer(2, PERIOD, 400, 4_000)
    write(buffer, counting(0, 100))

    assert not read(buffer).any()
    write(buffer, counting(100, 300))
    assert read(buffer).any()
    assert buffer.underruns == 0


@given(st.lists(st.integers(1, 250), min_size=1, max_size=60))
def test_what_is_written_is_played_in_order_and_whole(sizes: list[int]) -> None:
    """However it is cut, what is written is played whole and in order, between a rise and a fall of one period each."""
    buffer = JitterBuffer(2, PERIOD, 300, 4_000)
    played, n_written = [], 0
    for n_samples in sizes:
        buffer.write(counting(n_written, n_samples))
        n_written += n_samples
        while buffer.n_waiting >= buffer.target:
            played.append(read(buffer))
    buffer.drain()
    while not buffer.is_drained:
        played.append(read(buffer))
    found = np.concatenate(played)[:n_written]

    written = counting(0, n_written)
    np.testing.assert_array_equal(found[PERIOD:-PERIOD], written[PERIOD:-PERIOD])
    assert (np.abs(found) <= np.abs(written)).all()
    assert buffer.underruns == buffer.overruns == 0


def test_the_end_is_not_cut_off() -> None:
    """The last sample that was written is the last of the fall, wherever in a period it lies."""
    for n_samples in range(201, 401, 13):
        buffer = JitterBuffer(1, PERIOD, 0, 4_000)
        buffer.write(np.ones((n_samples, 1), np.float32))
        buffer.drain()
        played = []
        while not buffer.is_drained:
            out = np.empty((PERIOD, 1), np.float32)
            buffer.read(out)
            played.append(out[:, 0])
        found = np.concatenate(played)

        assert (np.diff(found[PERIOD:n_samples]) <= 0).all()
        assert 0 < found[n_samples - 1] < 0.01
        assert not found[n_samples:].any()


def test_running_dry_is_a_fade_and_counted_once() -> None:
    """When it runs dry it fades out without a jump, counts that once, and waits for the target again."""
    buffer = JitterBuffer(2, PERIOD, 300, 4_000)
    write(buffer, np.ones((550, 2), np.float32))
    played = np.concatenate([read(buffer) for _ in range(10)])[:, 0]

    # The fade is a raised cosine: its steepest step is pi / 2 periods long.
    assert np.abs(np.diff(played)).max() < 2.0 / PERIOD
    assert played[-1] == 0.0
    assert buffer.underruns == 1
    write(buffer, np.ones((100, 2), np.float32))
    assert not read(buffer).any()
    write(buffer, np.ones((200, 2), np.float32))
    assert read(buffer).any()


def test_a_faster_writer_costs_the_oldest_samples_without_a_jump() -> None:
    """When more waits than it should the oldest samples are dropped under a crossfade, down to the target."""
    buffer = JitterBuffer(2, PERIOD, 300, 4_000)
    write(buffer, np.ones((300, 2), np.float32))
    played = [read(buffer)]
    for _ in range(4):
        write(buffer, np.ones((300, 2), np.float32))
    played.append(read(buffer))
    played.append(read(buffer))

    assert buffer.overruns == 1
    assert buffer.n_waiting <= buffer.target
    np.testing.assert_allclose(np.concatenate(played[1:]), 1.0, atol=1e-6)


def test_a_device_that_is_late_to_start_begins_at_the_target() -> None:
    """What waited for a device that took its time to start is dropped, since it would only be latency."""
    buffer = JitterBuffer(2, PERIOD, 300, 4_000)
    write(buffer, counting(0, 3_000))
    read(buffer)

    assert buffer.n_waiting == buffer.target - PERIOD
    assert buffer.overruns == 0


def test_a_full_ring_refuses_the_newest() -> None:
    """A ring that is full, since nobody plays, refuses what comes and counts it."""
    buffer = JitterBuffer(2, PERIOD, 300, 1_000)
    buffer.write(counting(0, 900))
    buffer.write(counting(900, 200))

    assert buffer.n_waiting == 900
    assert buffer.overruns == 1


def test_large_blocks_raise_the_target() -> None:
    """Two blocks and a period are what a writer of large blocks needs."""
    buffer = JitterBuffer(2, PERIOD, 300, 8_000)
    buffer.write(counting(0, 1_000))

    assert buffer.target == 2 * 1_000 + PERIOD


def test_writer_and_reader_need_no_lock() -> None:
    """Two threads that write and read at their own pace never tear a sample or repeat one."""
    buffer = JitterBuffer(1, PERIOD, 300, 4_000)
    n_total = 30_000
    stop = threading.Event()

    def write_all() -> None:
        n_written = 0
        while n_written < n_total and not stop.is_set():
            if buffer.n_waiting < 450:
                buffer.write(counting(n_written, 50)[:, :1])
                n_written += 50

    writer = threading.Thread(target=write_all)
    writer.start()
    played = []
    try:
        while sum(map(len, played)) < n_total - 300:
            if buffer.n_waiting >= 300:
                played.append(np.empty((PERIOD, 1), np.float32))
                buffer.read(played[-1])
    finally:
        stop.set()
        writer.join()

    found = np.concatenate(played)[PERIOD:, 0]
    np.testing.assert_array_equal(found, np.arange(PERIOD + 1, PERIOD + 1 + len(found)))
