"""A process that stands in for a service: it announces itself as the real one does.

`python standin.py SERVICE --config FILE` also takes `--fault FAULT` before `--config`.
"""

from __future__ import annotations

import contextlib
import sys
import threading

import numpy as np

from soundsage.shared.config import Config
from soundsage.shared.errors import DeviceError
from soundsage.shared.messages import GenrePosterior, RenderMeter
from soundsage.shared.node import Node, NoSettings
from soundsage.shared.process import run_service


def run(service: str, fault: str, config: Config, stop: threading.Event) -> None:
    """Be the service until told to stop."""
    if fault == "crash":
        raise RuntimeError("crashed on purpose")
    with Node(service, config.mesh, stop, NoSettings()) as node, contextlib.ExitStack() as opened:
        if service == "bus":
            opened.enter_context(node.event_proxy())
        if fault == "mute":
            stop.wait()
            return
        if fault == "failed":
            node.report(DeviceError("device must be there, got none"))
        else:
            node.set_state("ended" if fault == "ended" else "ready")
        rendered_samples = 0
        while not stop.is_set():
            node.receive((), 0.1)
            rendered_samples += 4800
            if service == "renderer":
                node.publish(meter(rendered_samples))
            if service == "broker":
                node.publish(posterior())


def meter(rendered_samples: int) -> RenderMeter:
    """Return a meter of a renderer that works."""
    latency_ms = np.full(18, 0.4, np.float32)
    return RenderMeter(
        stream="main",
        time_s=rendered_samples / 48_000,
        sink="null",
        rendered_samples=rendered_samples,
        strategy="flat",
        bands=(),
        preamp_db=0.0,
        bypass=False,
        gain_db=0.0,
        level_db=(-20.0, -20.0),
        peak_db=(-10.0, -10.0),
        lost_blocks=0,
        late_blocks=0,
        underruns=0,
        buffer_ms=10.0,
        render_latency_ms=latency_ms,
        curve_latency_ms=latency_ms[:1],
        curve_compute_ms=latency_ms[:1],
    )


def posterior() -> GenrePosterior:
    """Return a posterior that is sure."""
    return GenrePosterior(
        stream="main",
        time_s=1.0,
        model="stand-in",
        backend="none",
        labels=("rock", "jazz"),
        posterior=(0.25, 0.75),
        state="genre",
        genre="jazz",
        confidence=0.75,
        skipped=0,
        compute_ms=0.1,
        hop_compute_ms=0.2,
    )


if __name__ == "__main__":
    name = sys.argv.pop(1)
    wanted = sys.argv.pop(1) if not sys.argv[1].startswith("--") else ""
    run_service(name, lambda config, stop: run(name, wanted, config, stop))
