"""Who runs before whom."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give real time, and give it up")
SAYS = "print(took, os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), *sorted(os.sched_getaffinity(0)))"


def said(*lines: str) -> str:
    """Return what a process of its own prints of its scheduling after some lines."""
    code = "\n".join(["import os", "from soundsage.shared.realtime import *", *lines, SAYS])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def text(*values: object) -> str:
    """Return values as a process prints them."""
    return " ".join(map(str, values))


@NEEDS_ROOT
def test_a_process_that_may_runs_in_real_time_on_all_cores() -> None:
    """Round robin, which is another scheduler than before."""
    expected = text(True, os.SCHED_RR, 0, *sorted(os.sched_getaffinity(0)))

    assert said("took = take_realtime(20, own_core=False)") == expected


@NEEDS_ROOT
def test_sound_has_one_core_and_it_is_not_the_first_where_there_are_two() -> None:
    """The core is the second, or the only one."""
    cores = sorted(os.sched_getaffinity(0))

    assert said("took = take_realtime(30, own_core=True)") == text(True, os.SCHED_RR, 0, *cores[:2][-1:])


@NEEDS_ROOT
@pytest.mark.parametrize("own_core", [False, True])
def test_a_process_that_may_not_stays_on_all_cores(own_core: bool) -> None:  # noqa: FBT001  a parameter of the test
    """It is scheduled as any other, and says so."""
    expected = text(False, os.SCHED_OTHER, 0, *sorted(os.sched_getaffinity(0)))

    assert said("os.setuid(65534)", f"took = take_realtime(30, own_core={own_core})") == expected


@NEEDS_ROOT
def test_a_plugin_loads_as_an_ordinary_process_and_then_comes_after_all_services() -> None:
    """Loading may take its time; what follows has its deadline."""
    now = "(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
    inside = f"with outside_realtime(): inside = {now}"
    took = f"took = inside, {now}, take_realtime(20, own_core=False) and {now}[1]"
    shown = said("take_realtime(20, own_core=False)", inside, took)

    assert shown.startswith(f"((0, 0), ({os.SCHED_RR}, 10), 20) ")


@NEEDS_ROOT
def test_what_was_no_real_time_before_is_none_after_a_plugin_has_loaded() -> None:
    """Nobody gains a priority by it."""
    assert said("with outside_realtime(): took = True").startswith(f"True {os.SCHED_OTHER} ")
