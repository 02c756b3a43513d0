"""Ask the supervisord of a mesh, over its unix socket.

It turns its loop once a second, or when it is asked anything: whoever waits for it asks.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
import xmlrpc.client
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import msgspec

from soundsage.shared.errors import MeshError

from .files import MeshFiles
from .units import Unit

__all__ = ["ProcessInfo", "Supervisord"]

ANSWER_WAIT_S = 5.0
LOOK_S = 0.01
TURNS_TO_RESTART = 3  # one reaps, one starts anew, and one may have been under way
ALIVE = frozenset({"STARTING", "RUNNING", "STOPPING"})


class ProcessInfo(msgspec.Struct, frozen=True):
    """What supervisord knows of a process.

    Attributes
    ----------
    name : str
    pid : int
        0 while it does not run.
    statename : str
        `STOPPED`, `STARTING`, `RUNNING`, `BACKOFF`, `STOPPING`, `EXITED`, `FATAL` or `UNKNOWN`.
    spawnerr : str
    """

    name: str
    pid: int
    statename: str
    spawnerr: str


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, file: str) -> None:
        super().__init__("localhost", timeout=ANSWER_WAIT_S)
        self._file = file

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._file)
        except OSError:
            sock.close()
            raise
        self.sock = sock


class _Transport(xmlrpc.client.Transport):
    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = file

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002  as the parent has it
        return _Connection(self._file)


class Supervisord:
    """Asks the supervisord of a mesh; used by one thread.

    Parameters
    ----------
    files : MeshFiles
    """

    def __init__(self, files: MeshFiles) -> None:
        self._proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(str(files.supervisor_socket)))

    def _ask(self, method: str, *arguments: object) -> Any:
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise MeshError(
                f"supervisord does not answer: {error or type(error).__name__}; see `soundsage doctor`"
            ) from error
        finally:
            self._proxy("close")()

    @property
    def answers(self) -> bool:
        """Whether it is there."""
        try:
            self.nudge()
        except MeshError:
            return False
        return True

    def pid(self) -> int:
        """Return its own pid."""
        return int(self._ask("getPID"))

    def nudge(self) -> None:
        """Turn its loop."""
        self._ask("getState")

    def restart_the_dead(self) -> None:
        """Turn its loop until it has noticed a death and started the process anew."""
        for _ in range(TURNS_TO_RESTART):
            self.nudge()
            time.sleep(LOOK_S)

    def processes(self) -> list[ProcessInfo]:
        """Return what it knows of each process."""
        return msgspec.convert(self._ask("getAllProcessInfo"), list[ProcessInfo])

    def start(self, name: str) -> None:
        """Start a process, without waiting for it."""
        with contextlib.suppress(xmlrpc.client.Fault):  # it has been started already
            self._ask("startProcess", name, False)

    def stop(self, units: Iterable[Unit]) -> None:
        """Stop stage by stage, the highest first, then supervisord itself."""
        by_stage = sorted(units, key=lambda unit: -unit.stage)
        for _, stage in groupby(by_stage, lambda unit: unit.stage):
            self._stop_together(list(stage))
        self._ask("shutdown")

    def _stop_together(self, units: list[Unit]) -> None:
        for unit in units:
            with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
                self._ask("stopProcess", unit.name, False)
        names = {unit.name for unit in units}
        deadline_s = time.monotonic() + max(unit.stop_wait_s for unit in units) + ANSWER_WAIT_S
        while time.monotonic() < deadline_s and any(
            process.statename in ALIVE for process in self.processes() if process.name in names
        ):
            time.sleep(LOOK_S)
