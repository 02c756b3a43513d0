"""Stop a mesh, whatever became of it: `soundsage down`."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import click

from soundsage.shared.config import Config
from soundsage.shared.errors import MeshError

from .files import MeshFiles
from .options import mesh_option
from .supervisord import Supervisord
from .units import load_units

__all__ = ["down"]

STOP_WAIT_S = 30.0
LOOK_S = 0.02


@click.command()
@mesh_option
def down(*, config: Config) -> None:
    """Stop everything that `up` started.

    Exits with 1 when nothing runs.
    """
    files = MeshFiles.of(config.mesh)
    keeper = files.keeper()
    if keeper is not None and keeper.pid:
        _end_keeper(keeper.pid, files)
    elif not files.leftovers():
        files.clear()
        raise MeshError(f"no mesh runs in {files.run_dir}; `soundsage up` starts one")
    if files.leftovers():
        _end_without_keeper(files)
    click.echo("soundsage: stopped")


def _end_keeper(pid: int, files: MeshFiles) -> None:
    """Ask the keeper to stop its mesh, and kill it when it does not."""
    deadline_s = time.monotonic() + STOP_WAIT_S
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while (keeper := files.keeper()) is not None and keeper.pid == pid:
            if time.monotonic() > deadline_s:
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(LOOK_S)


def _end_without_keeper(files: MeshFiles) -> None:
    with contextlib.suppress(MeshError):
        Supervisord(files).stop(load_units())
    files.end_leftovers()
    files.clear()
