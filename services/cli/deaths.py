"""Notice at once when a process of the mesh dies, and have supervisord restart it now rather than a second later."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from types import TracebackType
from typing import Self

from soundsage.shared.errors import MeshError

from .files import MeshFiles
from .supervisord import Supervisord

__all__ = ["DeathWatch"]

LOOK_S = 1.0


class DeathWatch:
    """A thread that waits for deaths.

    The kernel tells of a death through a pidfd; where it has none, a restart takes the second or two that supervisord
    needs by itself.

    Parameters
    ----------
    files : MeshFiles

    Attributes
    ----------
    given_up : list of str
        The processes that supervisord no longer restarts.
    """

    def __init__(self, files: MeshFiles) -> None:
        self.given_up: list[str] = []
        self._pids: dict[str, int] = {}
        self._supervisord = Supervisord(files)
        self._dead: deque[str] = deque()
        self._woken, self._wake = os.pipe()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="death-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.look()
        self._thread.join()
        os.close(self._wake)
        os.close(self._woken)

    def look(self) -> None:
        """Look for new processes now."""
        os.write(self._wake, b".")

    def dead(self) -> list[str]:
        """Return the names of those that died since this was asked last, once for each death."""
        return [self._dead.popleft() for _ in range(len(self._dead))]

    def _watch(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(MeshError):
                self._look()
            died = self._await_death(self._pids)
            if died and not self._stop.is_set():
                self._dead.extend(died)
                with contextlib.suppress(MeshError):
                    self._supervisord.restart_the_dead()

    def _look(self) -> None:
        processes = self._supervisord.processes()
        self.given_up = [process.name for process in processes if process.statename == "FATAL"]
        running = {process.name: process.pid for process in processes if process.pid}
        self._pids = {**running, "supervisord": self._supervisord.pid()}

    def _await_death(self, pids: dict[str, int]) -> list[str]:
        """Return the names of those that died, or none after a while."""
        with contextlib.ExitStack() as opened:
            fds, died = _open_pidfds(pids, opened)
            if died:
                return died
            poll = select.poll()
            for fd in (*fds, self._woken):
                poll.register(fd, select.POLLIN)
            ready = [fd for fd, _ in poll.poll(LOOK_S * 1000)]
            if self._woken in ready:
                os.read(self._woken, 4096)
            return [fds[fd] for fd in ready if fd in fds]


def _open_pidfds(pids: dict[str, int], opened: contextlib.ExitStack) -> tuple[dict[int, str], list[str]]:
    """Return the name behind each pidfd, and the names of those that are gone already."""
    fds: dict[int, str] = {}
    died: list[str] = []
    for name, pid in pids.items():
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            died.append(name)
            continue
        except OSError:
            continue
        opened.callback(os.close, fd)
        fds[fd] = name
    return fds, died
