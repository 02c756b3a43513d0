"""Stop a mesh, whatever became of it: `soundsage down`."""

from __future__ import annotations

import contextlib

import click
import psutil

from soundsage.shared.config import Config
from soundsage.shared.errors import MeshError

from .files import MeshFiles
from .options import mesh_option
from .supervisord import Supervisord
from .units import load_units

__all__ = ["down"]

STOP_WAIT_S = 30.0


@click.command()
@mesh_option
def down(*, config: Config) -> None:
    """Stop everything that `up` started.

    Exits with 1 when nothing runs.
    """
    files = MeshFiles.of(config.mesh)
    keeper = files.keeper()
    if keeper is not None and keeper.pid:
        _end_keeper(keeper.pid)
    elif not files.leftovers():
        files.clear()
        raise MeshError(f"no mesh runs in {files.run_dir}; `soundsage up` starts one")
    if files.leftovers():
        _end_without_keeper(files)
    click.echo("soundsage: stopped")


def _end_keeper(pid: int) -> None:
    """Ask the keeper to stop its mesh, and kill it when it does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.terminate()
        try:
            process.wait(STOP_WAIT_S)
        except psutil.TimeoutExpired:
            process.kill()


def _end_without_keeper(files: MeshFiles) -> None:
    with contextlib.suppress(MeshError):
        Supervisord(files).stop(load_units())
    files.end_leftovers()
    files.clear()
