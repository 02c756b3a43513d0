"""Collect what the services say on the event plane, so that it can be shown and acted upon."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from soundsage.shared.endpoints import Endpoints
from soundsage.shared.messages import EqCurve, GenrePosterior, Message, Meter, RenderMeter, ServiceState, kind_of
from soundsage.shared.transport import Context, Inbox
from soundsage.shared.wire import Received

__all__ = ["KINDS", "Heard", "Percentiles", "Window", "listen"]

KINDS: tuple[type[Message], ...] = (ServiceState, GenrePosterior, EqCurve, Meter, RenderMeter)
WINDOW_S = 10.0
STALE_S = 3.0


class Percentiles(msgspec.Struct, frozen=True):
    """Median and 99th percentile of `n` values."""

    p50: float
    p99: float
    n: int


class Window:
    """The values of the last seconds.

    Parameters
    ----------
    length_s : float
    """

    def __init__(self, length_s: float = WINDOW_S) -> None:
        self._length_s = length_s
        self._values: deque[tuple[float, float]] = deque()

    def add(self, values: Iterable[float], now_s: float) -> None:
        """Take values, and forget those that are too old."""
        self._values.extend((now_s, float(value)) for value in values)
        while self._values and self._values[0][0] < now_s - self._length_s:
            self._values.popleft()

    @property
    def percentiles(self) -> Percentiles | None:
        """What the values are like; None when there are none."""
        if not self._values:
            return None
        p50, p99 = np.percentile([value for _, value in self._values], [50, 99])
        return Percentiles(float(p50), float(p99), len(self._values))


@dataclass
class Heard:
    """The newest of everything that was heard.

    Attributes
    ----------
    services : dict of ServiceState
        By service.
    genre, meter, render, curve
        The newest message of each kind, None before the first.
    said_s : dict of float
        When each service said how it is, and when a message of each kind was sent, monotonic clock, s.
    deaths : Counter
        How often each process died, as far as its keeper counted.
    rendered_since_s : float or None
        When the first block had been rendered, monotonic clock, s.
    hop_compute_ms, capture_to_curve_ms, capture_to_render_ms, buffer_ms : Window
        The four latencies: computing a hop, from capture to the curve at the renderer and to the rendered block, and
        the sound that waits in the sink.
    """

    services: dict[str, ServiceState] = field(default_factory=dict)
    genre: GenrePosterior | None = None
    meter: Meter | None = None
    render: RenderMeter | None = None
    curve: EqCurve | None = None
    said_s: dict[str, float] = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)
    rendered_since_s: float | None = None
    hop_compute_ms: Window = field(default_factory=Window)
    capture_to_curve_ms: Window = field(default_factory=Window)
    capture_to_render_ms: Window = field(default_factory=Window)
    buffer_ms: Window = field(default_factory=Window)

    def take(self, received: Received) -> None:
        """Remember a message."""
        sent_s = received.envelope.t_publish_ns / 1e9
        message = received.message
        self.said_s[message.service if isinstance(message, ServiceState) else kind_of(type(message))] = sent_s
        if isinstance(message, ServiceState):
            self.services[message.service] = message
        elif isinstance(message, GenrePosterior):
            self.genre = message
            self.hop_compute_ms.add([message.hop_compute_ms], sent_s)
        elif isinstance(message, RenderMeter):
            self.render = message
            self._take_render(message, sent_s)
        elif isinstance(message, Meter):
            self.meter = message
        elif isinstance(message, EqCurve):
            self.curve = message

    def _take_render(self, render: RenderMeter, sent_s: float) -> None:
        if self.rendered_since_s is None:
            self.rendered_since_s = sent_s
        self.capture_to_render_ms.add(render.render_latency_ms, sent_s)
        self.capture_to_curve_ms.add(render.curve_latency_ms, sent_s)
        self.buffer_ms.add([render.buffer_ms], sent_s)

    def is_fresh(self, topic: str, now_s: float) -> bool:
        """Return whether a service or a kind of message was heard a moment ago."""
        return now_s - self.said_s.get(topic, -STALE_S) < STALE_S

    def setting(self, service: str, key: str) -> bool | float | str | None:
        """Return what a service says that holds; None while it said nothing."""
        state = self.services.get(service)
        return state.settings.get(key) if state else None


def listen(context: Context, endpoints: Endpoints) -> Inbox:
    """Return an inbox of everything that `Heard` takes."""
    return Inbox(context, endpoints.events_out, [kind_of(kind) for kind in KINDS])
