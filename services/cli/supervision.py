"""Have the processes of a mesh run by supervisord: write its configuration, start it, ask it.

Decisions
---------
A process that lived for a second is restarted at once when it dies; one that did not waits 1, 2 and 3 s and is given
up, so that a mesh whose keeper is gone does not spin. supervisord turns its loop once a second, or when it is asked
anything: whoever waits for it asks.
"""

from __future__ import annotations

import contextlib
import getpass
import http.client
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from soundsage.shared.errors import MeshError

from .files import MeshFiles
from .units import Unit

__all__ = ["ProcessInfo", "Supervisord", "last_line", "start_supervisord", "supervisor_config"]

ANSWER_WAIT_S = 5.0
START_WAIT_S = 15.0
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


def supervisor_config(units: Sequence[Unit], files: MeshFiles) -> str:
    """Return the configuration that makes supervisord run the units."""
    shared: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": files.supervisor_socket, "chmod": "0700"},
        "supervisord": {
            "logfile": files.log("supervisord"),
            "logfile_maxbytes": "1MB",
            "logfile_backups": 1,
            "pidfile": files.supervisor_pid,
            "directory": files.run_dir,
            "nodaemon": "true",
            "silent": "true",
            "minfds": 256,
            "minprocs": 64,
            **({"user": getpass.getuser()} if os.getuid() == 0 else {}),
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    programs = {f"program:{unit.name}": _program(unit, files) for unit in units}
    return "\n".join(_section(name, values) for name, values in {**shared, **programs}.items())


def _program(unit: Unit, files: MeshFiles) -> dict[str, object]:
    nice = ("nice", "-n", str(unit.nice)) if unit.nice and _may_have_niceness(unit.nice) else ()
    # -P: what lies in the working directory is not ours to import.
    command = (*nice, sys.executable, "-P", *unit.arguments, "--config", str(files.config))
    return {
        "command": shlex.join(command),
        "priority": unit.stage,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 1,
        "startretries": 3,
        "stopsignal": "TERM",
        "stopwaitsecs": round(unit.stop_wait_s),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": files.log(unit.name),
        "stdout_logfile_maxbytes": "1MB",
        "stdout_logfile_backups": 1,
    }


def _section(name: str, values: dict[str, object]) -> str:
    # supervisord expands `%`.
    lines = (f"{key}={str(value).replace('%', '%%')}" for key, value in values.items())
    return "\n".join((f"[{name}]", *lines, ""))


def _may_have_niceness(nice: int) -> bool:
    """Return whether `nice` has nothing to complain about."""
    command = shutil.which("nice")
    if command is None:
        return False
    tried = subprocess.run([command, "-n", str(nice), "true"], capture_output=True, check=False)
    return tried.returncode == 0 and not tried.stderr


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, file: str) -> None:
        super().__init__("localhost", timeout=ANSWER_WAIT_S)
        self._file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._file)


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


@contextlib.contextmanager
def start_supervisord(
    units: Sequence[Unit], files: MeshFiles, is_cancelled: Callable[[], bool]
) -> Iterator[Supervisord]:
    """Start supervisord, none of its processes running yet; at the end all of them are stopped.

    Raises
    ------
    MeshError
        If it does not start.
    """
    files.supervisor_config.write_text(supervisor_config(units, files), encoding="utf-8")
    with files.log("supervisord").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "supervisor.supervisord", "-n", "-c", str(files.supervisor_config)],
            cwd=files.run_dir,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C in the terminal is for us alone
        )
    supervisord = Supervisord(files)
    try:
        _await_answer(process, supervisord, files, is_cancelled)
        yield supervisord
    finally:
        _end(process, supervisord, units, files)


def _await_answer(
    process: subprocess.Popen[bytes], supervisord: Supervisord, files: MeshFiles, is_cancelled: Callable[[], bool]
) -> None:
    deadline_s = time.monotonic() + START_WAIT_S
    while not (files.supervisor_socket.exists() and supervisord.answers) and not is_cancelled():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise MeshError(f"supervisord did not start: {last_line(files, 'supervisord')}")
        time.sleep(LOOK_S)


def _end(process: subprocess.Popen[bytes], supervisord: Supervisord, units: Sequence[Unit], files: MeshFiles) -> None:
    """Stop in order where supervisord still answers, and kill what is left."""
    with contextlib.suppress(MeshError):
        supervisord.stop(units)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(ANSWER_WAIT_S)
    files.end_leftovers()
    process.wait()


def last_line(files: MeshFiles, name: str) -> str:
    """Return the last line that a process logged."""
    try:
        lines = files.log(name).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it logged nothing")
