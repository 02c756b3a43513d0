"""Have the processes of a mesh run by supervisord: write its configuration, start it, stop all of it.

Decision
--------
A process that lived for a second is restarted at once when it dies; one that did not waits 1, 2 and 3 s and is given
up, so that a mesh whose keeper is gone does not spin.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from soundsage.shared.errors import MeshError

from .files import MeshFiles
from .supervisord import Supervisord
from .units import Unit

__all__ = ["start_supervisord", "supervisor_config"]

START_WAIT_S = 15.0
END_WAIT_S = 5.0
LOOK_S = 0.01


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
    # -P: what lies in the working directory is not ours to import.
    command = (sys.executable, "-P", *unit.arguments, "--config", str(files.config))
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
        "environment": 'OPENBLAS_NUM_THREADS="1"',  # a matrix here is too small for two cores, and threads would spin
        "redirect_stderr": "true",
        "stdout_logfile": files.log(unit.name),
        "stdout_logfile_maxbytes": "1MB",
        "stdout_logfile_backups": 1,
    }


def _section(name: str, values: dict[str, object]) -> str:
    # supervisord expands `%`.
    lines = (f"{key}={str(value).replace('%', '%%')}" for key, value in values.items())
    return "\n".join((f"[{name}]", *lines, ""))


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
            raise MeshError(f"supervisord did not start: {files.last_line('supervisord')}")
        time.sleep(LOOK_S)


def _end(process: subprocess.Popen[bytes], supervisord: Supervisord, units: Sequence[Unit], files: MeshFiles) -> None:
    """Stop in order where supervisord still answers, and kill what is left."""
    with contextlib.suppress(MeshError):
        supervisord.stop(units)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_WAIT_S)
    files.end_leftovers()
    process.wait()
