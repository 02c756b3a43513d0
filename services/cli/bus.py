"""Tap the bus: see what the services say to each other, how often, how large, how late and with what gaps."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import msgspec
import numpy as np

from soundsage.shared.config import Config
from soundsage.shared.errors import WireError
from soundsage.shared.gaps import GapCounter
from soundsage.shared.messages import Message, ServiceState
from soundsage.shared.plain import line_of, plain
from soundsage.shared.wire import Decoder

from .columns import columns
from .tap import Listener, Overheard, checked_topic, listening, running_endpoints, until_enough

__all__ = ["bus"]

LIST_S = 1.2
"""Long enough for what is said once a second."""

_decoder = Decoder()


@click.group()
def bus() -> None:
    """Tap the bus. A TOPIC is KIND or KIND/STREAM, such as genre_posterior or audio_block/main."""


@bus.command("list")
@listening(LIST_S)
def list_topics(duration_s: float, config: Config) -> None:
    """List topics with publisher, schema, rate and size, by listening for a while."""
    with until_enough(), Listener(running_endpoints(config.mesh), [""]) as listener:
        groups = _by_topic(listener.heard(duration_s))
        rows = [
            ("topic", "publisher", "schema", "rate", "size"),
            *(_row(topic, groups[topic]) for topic in sorted(groups)),
        ]
        _say(columns(rows, right=[3, 4]))


@bus.command()
@click.argument("topic", callback=checked_topic)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: envelope and message.")
@click.option("--samples", "with_samples", is_flag=True, help="Print the samples of audio blocks, not their level.")
@click.option("-n", "count", type=click.IntRange(min=1), help="End after so many.")
@listening()
def echo(
    topic: str,
    *,
    as_json: bool,
    with_samples: bool,
    count: int | None,
    duration_s: float | None,
    config: Config,
) -> None:
    """Print messages as they come."""
    form = _json_line if as_json else _text_line
    with until_enough(), Listener(running_endpoints(config.mesh), [topic]) as listener:
        for heard in itertools.islice(listener.heard(duration_s), count):
            message = _message_of(heard)
            if message is not None:
                _say([form(heard, plain(message, with_samples=with_samples))])


@bus.command()
@click.argument("topic", callback=checked_topic)
@listening()
def hz(topic: str, duration_s: float | None, config: Config) -> None:
    """Print how often messages come, each second."""
    _report_each_second(topic, _rate_line, duration_s, config)


@bus.command()
@click.argument("topic", callback=checked_topic)
@listening()
def bw(topic: str, duration_s: float | None, config: Config) -> None:
    """Print how many bytes come, each second."""
    _report_each_second(topic, _bandwidth_line, duration_s, config)


@bus.command()
@click.argument("topic", callback=checked_topic)
@listening()
def delay(topic: str, duration_s: float | None, config: Config) -> None:
    """Print the age of messages and the time since the capture of the sound behind them, each second."""
    _report_each_second(topic, _delay_line, duration_s, config)


@bus.command()
@listening()
def drops(duration_s: float | None, config: Config) -> None:
    """Print gaps as they are found here, and what each service lost; then the totals."""
    found = Drops()
    with until_enough(), Listener(running_endpoints(config.mesh), [""]) as listener:
        try:
            for heard in listener.heard(duration_s):
                _say(found.add(heard))
        finally:
            _say(found.totals())


@dataclass
class Drops:
    """What was lost, as far as one listener can see.

    Attributes
    ----------
    gaps : GapCounter
        Messages that never came to this listener, by topic.
    n_heard : Counter
        Messages that came, by topic.
    services : dict of ServiceState
        What each service said of itself last.
    """

    gaps: GapCounter = field(default_factory=GapCounter)
    n_heard: Counter[str] = field(default_factory=Counter)
    services: dict[str, ServiceState] = field(default_factory=dict)

    def add(self, heard: Overheard) -> list[str]:
        """Count a message and return what is new, a line each."""
        lost = self.gaps.lost[heard.topic]
        if not self.gaps.accepts(heard.topic, heard.envelope):
            return []
        self.n_heard[heard.topic] += 1
        lines = [f"{heard.topic}: lost {new}"] if (new := self.gaps.lost[heard.topic] - lost) else []
        if heard.envelope.schema == ServiceState.schema:
            lines += self._news(_message_of(heard))
        return lines

    def totals(self) -> list[str]:
        """Return all that is known as two tables."""
        topics = [(topic, str(n), str(self.gaps.lost[topic])) for topic, n in sorted(self.n_heard.items())]
        services = [(name, *map(str, _losses(state))) for name, state in sorted(self.services.items())]
        return [
            *columns([("topic", "heard", "lost"), *topics], right=[1, 2]),
            "",
            *columns([("service", "lost", "stale", "malformed"), *services], right=[1, 2, 3]),
        ]

    def _news(self, state: Message | None) -> list[str]:
        if not isinstance(state, ServiceState):
            return []
        before = self.services.get(state.service)
        self.services[state.service] = state
        if _losses(state) == (_losses(before) if before else (0, 0, 0)):
            return []
        return [f"{state.service}: lost {state.lost}, stale {state.stale}, malformed {state.malformed}"]


def _losses(state: ServiceState) -> tuple[int, int, int]:
    return state.lost, state.stale, state.malformed


def _report_each_second(
    topic: str, line: Callable[[Sequence[Overheard]], str], duration_s: float | None, config: Config
) -> None:
    with until_enough(), Listener(running_endpoints(config.mesh), [topic]) as listener:
        for second in listener.seconds(duration_s):
            groups = _by_topic(second)
            _say([f"{each}: {line(groups[each])}" for each in sorted(groups)] or [f"{topic}: nothing came"])


def _by_topic(heard: Iterable[Overheard]) -> dict[str, list[Overheard]]:
    groups: dict[str, list[Overheard]] = defaultdict(list)
    for each in heard:
        groups[each.topic].append(each)
    return groups


def _row(topic: str, group: Sequence[Overheard]) -> tuple[str, str, str, str, str]:
    envelope = group[-1].envelope
    rate_hz = _rate_hz(group)
    size_bytes = np.mean([heard.n_bytes for heard in group])
    return topic, envelope.source, envelope.schema, f"{rate_hz:.1f} Hz" if rate_hz else "-", f"{size_bytes:.0f} B"


def _rate_hz(group: Sequence[Overheard]) -> float | None:
    """Return the rate between the first and the last message; one message has none."""
    span_ns = group[-1].t_ns - group[0].t_ns
    return (len(group) - 1) * 1e9 / span_ns if span_ns else None


def _rate_line(group: Sequence[Overheard]) -> str:
    rate_hz = _rate_hz(group)
    if rate_hz is None:
        return f"{len(group)} came"
    apart_ms = np.diff([heard.t_ns for heard in group]) / 1e6
    return f"{rate_hz:.2f} Hz, apart min {apart_ms.min():.2f} max {apart_ms.max():.2f} ms, n {len(group)}"


def _bandwidth_line(group: Sequence[Overheard]) -> str:
    sizes = np.array([heard.n_bytes for heard in group])
    rate_hz = _rate_hz(group)
    rate = f"{rate_hz * sizes.mean() / 1e3:.2f} kB/s, " if rate_hz else ""
    return f"{rate}size min {sizes.min()} mean {sizes.mean():.0f} max {sizes.max()} B, n {len(group)}"


def _delay_line(group: Sequence[Overheard]) -> str:
    ages_ms = [heard.envelope.age_ms(heard.t_ns) for heard in group]
    latencies_ms = [heard.envelope.latency_ms(heard.t_ns) for heard in group]
    return f"age {_percentiles(ages_ms)}, since capture {_percentiles(latencies_ms)}, n {len(group)}"


def _percentiles(values_ms: Sequence[float]) -> str:
    p50, p99 = np.percentile(values_ms, (50, 99))
    return f"p50 {p50:.2f} p99 {p99:.2f} max {max(values_ms):.2f} ms"


def _message_of(heard: Overheard) -> Message | None:
    """Return the message, None after a word of complaint where it cannot be read."""
    try:
        return _decoder.decode(heard.topic, heard.frames).message
    except WireError as error:
        click.echo(f"soundsage bus: refused a message on {heard.topic}: {error}", err=True)
        return None


def _json_line(heard: Overheard, fields: dict[str, Any]) -> str:
    return msgspec.json.encode({"topic": heard.topic, **_envelope_fields(heard), **fields}).decode()


def _envelope_fields(heard: Overheard) -> dict[str, Any]:
    fields = msgspec.structs.asdict(heard.envelope)
    del fields["body"]
    return fields


def _text_line(heard: Overheard, fields: dict[str, Any]) -> str:
    return f"{heard.topic} #{heard.envelope.seq} {heard.envelope.age_ms(heard.t_ns):.1f} ms  {line_of(fields)}"


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
