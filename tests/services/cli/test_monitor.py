"""The monitor command, against a real bus and plugins that misbehave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from soundsage.services.cli import monitor as command
from soundsage.shared.contracts import MonitorRecord
from soundsage.shared.errors import InputError, PluginError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.messages import Message, Meter
from soundsage.shared.plugins import Plugins

if TYPE_CHECKING:
    from tests.services.cli.conftest import Mesh


def meter(n: int) -> Meter:
    """Return a meter that says which it is."""
    return Meter(stream="main", time_s=float(n), level_db=(), peak_db=())


class Raising:
    """A monitor that fails at every message, or at all after the first."""

    def __init__(self, n_good: int) -> None:
        self.seen = 0
        self.n_good = n_good

    def observe(self, _topic: str, _message: Message, _latency_ms: float) -> None:
        """Fail."""
        self.seen += 1
        if self.seen > self.n_good:
            raise KeyError("nothing")

    def close(self) -> None:
        """Fail as well."""
        raise SystemExit(3)


class Registered:
    """The plugin of that monitor."""

    def __init__(self, opened: Raising) -> None:
        self.opened = opened

    @hookimpl
    def soundsage_monitors(self) -> list[MonitorRecord]:
        """Return the monitor that fails."""
        return [MonitorRecord(name="raising", summary="fails", open=lambda _: self.opened)]


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Raising:
    """Return a monitor that fails after two messages, installed as the only plugin."""
    opened = Raising(n_good=2)
    plugins = Plugins(())
    plugins._manager.register(Registered(opened), "evil")
    monkeypatch.setattr(command, "installed_plugins", lambda: plugins)
    return opened


def test_a_monitor_sees_the_events_of_the_bus(mesh: Mesh, tmp_path: Path) -> None:
    """What is said on the bus is what the monitor writes, in order."""
    mesh.say(meter)
    file = tmp_path / "log.jsonl"

    result = mesh.run(command.monitor, f"jsonl:{file}", "--duration", "0.5")

    times_s = [json.loads(line)["time_s"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert result.exit_code == 0
    assert times_s == [times_s[0] + n for n in range(len(times_s))]


def test_a_monitor_that_raises_is_left_out_after_three_strikes(mesh: Mesh, raising: Raising) -> None:
    """Three failures, then one error with exit code 1; it is not called again, not even to close."""
    mesh.say(meter)

    error = mesh.run(command.monitor, "raising", "--duration", "10").exception

    assert raising.seen == 5
    assert isinstance(error, PluginError)
    assert error.exit_code == 1
    assert "monitor raising raised KeyError: 'nothing' (strike 3 of 3)" in str(error)


def test_a_monitor_that_does_not_exist_is_refused(mesh: Mesh) -> None:
    """An unknown name is the user's mistake, with a hint."""
    error = mesh.run(command.monitor, "consoel").exception

    assert isinstance(error, InputError)
    assert "did you mean console?" in str(error)


def test_a_target_that_a_monitor_refuses_is_the_users_mistake(mesh: Mesh) -> None:
    """What a monitor says of its target reaches the user as it said it."""
    error = mesh.run(command.monitor, "jsonl").exception

    assert isinstance(error, InputError)
    assert str(error) == "jsonl monitor must name a file, got none; write jsonl:PATH"
