"""Measure the latency and the load of a mesh, beside a bare pyzmq relay of the same hops and sizes: `soundsage bench`.

The bench runs a mesh of its own, in directories of its own, on the demo excerpt into the `null` sink. It alternates the
two, since machines are noisy: a slow minute makes both slow, and the ratio stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import psutil

from soundsage.shared.endpoints import Endpoints
from soundsage.shared.errors import MeshError
from soundsage.shared.messages import AudioBlock, EqCurve, EqProposal, FeatureVector, GenrePosterior, RenderMeter
from soundsage.shared.transport import Context, Inbox, wait

from .relay import ROLES, Plan

__all__ = ["bench"]

SETTLE_S = 5.0  # processes that start disturb each other, and the first window takes 3 s
FIRST_S = 60.0  # the longest that a mesh may take to its first block before the bench gives up
DEMO = Path(__file__).with_name("demo") / "demo.opus"
ANSWER_BYTES = 600
LATENCIES = ("capture_to_curve_ms", "capture_to_render_ms", "hop_compute_ms", "relay_ms", "render_relay_ms")


@dataclass
class Measured:
    """What all rounds gave.

    Attributes
    ----------
    values : dict of list of float
        Every latency of every round in ms.
    lost_blocks : int
    pss_mb, first_block_s : list of float
        One value a round.
    has_realtime : bool
        Whether the mesh was allowed to run in real time.
    """

    values: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in (*LATENCIES, "transport_ms")})
    lost_blocks: int = 0
    pss_mb: list[float] = field(default_factory=list)
    first_block_s: list[float] = field(default_factory=list)
    has_realtime: bool = False


@click.command()
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1), help="of mesh measured, in all")
@click.option("--rounds", default=4, show_default=True, type=click.IntRange(1), help="of mesh and relay in turn")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def bench(seconds: float, rounds: int, *, as_json: bool) -> None:
    """Measure latency and load of the mesh on this machine, beside bare pyzmq."""
    measured = Measured()
    for number in range(rounds):
        if not as_json:
            click.echo(f"round {number + 1} of {rounds}", err=True)
        with tempfile.TemporaryDirectory(prefix="soundsage-bench-", dir="/tmp") as directory:
            sizes = _mesh_round(Path(directory), seconds / rounds, measured)
            _relay_round(Path(directory), seconds / rounds, sizes, measured)
    report = _report(measured)
    click.echo(json.dumps(report) if as_json else _table(report))


def _mesh_round(directory: Path, seconds: float, measured: Measured) -> dict[str, list[int]]:
    """Run a mesh and return the sizes of its messages, by kind."""
    endpoints = Endpoints(directory / "soundsage")
    with _listening(endpoints) as inbox, _mesh(directory) as begin_s:
        first = _next_meter(inbox, time.monotonic() + FIRST_S)
        measured.first_block_s.append(first[1] / 1e9 - begin_s - first[0].time_s)
        end_s = time.monotonic() + SETTLE_S
        while time.monotonic() < end_s:
            last = _next_meter(inbox, end_s + 1)[0]
        lost_before = last.lost_blocks + last.late_blocks
        _listen(inbox, time.monotonic() + seconds, measured)
        last = _next_meter(inbox, time.monotonic() + 1)[0]
        measured.lost_blocks += last.lost_blocks + last.late_blocks - lost_before
        measured.pss_mb.append(_pss_mb(directory))
        measured.has_realtime = _has_realtime(directory)
        return _sizes(endpoints)


@contextlib.contextmanager
def _listening(endpoints: Endpoints) -> Iterator[Inbox]:
    with Context() as context, Inbox(context, endpoints.tap, [""], queue=10_000) as inbox:
        yield inbox


@contextlib.contextmanager
def _mesh(directory: Path) -> Iterator[float]:
    """Run a mesh in a directory, and yield the monotonic time, s, at which it was asked to start."""
    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(directory),
        "XDG_STATE_HOME": str(directory),
        "XDG_CONFIG_HOME": str(directory),
    }
    command = [sys.executable, "-m", "soundsage.services.cli"]
    begin_s = time.monotonic()
    _run([*command, "up", "--source", f"file:{DEMO}?loop=true", "--sink", "null", "--detach"], environment)
    try:
        yield begin_s
    finally:
        _run([*command, "down"], environment)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeshError(f"bench could not run a mesh: {done.stderr.strip() or done.stdout.strip()}")


def _next_meter(inbox: Inbox, deadline_s: float) -> tuple[RenderMeter, int]:
    """Return the next meter of the renderer, and when it was sent in ns."""
    while (left_s := deadline_s - time.monotonic()) > 0:
        received = inbox.next() if wait([inbox], left_s) else None
        if received is not None and isinstance(received.message, RenderMeter):
            return received.message, received.envelope.t_publish_ns
    raise MeshError("bench heard nothing of the renderer in time; see `soundsage doctor`")


def _listen(inbox: Inbox, end_s: float, measured: Measured) -> None:
    values = measured.values
    while (left_s := end_s - time.monotonic()) > 0:
        wait([inbox], left_s)
        for received in inbox.pending():
            match received.message:
                case RenderMeter() as meter:
                    values["capture_to_render_ms"] += meter.render_latency_ms.tolist()
                    values["capture_to_curve_ms"] += meter.curve_latency_ms.tolist()
                    values["transport_ms"] += (meter.curve_latency_ms - meter.curve_compute_ms).tolist()
                case GenrePosterior() as posterior if posterior.state != "no_signal":
                    values["hop_compute_ms"].append(posterior.hop_compute_ms)


def _pss_mb(directory: Path) -> float:
    """Return the proportional memory of all processes of the mesh that runs in a directory."""
    total_bytes = 0
    for process in _processes(directory):
        with contextlib.suppress(psutil.Error):
            total_bytes += process.memory_full_info().pss
    return total_bytes / 1e6


def _has_realtime(directory: Path) -> bool:
    """Return whether any process of the mesh that runs in a directory is scheduled in real time."""
    if sys.platform != "linux":
        return False
    found = False
    for process in _processes(directory):
        with contextlib.suppress(ProcessLookupError):
            found = found or os.sched_getscheduler(process.pid) == os.SCHED_RR
    return found


def _processes(directory: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("XDG_RUNTIME_DIR") == str(directory):
                yield process


def _sizes(endpoints: Endpoints) -> dict[str, list[int]]:
    """Return the bytes of each frame of each kind of message on the way from capture to curve."""
    wanted = {
        kind.schema.partition("/")[0] for kind in (AudioBlock, FeatureVector, EqProposal, GenrePosterior, EqCurve)
    }
    found: dict[str, list[int]] = {}
    with (
        Context() as context,
        Inbox(context, endpoints.tap, [""]) as events,
        Inbox(context, endpoints.audio, [""]) as audio,
    ):
        deadline_s = time.monotonic() + 5
        while wanted - found.keys():
            if time.monotonic() > deadline_s:
                raise MeshError(f"bench saw no {', '.join(sorted(wanted - found.keys()))}; see `soundsage status`")
            wait([events, audio], 1)
            for inbox in (events, audio):
                while (waiting := inbox.frames()) is not None:
                    found[waiting[0].partition("/")[0]] = list(map(len, waiting[1]))
    return {kind: found[kind] for kind in wanted}


def _relay_round(directory: Path, seconds: float, sizes: dict[str, list[int]], measured: Measured) -> None:
    context_bytes = sum(sum(sizes[kind]) for kind in ("feature_vector", "eq_proposal", "genre_posterior"))
    n_samples = sizes["audio_block"][1] // 8  # stereo float32
    plan = Plan(str(directory), n_samples / 48_000, 512 / 22_050, seconds, sizes, context_bytes, ANSWER_BYTES)
    command = [sys.executable, "-m", f"{__package__}.relay"]
    text = msgspec.json.encode(plan).decode()
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        for role in ROLES:
            processes[role] = subprocess.Popen([*command, role, text], stdout=subprocess.PIPE, text=True)
        out, _ = processes["renderer"].communicate(timeout=seconds + FIRST_S)
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    latency_ms = json.loads(out)
    measured.values["relay_ms"] += latency_ms["curve"]
    measured.values["render_relay_ms"] += latency_ms["render"]


def _report(measured: Measured) -> dict[str, Any]:
    report: dict[str, Any] = {name: _quantiles(measured.values[name]) for name in LATENCIES}
    transport = _quantiles(measured.values["transport_ms"])
    report["lost_blocks"] = measured.lost_blocks
    report["pss_mb"] = round(max(measured.pss_mb), 1)
    report["first_block_s"] = round(statistics.median(measured.first_block_s), 2)
    report["realtime"] = measured.has_realtime
    report["transport_to_relay"] = {key: round(transport[key] / report["relay_ms"][key], 2) for key in ("p50", "p99")}
    report["render_to_relay"] = {
        key: round(report["capture_to_render_ms"][key] / report["render_relay_ms"][key], 2) for key in ("p50", "p99")
    }
    return report


def _quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        raise MeshError("bench measured nothing; see `soundsage logs`")
    p50, p99, largest = np.quantile(values, [0.5, 0.99, 1.0])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(float(largest), 3), "n": len(values)}


def _table(report: Mapping[str, Any]) -> str:
    lines = [f"{'ms':24}{'p50':>9}{'p99':>9}{'max':>9}{'n':>8}"]
    lines += [
        f"{name.removesuffix('_ms'):24}" + "{p50:9.3f}{p99:9.3f}{max:9.3f}{n:8d}".format(**report[name])
        for name in LATENCIES
    ]
    ratio = report["transport_to_relay"]
    lines.append(f"(capture to curve - compute) / relay: p50 {ratio['p50']:.2f}, p99 {ratio['p99']:.2f}")
    ratio = report["render_to_relay"]
    lines.append(f"capture to render / render relay: p50 {ratio['p50']:.2f}, p99 {ratio['p99']:.2f}")
    lines.append("{lost_blocks} lost blocks, {pss_mb} MB PSS, first block after {first_block_s} s".format(**report))
    lines.append("in real time" if report["realtime"] else "not in real time; see `soundsage doctor`")
    return "\n".join(lines)
