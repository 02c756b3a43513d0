"""A strategy in a child process, whatever it does there."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator

import examples
import numpy as np
import psutil
import pytest
from wiring import TIMEOUT_S

from soundsage.services.strategy import host as hosts
from soundsage.services.strategy.host import StrategyHost
from soundsage.shared.contracts import Decision
from soundsage.shared.errors import PluginError

FAILING = (
    "raises", "exits", "ends", "none", "text", "no band", "NaN", "loud", "infinite", "kind", "17 bands", "no cause",
    "long cause", "megabytes", "huge number", "nested", "generator",
)  # fmt: skip


@contextlib.contextmanager
def hosting(name: str = "evil", deadline_s: float = 5.0) -> Iterator[StrategyHost]:
    """Yield a host whose child is ready."""
    host = StrategyHost(name, deadline_s)
    try:
        end_s = time.monotonic() + TIMEOUT_S
        while not host.is_ready() and time.monotonic() < end_s:
            select.select([host._child], [], [], 0.1)
        yield host
    finally:
        host.close()


def decided(host: StrategyHost, way: str) -> Decision:
    """Return what the strategy decides in a way."""
    return host.decide(examples.posterior(model=way))[0]


def test_a_strategy_may_decide_in_many_ways_and_fail_in_more() -> None:
    """Good answers are decisions, all others are errors with words, and the child goes on after each."""
    with hosting() as host:
        assert decided(host, "up").bands[0].gain_db == 6.0
        assert decided(host, "numpy").bands[0].gain_db == 3.0
        assert decided(host, "list").bands == decided(host, "up").bands
        assert decided(host, "prints").cause == "to standard output"
        for way in FAILING:
            with pytest.raises(PluginError, match="strategy evil") as raised:
                decided(host, way)
            assert len(str(raised.value)) < 3000, way
            assert decided(host, "up").cause == "up", way


def test_a_strategy_is_told_what_its_decision_may_rest_on() -> None:
    """Features and proposal of the hop reach it, exact to the bit; those of another hop do not."""
    measured = np.random.default_rng(440).standard_normal(80).astype(np.float32)
    with hosting() as host:
        host.tell(examples.vector(1.0, features=measured))
        host.tell(examples.proposal(1.0))
        told = host.decide(examples.posterior(1.0, model="repeats"))[0].cause
        untold = host.decide(examples.posterior(2.0, model="repeats"))[0].cause

    assert told == f"{measured.tobytes().hex()} {examples.proposal(1.0).gains_db}"
    assert untold == "None None"


def tell_for_long(host: StrategyHost) -> None:
    """Tell a strategy more than any socket keeps."""
    for _ in range(10_000):
        host.tell(examples.vector())


def test_a_strategy_that_does_not_read_is_stopped() -> None:
    """What it is told may wait for it, but not without end."""
    with hosting(deadline_s=0.1) as host:
        os.kill(host._process.pid, signal.SIGSTOP)
        with pytest.raises(PluginError, match="must read within 100 ms, took longer and was stopped"):
            tell_for_long(host)

        assert not host.is_alive()


def test_what_no_packet_holds_is_an_error() -> None:
    """Features beyond all measure are refused before they are sent, and the child lives."""
    with hosting() as host:
        with pytest.raises(PluginError, match="must be told at most 131072 bytes"):
            host.tell(examples.vector(features=np.zeros(40_000, np.float32)))

        assert decided(host, "up").cause == "up"


@pytest.mark.parametrize("way", ["dies", "crashes"])
def test_a_strategy_that_takes_its_process_with_it_is_gone(way: str) -> None:
    """Its death is an error, and so is every question after it."""
    with hosting() as host:
        for _ in range(2):
            with pytest.raises(PluginError, match="strategy evil died with exit code"):
                decided(host, way)

        assert not host.is_alive()


def test_a_dead_strategy_s_exit_code_is_said() -> None:
    """It tells a crash from an exit."""
    with hosting() as host, pytest.raises(PluginError, match="died with exit code 3"):
        decided(host, "dies")


@pytest.mark.parametrize("way", ["hangs", "spins"])
def test_a_strategy_that_hangs_is_stopped_at_its_deadline(way: str) -> None:
    """Neither sleep nor a busy loop takes longer, and the child is gone."""
    with hosting(deadline_s=0.1) as host:
        begin_s = time.monotonic()
        with pytest.raises(PluginError, match="must decide within 100 ms, took longer and was stopped"):
            decided(host, way)

        assert 0.1 <= time.monotonic() - begin_s < 5.0
        assert not host.is_alive()


def test_a_killed_strategy_is_an_error() -> None:
    """Whoever killed it."""
    with hosting() as host:
        os.kill(host._process.pid, signal.SIGKILL)
        with pytest.raises(PluginError, match=r"died with exit code -9"):
            decided(host, "up")


@pytest.mark.parametrize(("name", "reason"), [("broken", "cannot be made"), ("unheard-of", "got 'unheard-of'")])
def test_a_strategy_that_cannot_be_made_says_why(name: str, reason: str) -> None:
    """Asking whether it is ready raises."""
    with pytest.raises(PluginError, match=reason), hosting(name):
        pass


def test_a_strategy_that_is_never_ready_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its time to start, and asking for it never waits."""
    monkeypatch.setattr(hosts, "START_S", 0.2)
    begin_s = time.monotonic()
    with pytest.raises(PluginError, match=r"must start within 0\.2 s"), hosting("slow-to-start"):
        pass

    assert 0.2 <= time.monotonic() - begin_s < 5.0


def test_a_closed_host_leaves_no_process() -> None:
    """Closing may happen at any time, also twice."""
    host = StrategyHost("slow-to-start", 1.0)
    child = psutil.Process(host._process.pid)
    host.close()
    host.close()

    assert not child.is_running()
