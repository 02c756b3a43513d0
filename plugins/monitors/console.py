"""Monitor `console[:KIND]`: every message as a line of text."""

from __future__ import annotations

import click

from soundsage.shared.contracts import MonitorRecord
from soundsage.shared.errors import InputError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.messages import MESSAGE_TYPES, Message, kind_of
from soundsage.shared.plain import line_of, plain

__all__ = ["soundsage_monitors"]


class ConsoleMonitor:
    """Prints what it sees.

    Parameters
    ----------
    kind : str
        The only kind that it prints; empty for all.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def observe(self, topic: str, message: Message, latency_ms: float) -> None:
        """Print the message on one line."""
        if self._kind in ("", kind_of(type(message))):
            click.echo(f"{latency_ms:8.1f} ms  {topic}  {line_of(plain(message))}")

    def close(self) -> None:
        """Do nothing."""


def _open(target: str) -> ConsoleMonitor:
    kinds = [kind_of(message_type) for message_type in MESSAGE_TYPES.values()]
    if target and target not in kinds:
        raise InputError(f"console kind must be one of {', '.join(kinds)}, got {target!r}")
    return ConsoleMonitor(target)


@hookimpl
def soundsage_monitors() -> list[MonitorRecord]:
    """Return this monitor."""
    return [
        MonitorRecord(name="console", summary="every message as a line of text; console:KIND for one kind", open=_open)
    ]
