"""Say how the mesh is: `soundsage status`."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import msgspec

from soundsage.shared.config import Config
from soundsage.shared.errors import MeshError
from soundsage.shared.messages import GenrePosterior
from soundsage.shared.transport import Context, wait

from .files import KeeperNote, MeshFiles
from .heard import Heard, Window, listen
from .options import json_option, mesh_option
from .supervisord import ProcessInfo, Supervisord
from .units import load_units

__all__ = ["ServiceStatus", "Status", "look", "status"]

LISTEN_S = 1.2  # services say how they are once a second
UP = frozenset({"ready", "waiting", "ended"})


class ServiceStatus(msgspec.Struct, frozen=True):
    """One service.

    Attributes
    ----------
    name : str
    pid : int
    state : str
        What it says of itself, or what supervisord says of it while it says nothing.
    restarts : int
    lost : int
        Messages that it never got.
    text : str
        Why it is not well.
    """

    name: str
    pid: int
    state: str
    restarts: int
    lost: int
    text: str = ""


class Status(msgspec.Struct, frozen=True):
    """The mesh.

    Attributes
    ----------
    state : str
        `stopped`, `starting`, `running`, or `unattended` when its keeper is gone and the sound goes on.
    services : list of ServiceStatus
    genre : dict or None
        State, genre, confidence and posterior by label; None when no posterior was heard.
    strategy : str or None
    latency_ms : dict
        p50, p99 and n of `capture_to_curve`, `capture_to_render`, `hop_compute` and `buffer`; None where nothing was
        heard.
    """

    state: str
    services: list[ServiceStatus] = []
    genre: dict[str, Any] | None = None
    strategy: str | None = None
    latency_ms: dict[str, Any] = {}
    bypass: bool | None = None
    gain_db: float | None = None
    source: str | None = None
    sinks: list[str] = []
    lost_blocks: int | None = None
    late_blocks: int | None = None
    underruns: int | None = None
    rendered_samples: int | None = None


@click.command()
@json_option
@mesh_option
@click.option(
    "--svg", metavar="FILE", type=click.Path(path_type=Path), help="write the view that `up` shows as a picture"
)
def status(*, config: Config, as_json: bool, svg: Path | None) -> None:
    """Say how the mesh is, after listening to it for a second.

    Exits with 0 also when nothing runs; the state is then `stopped`.
    """
    files = MeshFiles.of(config.mesh)
    found, heard = look(config, files)
    if svg is not None:
        _write_svg(svg, found, heard)
    elif as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(_lines(found)))


def look(config: Config, files: MeshFiles, listen_s: float = LISTEN_S) -> tuple[Status, Heard]:
    """Return how the mesh is, and what was heard of it."""
    keeper = files.keeper()
    processes = _processes(files)
    if keeper is None and not processes and not files.leftovers():
        return Status("stopped"), Heard()
    heard = _listen(config, listen_s)
    heard.deaths = _restarts(files)
    services = _services(processes, heard)
    is_ready = bool(services) and all(service.state in UP for service in services)
    state = "unattended" if keeper is None else "running" if is_ready else "starting"
    return _status(state, services, heard, files.note()), heard


def _processes(files: MeshFiles) -> list[ProcessInfo]:
    try:
        return Supervisord(files).processes()
    except MeshError:
        return []


def _listen(config: Config, listen_s: float) -> Heard:
    heard = Heard()
    until_s = time.monotonic() + listen_s
    with Context() as context, listen(context, config.mesh.endpoints) as inbox:
        while (left_s := until_s - time.monotonic()) > 0:
            wait([inbox], left_s)
            while (received := inbox.next()) is not None:
                heard.take(received)
    return heard


def _restarts(files: MeshFiles) -> Counter[str]:
    """Return how often each process was started again, as supervisord logged it."""
    try:
        log = files.log("supervisord").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Counter()
    spawned = Counter(re.findall(r"spawned: '(.+)' with pid", log))
    return Counter({name: n_spawned - 1 for name, n_spawned in spawned.items()})


def _services(processes: list[ProcessInfo], heard: Heard) -> list[ServiceStatus]:
    order = {unit.name: place for place, unit in enumerate(load_units())}
    by_name = {process.name: process for process in processes}
    names = sorted({*by_name, *heard.services}, key=lambda name: (order.get(name, len(order)), name))
    return [_service(name, by_name.get(name), heard) for name in names]


def _service(name: str, process: ProcessInfo | None, heard: Heard) -> ServiceStatus:
    restarts = heard.deaths[name]
    said = heard.services.get(name)
    pid = process.pid if process is not None else 0
    if said is not None and pid in (0, said.pid):
        return ServiceStatus(name, said.pid, said.state, restarts, said.lost, said.text)
    state = process.statename.lower() if process is not None else "unknown"
    text = process.spawnerr if process is not None and not pid else ""
    return ServiceStatus(name, pid, "silent" if state == "running" else state, restarts, 0, text)


def _status(state: str, services: list[ServiceStatus], heard: Heard, note: KeeperNote | None) -> Status:
    render = heard.render
    strategy = heard.setting("strategy", "strategy")
    return Status(
        state=state,
        services=services,
        genre=_genre(heard.genre) if heard.genre else None,
        strategy=str(strategy) if strategy is not None else None,
        latency_ms={
            "capture_to_curve": _percentiles(heard.capture_to_curve_ms),
            "capture_to_render": _percentiles(heard.capture_to_render_ms),
            "hop_compute": _percentiles(heard.hop_compute_ms),
            "buffer": _percentiles(heard.buffer_ms),
        },
        bypass=render.bypass if render else None,
        gain_db=render.gain_db if render else None,
        source=note.source if note else None,
        sinks=list(note.sinks) if note else [],
        lost_blocks=render.lost_blocks if render else None,
        late_blocks=render.late_blocks if render else None,
        underruns=render.underruns if render else None,
        rendered_samples=render.rendered_samples if render else None,
    )


def _genre(genre: GenrePosterior) -> dict[str, Any]:
    return {
        "state": genre.state,
        "genre": genre.genre,
        "confidence": genre.confidence,
        "posterior": dict(zip(genre.labels, genre.posterior, strict=True)),
        "model": genre.model,
        "backend": genre.backend,
        "skipped": genre.skipped,
    }


def _percentiles(window: Window) -> dict[str, Any] | None:
    percentiles = window.percentiles
    return msgspec.to_builtins(percentiles) if percentiles is not None else None


def _write_svg(file: Path, found: Status, heard: Heard) -> None:
    from .live import write_svg

    if found.state == "stopped":
        raise MeshError("no mesh runs, so there is nothing to draw; `soundsage up` starts one")
    write_svg(file, heard, found.source or "", tuple(found.sinks))


def _lines(found: Status) -> list[str]:
    if found.state == "stopped":
        return ["stopped; `soundsage up` starts the mesh"]
    genre = found.genre or {}
    lines = [
        f"{found.state}: {found.source} to {', '.join(found.sinks)}",
        f"genre: {genre.get('genre') or genre.get('state') or 'not heard'}"
        + (f" ({genre['confidence']:.0%})" if genre.get("genre") else ""),
        f"strategy: {found.strategy}; bypass {'on' if found.bypass else 'off'}; gain {found.gain_db or 0:+.1f} dB",
        f"lost {found.lost_blocks} blocks, late {found.late_blocks}, underruns {found.underruns}",
    ]
    for name, values in found.latency_ms.items():
        shown = f"p50 {values['p50']:.2f} ms, p99 {values['p99']:.2f} ms" if values else "not heard"
        lines.append(f"{name.replace('_', ' ')}: {shown}")
    lines.append(f"{'SERVICE':<10} {'PID':>8} {'STATE':<9} {'RESTARTS':>8} {'LOST':>6}")
    for service in found.services:
        row = f"{service.name:<10} {service.pid:>8} {service.state:<9} {service.restarts:>8} {service.lost:>6}"
        lines.append(f"{row}  {service.text}".rstrip())
    return lines
