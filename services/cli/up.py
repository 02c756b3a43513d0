"""Start a mesh, show it, and stop all of it: `soundsage up`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from soundsage.shared.config import Config, load_config
from soundsage.shared.plugins import installed_plugins

from .choice import allowing_feedback, check, resolve
from .configtext import config_text
from .files import KeeperNote, MeshFiles
from .keeper import Keeper, Screen
from .kept import keep
from .screen import LineScreen
from .units import load_units

__all__ = ["up"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Wishes:
    """What the person asked for on the command line."""

    source: str | None
    sinks: tuple[str, ...]
    strategy: str | None
    config_file: Path | None
    settings: tuple[str, ...]
    duration_s: float | None
    no_ui: bool
    allow_feedback: bool
    units_file: Path | None
    ready_fd: int | None


@click.command()
@click.option("--source", metavar="SPEC", help="system, device[:NAME], file:PATH[?loop=true], tone[:HZ], null")
@click.option("--sink", "sinks", metavar="SPEC", multiple=True, help="device[:NAME], file:PATH, null; may be repeated")
@click.option("--strategy", metavar="NAME", help="EQ strategy, from now on; see `soundsage strategy list`")
@click.option("--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="TOML file")
@click.option("--set", "settings", metavar="TABLE.KEY=VALUE", multiple=True, help="change one key of the configuration")
@click.option(
    "--duration", "duration_s", metavar="SECONDS", type=click.FloatRange(0, min_open=True),
    help="stop so long after the first rendered block",
)  # fmt: skip
@click.option("--detach", is_flag=True, help="return when it runs; `soundsage down` stops it")
@click.option("--no-ui", is_flag=True, help="print a line at each change instead of the live view")
@click.option("--allow-feedback", is_flag=True, help="allow a microphone to be played by a loudspeaker")
@click.option(
    "--units", "units_file", type=click.Path(path_type=Path), hidden=True, help="another description of processes"
)
@click.option("--ready-fd", type=int, hidden=True, help="file descriptor to close when it runs")
def up(*, detach: bool, **wishes: object) -> None:
    """Start everything, and stop it on Ctrl-C.

    Without --source it is `system` where a sound server runs, otherwise the demo excerpt. Exits with 0 when it was
    stopped, when its time is over or its source has ended, with 2 for wrong arguments and 1 when something failed.
    """
    if detach:
        sys.exit(_detach())
    _keep_mesh(Wishes(**wishes))  # type: ignore[arg-type]  # click has checked the types


def _keep_mesh(wishes: Wishes) -> None:
    stop = threading.Event()
    _on_signals(stop.set)
    config = _config(wishes)
    files = MeshFiles.of(config.mesh)
    files.make()
    with files.kept(KeeperNote(os.getpid())):
        config, said = resolve(config)
        if wishes.allow_feedback:
            config = allowing_feedback(config, installed_plugins())
        check(config, installed_plugins())
        _prepare(config, files, wishes)
        if said:
            click.echo(f"soundsage: {said}")
        keeper = Keeper(config, files, load_units(wishes.units_file), stop)
        with _screen(config, wishes) as screen:
            keeper.run(screen, wishes.duration_s, _when_ready(config, files, wishes))


def _on_signals(do: Callable[[], None]) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` leaves it
            signal.signal(number, lambda *_: do())


def _config(wishes: Wishes) -> Config:
    config = load_config(wishes.config_file, wishes.settings)
    replace = msgspec.structs.replace
    if wishes.source is not None:
        config = replace(config, capture=replace(config.capture, source=wishes.source))
    if wishes.sinks:
        config = replace(config, renderer=replace(config.renderer, sinks=wishes.sinks))
    if wishes.strategy:
        config = replace(config, strategy=replace(config.strategy, name=wishes.strategy))
    return config


def _prepare(config: Config, files: MeshFiles, wishes: Wishes) -> None:
    """Write what the services read."""
    text = config_text(config)
    files.clear_logs()
    files.config.write_text(text, encoding="utf-8")
    files.write_note(KeeperNote(os.getpid(), config.capture.source, config.renderer.sinks))
    if wishes.strategy:
        keep(config, "strategy", "strategy", wishes.strategy)


@contextlib.contextmanager
def _screen(config: Config, wishes: Wishes) -> Iterator[Screen]:
    if wishes.no_ui or not sys.stdout.isatty():
        yield LineScreen()
        return
    from .live import LiveScreen

    with LiveScreen(config.capture.source, config.renderer.sinks) as screen:
        yield screen


def _when_ready(config: Config, files: MeshFiles, wishes: Wishes) -> Callable[[], None]:
    def say() -> None:
        sinks = ", ".join(config.renderer.sinks)
        if wishes.no_ui or wishes.ready_fd is not None or not sys.stdout.isatty():
            click.echo(f"soundsage: running, {config.capture.source} to {sinks}; `soundsage down` stops it")
        if wishes.ready_fd is not None:
            _let_go(wishes.ready_fd, files)

    return say


def _let_go(ready_fd: int, files: MeshFiles) -> None:
    """Say that the mesh runs, and write to the log from now on."""
    sys.stdout.flush()
    log = os.open(files.log("keeper"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
    os.write(ready_fd, b"ready")
    os.close(ready_fd)


def _detach() -> int:
    """Have a process of its own keep the mesh; return its exit code, or 0 as soon as the mesh runs."""
    told, tell = os.pipe()
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "soundsage.services.cli", *arguments, "--no-ui", "--ready-fd", str(tell)],
        stdin=subprocess.DEVNULL,
        pass_fds=(tell,),
        start_new_session=True,
    )
    os.close(tell)
    _on_signals(keeper.terminate)
    with os.fdopen(told, "rb") as ready:
        return 0 if ready.read() else keeper.wait()
