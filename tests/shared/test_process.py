"""Services as processes: arguments, signals, and one line when they cannot start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from wiring import TIMEOUT_S, Stage

SERVICES = ("bus", "capture", "features", "broker", "strategy", "renderer")


@contextlib.contextmanager
def started(service: str, run_dir: Path, *settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run a service as a process, and kill it at the end."""
    arguments = [f"mesh.run_dir={str(run_dir)!r}", f"mesh.state_dir={str(run_dir / 'kept')!r}", *settings]
    with subprocess.Popen(
        [
            *(sys.executable, "-m", f"soundsage.services.{service}", "--config", os.devnull),
            *(part for argument in arguments for part in ("--set", argument)),
        ],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Return the exit code and the lines on standard error."""
    _, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, err.splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_stops_when_it_is_asked_to(stage: Stage, run_dir: Path, number: int) -> None:
    """A signal ends it with 0."""
    with started("renderer", run_dir, 'renderer.sinks=["null"]') as process:
        stage.state("ready")
        process.send_signal(number)
        code, _ = ended(process)

    assert code == 0


def test_what_was_set_survives_a_killed_service(stage: Stage, run_dir: Path) -> None:
    """After kill -9 the next process has the gain that the user set, and a larger epoch."""
    with started("renderer", run_dir, 'renderer.sinks=["null"]') as process:
        first = stage.state("ready")
        stage.ask("renderer", "set", key="gain_db", value=-6)
        process.kill()
        process.wait()
    with started("renderer", run_dir, 'renderer.sinks=["null"]'):
        second = stage.state("ready", lambda each: each.pid != first.pid)

        assert second.settings["gain_db"] == -6.0
        assert stage.ask("renderer", "get")["gain_db"] == -6.0


@pytest.mark.parametrize(
    ("run_dir", "reason"),
    [
        ("/tmp/" + "x" * 90, "run directory must have at most 83 bytes in its path"),  # noqa: S108  never made
        ("/proc/soundsage", "run directory /proc/soundsage cannot be used"),
        ("/etc/passwd", "run directory /etc/passwd cannot be used: File exists"),
    ],
    ids=["too long", "unwritable", "file"],
)
def test_a_run_directory_that_cannot_be_is_one_line(run_dir: str, reason: str) -> None:
    """The service exits with 1 and says what to do."""
    with started("bus", Path(run_dir)) as process:
        code, lines = ended(process)

    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"soundsage bus: {reason}")
    assert "XDG_RUNTIME_DIR" in lines[0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_run_directory_of_somebody_else_is_one_line(run_dir: Path) -> None:
    """The service exits with 1 instead of meeting strangers."""
    os.chown(run_dir, 12_345, 12_345)
    with started("bus", run_dir) as process:
        code, lines = ended(process)

    assert (code, len(lines)) == (1, 1)
    assert "must be a directory of yours" in lines[0]


def test_a_wrong_setting_is_one_line(run_dir: Path) -> None:
    """The service exits with 2, as for all wrong arguments."""
    with started("bus", run_dir, "bus.speed=9") as process:
        code, lines = ended(process)

    assert (code, lines) == (2, ["soundsage bus: /dev/null: table must be a known one, got bus"])


def test_a_missing_configuration_is_one_line(run_dir: Path) -> None:
    """The service exits with 2 and does not take the defaults instead."""
    with subprocess.Popen(
        [sys.executable, "-m", "soundsage.services.bus", "--config", str(run_dir / "none.toml")],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        code, lines = ended(process)

    assert (code, len(lines)) == (2, 1)
    assert "none.toml cannot be read: No such file" in lines[0]


def test_a_service_that_can_never_work_says_so_until_it_is_stopped(stage: Stage, run_dir: Path) -> None:
    """An unknown source is a state that everybody hears, and one line at the end."""
    with started("capture", run_dir, "capture.source=sonw") as process:
        state = stage.state("failed")
        process.terminate()
        code, lines = ended(process)

    assert "got 'sonw'" in state.text
    assert code == 2
    assert lines[-1] == f"soundsage capture: {state.text}"
    assert not any("Traceback" in line for line in lines)


def test_every_service_is_a_process() -> None:
    """Each can be started by hand and says how."""
    for service in SERVICES:
        shown = subprocess.run(
            [sys.executable, "-m", f"soundsage.services.{service}", "--help"],
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT_S,
        ).stdout

        assert f"python -m soundsage.services.{service}" in shown
