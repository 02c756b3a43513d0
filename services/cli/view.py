"""Draw what the mesh does on a terminal of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from soundsage.shared.messages import ServiceState

from .heard import Heard, Window
from .plots import curve_db, draw_curve, frequency_axis, horizontal_bar

__all__ = ["View", "render"]

LOWEST_DB = -60.0
LOUD_DB, HOT_DB = -12.0, -3.0
STATE_STYLES = {"ready": "green", "ended": "cyan", "starting": "yellow", "waiting": "yellow", "silent": "red"}
FRAME = "bright_black"
MIN_CURVE_ROWS = 4
STEREO = 2  # what there is room for
STATES = {"not_music": "not music", "no_signal": "no signal"}


@dataclass(frozen=True)
class View:
    """What is to be drawn.

    Attributes
    ----------
    heard : Heard
    source : str
    sinks : tuple of str
    services : tuple of str
        In the order in which they are shown.
    now_s : float
        Monotonic clock, s; what was heard too long before is shown as silent.
    """

    heard: Heard
    source: str
    sinks: tuple[str, ...]
    services: tuple[str, ...]
    now_s: float


def render(view: View, width: int, height: int) -> RenderableType:
    """Return the view in `width` x `height` characters."""
    root = Layout()
    lower = 7
    services = 4
    upper = max(6, height - 1 - lower - services)
    root.split_column(
        Layout(_header(view, width), size=1),
        Layout(name="upper", size=upper),
        Layout(name="lower", size=lower),
        Layout(_services(view), size=services),
    )
    left = max(28, width * 2 // 5)
    root["upper"].split_row(
        Layout(_genre(view, left - 4, upper - 2), size=left), Layout(_curve(view, width - left - 4, upper - 2))
    )
    root["lower"].split_row(Layout(_levels(view, left - 4), size=left), Layout(_latencies(view)))
    return root


def _header(view: View, width: int) -> Text:
    render = view.heard.render
    line = Text.assemble((" SoundSage ", "bold reverse"))
    sinks = ", ".join(_named(sink) for sink in view.sinks)
    line.append(f" {_short(_named(view.source), width // 3)} → {_short(sinks, width // 3)}")
    if render is not None and render.bypass:
        line.append("  BYPASS", "bold yellow")
    if render is not None and render.gain_db:
        line.append(f"  {render.gain_db:+.1f} dB", "yellow")
    return line


def _named(text: str) -> str:
    """Return a specification without the folders of its file."""
    name, colon, path = text.partition(":")
    return f"{name}{colon}{path.rpartition('/')[2]}" if name == "file" else text


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width // 3]}…{text[len(text) - width + width // 3 + 1 :]}"


def _panel(content: RenderableType, title: str | Text, subtitle: str = "", style: str = "dim") -> Panel:
    # Not as markup: plugins may say what they like.
    below = Text(subtitle, style) if subtitle else None
    return Panel(content, title=title, subtitle=below, title_align="left", subtitle_align="left", border_style=FRAME)


def _genre(view: View, width: int, height: int) -> Panel:
    genre = view.heard.genre
    if genre is None or not view.heard.is_fresh("genre_posterior", view.now_s):
        return _panel(Text("nothing heard yet" if genre is None else "no news", "dim"), "genre")
    name = genre.genre or STATES.get(genre.state, genre.state)
    title = Text.assemble("genre ", (name, "bold green" if genre.genre else "yellow"))
    ranked = sorted(zip(genre.posterior, genre.labels, strict=True), reverse=True)[:height]
    label_width = min(14, max((len(label) for _, label in ranked), default=0))
    rows = []
    for probability, label in ranked:
        style = "green" if label == genre.genre else "cyan"
        row = Text(f"{label[:label_width]:<{label_width}} ", "bold" if label == genre.genre else "")
        rows.append(row + horizontal_bar(probability, width - label_width - 6, style) + Text(f" {probability:4.0%}"))
    return _panel(Group(*rows), title, _short(f"{genre.model} on {genre.backend}", width - 2))


def _curve(view: View, width: int, height: int) -> Panel:
    render, curve = view.heard.render, view.heard.curve
    if render is None:
        return _panel(Text("nothing rendered yet", "dim"), "equaliser")
    columns = width - 4
    bands, preamp_db = ((), 0.0) if render.bypass else (render.bands, render.preamp_db)
    rows = draw_curve(curve_db(bands, preamp_db, columns), max(MIN_CURVE_ROWS, height - 1), "cyan", "magenta")
    cause = _short(curve.cause, width - 2) if curve is not None else ""
    title = Text.assemble("equaliser ", (render.strategy, "bold"), ", dB")
    return _panel(Group(*rows, frequency_axis(columns)), title, cause)


def _levels(view: View, width: int) -> Panel:
    meter, render = view.heard.meter, view.heard.render
    rows: list[Text] = []
    if meter is not None and view.heard.is_fresh("meter", view.now_s):
        rows += _meters("in", meter.level_db, meter.peak_db, width)
    if render is not None and view.heard.is_fresh("render_meter", view.now_s):
        rows += _meters("out", render.level_db, render.peak_db, width)
    return _panel(Group(*rows) if rows else Text("no sound", "dim"), "levels, dBFS")


def _meters(name: str, levels_db: Sequence[float], peaks_db: Sequence[float], width: int) -> list[Text]:
    rows = []
    channels = "LR" if len(levels_db) == STEREO else " 2"
    for channel, level_db, peak_db in zip(channels, levels_db[:STEREO], peaks_db[:STEREO], strict=False):
        style = "red" if peak_db > HOT_DB else "yellow" if level_db > LOUD_DB else "green"
        bar = horizontal_bar(1 - level_db / LOWEST_DB, width - 12, style)
        rows.append(Text(f"{name:<3} {channel} ") + bar + Text(f" {max(level_db, -99):5.1f}"))
    return rows


def _latencies(view: View) -> Panel:
    heard = view.heard
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("last 10 s, ms", no_wrap=True)
    table.add_column("p50", justify="right")
    table.add_column("p99", justify="right")
    for name, window in (
        ("compute per hop", heard.hop_compute_ms),
        ("capture → curve", heard.capture_to_curve_ms),
        ("capture → rendered", heard.capture_to_render_ms),
        ("sink buffer", heard.buffer_ms),
    ):
        table.add_row(name, *_percentiles(window))
    return _panel(table, "latency")


def _percentiles(window: Window) -> tuple[str, str]:
    percentiles = window.percentiles
    return (f"{percentiles.p50:.2f}", f"{percentiles.p99:.2f}") if percentiles is not None else ("-", "-")


def _services(view: View) -> Panel:
    heard = view.heard
    states = Text(no_wrap=True, overflow="ellipsis")
    trouble = ""
    for name in view.services:
        service = heard.services.get(name)
        state = _state(view, name, service)
        states.append("● ", STATE_STYLES.get(state, "red"))
        states.append(name if state == "ready" else f"{name} {state}")
        states.append(f" ({heard.deaths[name]})  " if heard.deaths[name] else "  ", "yellow")
        if service is not None and service.text:
            trouble = f"{name}: {service.text}"
    return _panel(Group(states, _counts(view)), "services", trouble, "yellow")


def _state(view: View, name: str, service: ServiceState | None) -> str:
    if service is None:
        return "starting"
    return service.state if view.heard.is_fresh(name, view.now_s) else "silent"


def _counts(view: View) -> Text:
    render, genre = view.heard.render, view.heard.genre
    counts = {
        "lost blocks": render.lost_blocks if render else 0,
        "late blocks": render.late_blocks if render else 0,
        "underruns": render.underruns if render else 0,
        "skipped hops": genre.skipped if genre else 0,
        "lost messages": sum(state.lost for state in view.heard.services.values()),
    }
    line = Text(no_wrap=True, overflow="ellipsis")
    for name, count in counts.items():
        line.append(f"{name} ", "dim")
        line.append(f"{count}  ", "bold red" if count else "green")
    return line
