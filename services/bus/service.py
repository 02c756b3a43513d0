"""In: every event. Out: every event, to its receivers and to the tap. Drops what a slow receiver has no room for."""

from __future__ import annotations

import threading

from soundsage.shared.config import Config
from soundsage.shared.node import Node, NoSettings

from .core import Traffic

__all__ = ["run"]

COUNT_S = 0.2


def run(config: Config, stop: threading.Event) -> None:
    """Forward events until told to stop."""
    traffic = Traffic()
    with Node("bus", config.mesh, stop, NoSettings()) as node, node.event_proxy():
        tap = node.tap()
        node.set_state("ready")
        while not stop.is_set():
            node.receive((), COUNT_S)
            while (event := tap.frames()) is not None:
                traffic.add(event[1])
            node.shown.update(events=traffic.n_events, bytes=traffic.n_bytes)
