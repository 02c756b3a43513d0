"""A clock that ticks in samples."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from soundsage.plugins.pacing import Pacer

NS_PER_S = 1_000_000_000


@dataclass
class Clock:
    """A clock that a test sets."""

    now_ns: int = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns


@given(
    st.lists(st.integers(1, 5_000), min_size=1, max_size=50),
    st.sampled_from([8_000, 11_025, 44_100, 48_000, 192_000]),
)
def test_it_does_not_drift(sizes: list[int], sample_rate: int) -> None:
    """After any blocks the next one is due when all their samples have passed, to the nanosecond."""
    clock = Clock()
    pacer = Pacer(sample_rate, clock)
    pacer.wait(1, 0.0)
    for n_samples, n_done in zip(sizes, itertools.accumulate(sizes), strict=True):
        # Just late enough that no wait is needed.
        clock.now_ns = n_done * NS_PER_S // sample_rate + 1

        assert pacer.wait(n_samples, 0.0) == n_done * NS_PER_S // sample_rate


def test_after_a_short_stall_it_catches_up() -> None:
    """After a stall of half a second all blocks that were missed come at once, stamped with when they were due."""
    clock = Clock()
    pacer = Pacer(1_000, clock)
    assert pacer.wait(100, 0.0) is None
    clock.now_ns = NS_PER_S // 2
    stamps = [pacer.wait(100, 0.0) for _ in range(6)]

    assert stamps == [*range(NS_PER_S // 10, NS_PER_S // 2 + 1, NS_PER_S // 10), None]


def test_after_a_long_stall_it_does_not_hurry() -> None:
    """After a stall of more than a second it goes on from now."""
    clock = Clock()
    pacer = Pacer(1_000, clock)
    assert pacer.wait(100, 0.0) is None
    clock.now_ns = 60 * NS_PER_S

    assert pacer.wait(100, 0.0) == clock.now_ns
    assert pacer.wait(100, 0.0) is None
    clock.now_ns += NS_PER_S // 10
    assert pacer.wait(100, 0.0) == clock.now_ns


def test_real_time_passes() -> None:
    """On the machine's clock 20 blocks of 10 ms take 200 ms, and none comes early."""
    pacer = Pacer(48_000)
    begin_ns = time.monotonic_ns()
    stamps = [pacer.wait(480, 1.0) for _ in range(20)]
    took_s = (time.monotonic_ns() - begin_ns) / NS_PER_S

    assert all(stamp >= begin_ns + n * NS_PER_S // 100 for n, stamp in enumerate(stamps, start=1))
    # A busy machine is late, but not by what it is late for.
    assert 0.2 <= took_s < 1.0


def test_a_wait_beyond_the_timeout_counts_nothing() -> None:
    """A wait that ends at the timeout returns None and counts nothing."""
    pacer = Pacer(48_000)

    assert pacer.wait(4_800, 0.01) is None
    assert pacer.wait(4_800, 1.0) is not None


def test_closing_ends_a_wait() -> None:
    """Closing ends a wait in another thread."""
    pacer = Pacer(1_000)
    results: list[int | None] = []
    thread = threading.Thread(target=lambda: results.append(pacer.wait(1_000_000, 60.0)))
    thread.start()
    pacer.close()
    thread.join(10.0)

    assert results == [None]


def test_closing_ends_a_rest() -> None:
    """A source that is closed while it leaves the processor to others does not keep it until the rest is over."""
    pacer = Pacer(48_000)
    pacer.close()
    begin_s = time.monotonic()
    pacer.rest(60.0)

    assert time.monotonic() - begin_s < 30.0
