"""Who runs before whom."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.shared.realtime import ROLES, cores_of

CORES = st.sets(st.integers(0, 255), min_size=1)
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give real time, and give it up")
SAYS = "print(took, os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), *sorted(os.sched_getaffinity(0)))"


def said(*lines: str) -> str:
    """Return what a process of its own prints of its scheduling after some lines."""
    code = "\n".join(["import os", "from soundsage.shared.realtime import *", *lines, SAYS])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def text(*values: object) -> str:
    """Return values as a process prints them."""
    return " ".join(map(str, values))


@given(cores=CORES)
def test_sound_shares_its_core_with_no_decision_where_there_are_two(cores: set[int]) -> None:
    """The roles take all cores that there are, and none twice, but for a single one, which all share."""
    parts = [cores_of(role, cores) for role in ROLES]

    assert set().union(*parts) == cores
    assert all(parts)
    assert (sum(map(len, parts)) == len(cores)) == (len(cores) > 1)


@NEEDS_ROOT
@pytest.mark.parametrize("role", ROLES)
def test_a_process_that_may_runs_in_real_time_on_the_cores_of_its_role(role: str) -> None:
    """Round robin, which is another scheduler than before."""
    cores = os.sched_getaffinity(0)

    assert said(f"took = take_realtime({role!r})") == text(True, os.SCHED_RR, 0, *sorted(cores_of(role, cores)))


@NEEDS_ROOT
@pytest.mark.parametrize("role", ROLES)
def test_a_process_that_may_not_stays_on_all_cores(role: str) -> None:
    """It is scheduled as any other, and says so."""
    expected = text(False, os.SCHED_OTHER, 0, *sorted(os.sched_getaffinity(0)))

    assert said("os.setuid(65534)", f"took = take_realtime({role!r})") == expected


@NEEDS_ROOT
def test_a_plugin_loads_as_an_ordinary_process_and_then_comes_after_all_services() -> None:
    """Loading may take its time; what follows has its deadline."""
    now = "(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
    inside = f"with outside_realtime(): inside = {now}"
    took = f"took = inside, {now}, take_realtime('decisions') and {now}[1]"
    shown = said("take_realtime('decisions')", inside, took)

    assert shown.startswith(f"((0, 0), ({os.SCHED_RR}, 10), 20) ")


@NEEDS_ROOT
def test_what_was_no_real_time_before_is_none_after_a_plugin_has_loaded() -> None:
    """Nobody gains a priority by it."""
    assert said("with outside_realtime(): took = True").startswith(f"True {os.SCHED_OTHER} ")


@NEEDS_ROOT
def test_the_priority_of_sound_is_the_highest() -> None:
    """A block never waits for a decision."""
    priority = "took = os.sched_getparam(0).sched_priority"
    audio, decisions = (int(said(f"take_realtime({role!r})", priority).split()[0]) for role in ("audio", "decisions"))

    assert audio > decisions > 0
