"""Show the view on the terminal while a mesh runs, or write it as a picture."""

from __future__ import annotations

import time
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from .heard import Heard
from .units import load_units
from .view import View, render

__all__ = ["LiveScreen", "write_svg"]

FRAME_S = 0.2
SVG_WIDTH, SVG_HEIGHT = 100, 28


class LiveScreen:
    """Draws the view anew a few times a second, and gives the terminal back as it was.

    Parameters
    ----------
    source : str
    sinks : tuple of str
    """

    def __init__(self, source: str, sinks: tuple[str, ...]) -> None:
        self._source = source
        self._sinks = sinks
        self._services = tuple(unit.name for unit in load_units())
        self._console = Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._due_s = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, heard: Heard) -> None:
        """Draw what was heard, if it is time to."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + FRAME_S
        view = View(heard, self._source, self._sinks, self._services, now_s)
        self._live.update(render(view, *self._console.size), refresh=True)


def write_svg(file: Path, heard: Heard, source: str, sinks: tuple[str, ...]) -> None:
    """Write the view of what was heard as an SVG picture."""
    services = tuple(unit.name for unit in load_units())
    console = Console(record=True, width=SVG_WIDTH, height=SVG_HEIGHT, file=StringIO(), force_terminal=True)
    view = View(heard, source, sinks, services, time.monotonic())
    console.print(render(view, SVG_WIDTH, SVG_HEIGHT), height=SVG_HEIGHT)
    file.write_text(console.export_svg(title="soundsage up"), encoding="utf-8")
