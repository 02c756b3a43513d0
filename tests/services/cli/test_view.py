"""What is drawn, on terminals of all sizes."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from soundsage.services.cli.heard import Heard, Window
from soundsage.services.cli.plots import curve_db, draw_curve, frequency_axis, horizontal_bar
from soundsage.services.cli.view import View, render
from soundsage.shared.dsp import EqBand
from soundsage.shared.messages import EqCurve, GenrePosterior, Message, Meter, RenderMeter, ServiceState
from soundsage.shared.wire import Envelope, Received

NOW_S = 100.0
PEAK = EqBand("peaking", 1000.0, 6.0, 1.0)


def received(message: Message, sent_s: float = NOW_S) -> Received:
    """Return a message as it comes from the bus."""
    t_ns = int(sent_s * 1e9)
    return Received(message.topic, Envelope(message.schema, "tester", 1, 0, t_ns, t_ns, 1000, message))


def meter(**changes: object) -> RenderMeter:
    """Return what a renderer says."""
    levels = {"level_db": (-20.0, -20.0), "peak_db": (-9.0, -9.0), "preamp_db": -6.0, "bands": (PEAK,)}
    counts = {"rendered_samples": 48_000, "lost_blocks": 7, "late_blocks": 0, "underruns": 0}
    latencies = {
        "buffer_ms": 12.0,
        "render_latency_ms": np.full(4, 0.5, np.float32),
        "curve_latency_ms": np.full(1, 1.5, np.float32),
        "curve_compute_ms": np.full(1, 0.5, np.float32),
    }
    settings = {"stream": "main", "time_s": 1.0, "sink": "null", "strategy": "flat", "bypass": False, "gain_db": 0.0}
    return RenderMeter(**{**levels, **counts, **latencies, **settings, **changes})  # type: ignore[arg-type]


def posterior() -> GenrePosterior:
    """Return what a broker says."""
    return GenrePosterior(
        stream="main", time_s=1.0, model="m", backend="b", labels=("rock", "jazz"), posterior=(0.25, 0.75),
        state="genre", genre="jazz", confidence=0.75, skipped=3, compute_ms=0.1, hop_compute_ms=0.2,
    )  # fmt: skip


def state(name: str, said: str = "ready", text: str = "") -> ServiceState:
    """Return what a service says."""
    return ServiceState(
        service=name, pid=1, state=said, text=text, settings={}, rev=1, lost=0, stale=0, malformed=0  # type: ignore[arg-type]
    )  # fmt: skip


def heard(*messages: Message) -> Heard:
    """Return what was heard when these messages came."""
    found = Heard()
    for message in messages:
        found.take(received(message))
    return found


def drawn(found: Heard, width: int = 80, height: int = 24, now_s: float = NOW_S) -> list[str]:
    """Return the lines of the view."""
    console = Console(file=StringIO(), width=width, height=height, color_system=None)
    view = View(found, "file:/far/away/song.flac", ("null",), ("bus", "renderer"), now_s)
    with console.capture() as capture:
        console.print(render(view, width, height), height=height)
    return capture.get().splitlines()


EVERYTHING = (
    meter(),
    posterior(),
    state("bus"),
    state("renderer", "waiting", "device [gone] is not there"),
    Meter(stream="main", time_s=1.0, level_db=(-30.0,), peak_db=(-20.0,)),
    EqCurve(
        stream="main", time_s=1.0, strategy="flat", cause="[bold]because", automatic=True, bands=(PEAK,),
        preamp_db=-6.0, compute_ms=0.1,
    ),
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(width=st.integers(40, 250), height=st.integers(14, 80), messages=st.sets(st.sampled_from(range(6))))
def test_the_view_fits_any_terminal_whatever_was_heard(width: int, height: int, messages: set[int]) -> None:
    """The view fits any terminal whatever was heard."""
    lines = drawn(heard(*(EVERYTHING[index] for index in messages)), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    "shown",
    ["genre jazz", "75%", "equaliser flat", "[bold]because", "device [gone] is not there", "renderer waiting",
     "song.flac", "compute per hop", "0.20", "1.50", "0.50", "12.00", "lost blocks 7", "skipped hops 3"],
)  # fmt: skip
def test_the_view_shows(shown: str) -> None:
    """The view shows what was heard, and markup as it was written."""
    assert shown in "\n".join(drawn(heard(*EVERYTHING)))


def test_a_service_that_no_longer_says_anything_is_silent() -> None:
    """A service that no longer says anything is silent."""
    assert "bus silent" in "\n".join(drawn(heard(state("bus")), now_s=NOW_S + 5))


def test_bypass_is_said_and_its_curve_is_flat() -> None:
    """Bypass is said and its curve is flat."""
    text = "\n".join(drawn(heard(meter(bypass=True))))
    assert "BYPASS" in text
    assert not set("▁▂▃▄▅▆▇") & set(text)


@given(fraction=st.floats(-1, 2), width=st.integers(0, 50))
def test_a_bar_is_as_long_as_its_fraction(fraction: float, width: int) -> None:
    """A bar is as long as its fraction, to an eighth of a character."""
    bar = horizontal_bar(fraction, width, "").plain
    lengths = {character: index / 8 for index, character in enumerate(" ▏▎▍▌▋▊▉█")}
    assert len(bar) == width
    assert sum(lengths[character] for character in bar) == pytest.approx(min(max(fraction, 0), 1) * width, abs=1 / 16)


def test_a_peaking_band_is_highest_at_its_frequency() -> None:
    """A peaking band is highest at its frequency, and the preamp moves all of it."""
    gains_db = curve_db((PEAK,), -2.0, 301)
    frequencies_hz = np.geomspace(20, 20_000, 301)
    assert frequencies_hz[gains_db.argmax()] == pytest.approx(1000, rel=0.02)
    assert gains_db.max() == pytest.approx(4.0, abs=0.01)


def test_flat_draws_nothing() -> None:
    """Flat draws nothing."""
    assert {row.plain[4:].strip() for row in draw_curve(np.zeros(20), 8, "", "")} == {""}


@given(gain_db=st.floats(-24, 24))
def test_a_column_is_as_high_as_its_gain(gain_db: float) -> None:
    """A column is as high as its gain: what is filled, in rows, times the height of a row."""
    rows = draw_curve(np.full(1, gain_db), 10, "above", "below")
    limit_db = float(rows[0].plain[:4])
    filled = 0.0
    for row in rows:
        eighths = " ▁▂▃▄▅▆▇█".index(row.plain[4])
        is_reversed = any("reverse" in str(span.style) for span in row.spans)
        filled += -(8 - eighths) / 8 if is_reversed else eighths / 8
    assert filled * limit_db / 5 == pytest.approx(gain_db, abs=limit_db / 5 / 16 + 1e-9)


@given(width=st.integers(1, 300))
def test_the_frequencies_fit_below_the_curve(width: int) -> None:
    """The frequencies fit below the curve, and stand in order."""
    axis = frequency_axis(width).plain
    assert len(axis) == width + 4


def test_a_window_forgets_what_is_old() -> None:
    """A window forgets what is old."""
    window = Window(10.0)
    window.add([100.0], 0.0)
    window.add([1.0, 3.0], 11.0)
    percentiles = window.percentiles
    assert percentiles is not None
    assert (percentiles.p50, percentiles.n) == (2.0, 2)


def test_an_empty_window_has_no_percentiles() -> None:
    """An empty window has no percentiles: nothing heard is not zero."""
    assert Window().percentiles is None
