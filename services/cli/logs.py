"""Show what the processes of the mesh log: `soundsage logs`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from soundsage.shared.config import Config
from soundsage.shared.errors import InputError

from .files import MeshFiles
from .options import mesh_option

__all__ = ["logs"]

LOOK_S = 0.2


@click.command()
@click.argument("service", required=False)
@click.option("-n", "--lines", "n_lines", default=50, show_default=True, type=click.IntRange(0), help="of each log")
@click.option("-f", "--follow", is_flag=True, help="go on as more is logged")
@mesh_option
def logs(*, service: str | None, n_lines: int, follow: bool, config: Config) -> None:
    """Show the log of a service, or of all, of the mesh that runs or ran last."""
    files = MeshFiles.of(config.mesh)
    found = sorted(files.logs.glob("*.log")) if service is None else [files.log(service)]
    if not found or not found[0].exists():
        known = ", ".join(sorted(log.stem for log in files.logs.glob("*.log"))) or "none"
        raise InputError(f"service must be one that logged in {files.logs}: {known}; got {service or 'nothing'}")
    tails = {log: _Tail(log, n_lines) for log in found}
    while True:
        for log, tail in tails.items():
            for line in tail.new():
                click.echo(line if service else f"{log.stem:<11} {line}")
        if not follow:
            return
        time.sleep(LOOK_S)


class _Tail:
    """The end of a file that grows."""

    def __init__(self, file: Path, n_lines: int) -> None:
        self._file = file
        self._n_lines: int | None = n_lines
        self._place = 0

    def new(self) -> Iterator[str]:
        """Yield the lines that have come; first the last ones that were there."""
        try:
            if self._file.stat().st_size < self._place:  # the log was rotated
                self._place = 0
            with self._file.open("rb") as log:
                log.seek(self._place)
                text = log.read()
        except FileNotFoundError:
            return
        whole = text.rpartition(b"\n")[0] if self._n_lines is None else text.rstrip(b"\n")
        self._place += len(whole) + (1 if text[len(whole) :].startswith(b"\n") else 0)
        lines = whole.decode(errors="replace").split("\n") if whole else []
        yield from lines if self._n_lines is None else lines[len(lines) - min(self._n_lines, len(lines)) :]
        self._n_lines = None
