"""Run before all ordinary programs: sound waits for nobody, and decisions wait for sound alone.

Decision
--------
Processes that sound passes through have a core of their own and the higher priority; those that decide share the other
cores. Both are scheduled round robin in real time, so that a process that becomes ready runs at once, and each core
keeps in its caches what runs on it again 5 ms later. Without the right to real time (on Linux that of root, or
`rtprio` in /etc/security/limits.d) nothing is bound to a core, where it might have to wait, and sound asks for
niceness instead. The kernel keeps a twentieth of each core for all others, whatever a process in real time does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Literal, get_args

__all__ = ["PRIORITIES", "ROLES", "Role", "cores_of", "outside_realtime", "take_realtime"]

Role = Literal["audio", "decisions"]
ROLES: tuple[Role, ...] = get_args(Role)
PRIORITIES: dict[Role, int] = {"audio": 30, "decisions": 20}  # below what sound servers and drivers have
PLUGIN_PRIORITY = 10
NICENESS = -10


def take_realtime(role: Role) -> bool:
    """Schedule this process, and all threads that it will have, in real time; return whether that was allowed."""
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITIES[role]))
            os.sched_setaffinity(0, cores_of(role, os.sched_getaffinity(0)))
            return True
    if role == "audio":
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    return False


@contextlib.contextmanager
def outside_realtime() -> Iterator[None]:
    """Run as ordinary programs do; after the `with` in real time again, if it was so before, but behind all services.

    It is for a process that loads a plugin, which may take its time, and then answers in time or is stopped.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_RR:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    yield
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PLUGIN_PRIORITY))


def cores_of(role: Role, cores: set[int]) -> set[int]:
    """Return the cores for a role, of those that there are.

    Sound has the second one: the first serves most interrupts, and the last may be a slow one.
    """
    if len(cores) == 1:
        return cores
    audio = {sorted(cores)[1]}
    return audio if role == "audio" else cores - audio
