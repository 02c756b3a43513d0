"""Run a monitor plugin on the tap of the bus."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from soundsage.shared.contracts import Monitor, MonitorRecord
from soundsage.shared.endpoints import Endpoints
from soundsage.shared.errors import PluginError, SoundSageError
from soundsage.shared.plugins import Guard, installed_plugins
from soundsage.shared.transport import Context, Inbox, wait
from soundsage.shared.wire import Received

from .tap import POLL_S, QUEUE, listening, quiet_end, running_endpoints

__all__ = ["monitor"]


@click.command()
@click.argument("name", metavar="NAME[:TARGET]")
@listening()
def monitor(name: str, duration_s: float | None, config_file: Path | None) -> None:
    """Let a monitor plugin watch every event; `soundsage plugins list` names them."""
    plugin, _, target = name.partition(":")
    record = installed_plugins().find("monitors", MonitorRecord, plugin)
    endpoints = running_endpoints(config_file)
    guard = Guard(f"monitor {plugin}")
    with quiet_end(), _opened(guard, record, target) as opened:
        for received in _events(endpoints, duration_s):
            _show(guard, opened, received)


@contextlib.contextmanager
def _opened(guard: Guard, record: MonitorRecord, target: str) -> Iterator[Monitor]:
    try:
        opened = guard.call(record.open, target)
    except PluginError as error:
        # A target that it refuses is the user's mistake, and the plugin says so itself.
        raise _cause_of(error, SoundSageError) from error
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
        if guard.is_quarantined or _cause_of(error, BrokenPipeError) is not error:
            raise _cause_of(error, BrokenPipeError) from error


def _cause_of(error: Exception, cause_type: type[Exception]) -> Exception:
    """Return what the plugin raised if it is of this type, else the error itself."""
    raised = error.__cause__.__cause__ if error.__cause__ is not None else None
    return raised if isinstance(raised, cause_type) else error


def _events(endpoints: Endpoints, duration_s: float | None) -> Iterator[Received]:
    context: Context[Any] = Context()
    end_s = math.inf if duration_s is None else time.monotonic() + duration_s
    try:
        with Inbox(context, endpoints.tap, [""], queue=QUEUE) as inbox:
            while (left_s := end_s - time.monotonic()) > 0:
                if wait([inbox], min(left_s, POLL_S)) and (received := inbox.next()) is not None:
                    yield received
    finally:
        context.term()
