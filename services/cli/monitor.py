"""Run a monitor plugin on the tap of the bus."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

import click

from soundsage.shared.config import Config
from soundsage.shared.contracts import Monitor, MonitorRecord
from soundsage.shared.endpoints import Endpoints
from soundsage.shared.errors import PluginError
from soundsage.shared.plugins import Guard, guarded, installed_plugins
from soundsage.shared.transport import Context, Inbox, wait
from soundsage.shared.wire import Received

from .tap import POLL_S, QUEUE, listening, running_endpoints, until_enough

__all__ = ["monitor"]


@click.command()
@click.argument("name", metavar="NAME[:TARGET]")
@listening()
def monitor(name: str, duration_s: float | None, config: Config) -> None:
    """Let a monitor plugin watch every event; `soundsage plugins list` names them."""
    plugin, _, target = name.partition(":")
    record = installed_plugins().find("monitors", MonitorRecord, plugin)
    endpoints = running_endpoints(config.mesh)
    guard = Guard(f"monitor {plugin}")
    with until_enough(), _opened(guard, record, target) as opened:
        for received in _events(endpoints, duration_s):
            _show(guard, opened, received)


@contextlib.contextmanager
def _opened(guard: Guard, record: MonitorRecord, target: str) -> Iterator[Monitor]:
    # What it says of its target is for the user and costs no strike.
    opened = guarded(guard.what, record.open, target)
    try:
        yield opened
    finally:
        if not guard.is_quarantined:
            guard.call(opened.close)


def _show(guard: Guard, opened: Monitor, received: Received) -> None:
    """Show a message to the monitor, and give up on it at its third failure.

    Raises
    ------
    PluginError
        The third failure.
    BrokenPipeError
        If nobody reads any more what the monitor prints, which is no failure.
    """
    latency_ms = received.envelope.latency_ms(time.monotonic_ns())
    try:
        guard.call(opened.observe, received.topic, received.message, latency_ms)
    except PluginError as error:
        raised = error.__cause__.__cause__ if error.__cause__ is not None else None
        if isinstance(raised, BrokenPipeError):
            raise raised from error
        if guard.is_quarantined:
            raise PluginError(f"{error}; it is left out, and nothing else watches") from error


def _events(endpoints: Endpoints, duration_s: float | None) -> Iterator[Received]:
    context: Context = Context()
    end_s = math.inf if duration_s is None else time.monotonic() + duration_s
    try:
        with Inbox(context, endpoints.tap, [""], queue=QUEUE) as inbox:
            while (left_s := end_s - time.monotonic()) > 0:
                if wait([inbox], min(left_s, POLL_S)) and (received := inbox.next()) is not None:
                    yield received
    finally:
        context.term()
