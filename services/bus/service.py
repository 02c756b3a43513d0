"""In: every event. Out: every event, to its receivers and to the tap. Drops what a slow receiver has no room for."""

from __future__ import annotations

import threading
import time

from soundsage.shared.config import Config
from soundsage.shared.node import Node, NoSettings

from .core import Traffic

__all__ = ["run"]

COUNT_S = 1.0


def run(config: Config, stop: threading.Event) -> None:
    """Forward events until told to stop."""
    with Node("bus", config.mesh, stop, NoSettings()) as node, node.event_proxy() as proxy:
        before = Traffic(*proxy.received(), time.monotonic())
        node.set_state("ready")
        while not stop.is_set():
            node.receive((), 0.1)
            if time.monotonic() < before.time_s + COUNT_S:
                continue
            now = Traffic(*proxy.received(), time.monotonic())
            node.shown.update(bytes_received=now.n_bytes, bytes_per_s=round(now.bytes_per_s(before)))
            before = now
