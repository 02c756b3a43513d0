"""Run before all ordinary programs: sound waits for nobody, and decisions wait for sound alone.

Decision
--------
The processes of a mesh are scheduled round robin in real time, so that one with something to do does it at once. Those
that sound passes through have the higher priority, and a core to themselves, whose caches still hold their code when
the next block comes 5 ms later; both have the same, since a renderer that went first would play a block before capture
has handed it to the features, too. Those that decide run on any core: on fewer, each would wait for the one before it
to lie down. All threads of a process have its priority: one that held the interpreter and waited for an ordinary
program would hold the sound up. Without the right to real time (on Linux that of root, or `rtprio` in
/etc/security/limits.d) nothing is bound to a core, where it might have to wait, and sound asks for niceness instead.
The kernel keeps a twentieth of each core for all others, whatever a process in real time does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["MAX_PRIORITY", "PLUGIN_PRIORITY", "is_realtime", "outside_realtime", "take_realtime"]

MAX_PRIORITY = 40  # of a service; below what sound servers and drivers have
PLUGIN_PRIORITY = 10
NICENESS = -10


def take_realtime(priority: int, *, own_core: bool) -> bool:
    """Schedule this process, and all threads that it will have, in real time; return whether that was allowed.

    Parameters
    ----------
    priority : int
        Who has a higher one runs first.
    own_core : bool
        Whether it is bound to the core for sound: the second one, since the first serves most interrupts and the last
        may be a slow one.
    """
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
            if own_core:
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2][-1:])
            return True
    if own_core:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    return False


def is_realtime() -> bool:
    """Return whether this thread is scheduled in real time."""
    return sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_RR


@contextlib.contextmanager
def outside_realtime() -> Iterator[None]:
    """Run as ordinary programs do; after the `with` in real time again, if it was so before, but behind all services.

    It is for a process that loads a plugin, which may take its time, and then answers in time or is stopped.
    """
    if not is_realtime():
        yield
        return
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    yield
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PLUGIN_PRIORITY))
