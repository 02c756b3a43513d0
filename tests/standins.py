"""Run the real command line over processes that stand in for the services."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICES = {"bus": 0, "renderer": 1, "strategy": 2, "broker": 2, "features": 2, "capture": 3}
STAND_IN = Path(__file__).parent / "services" / "cli" / "standin.py"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


class Bench:
    """A place for one mesh, and the commands that work on it.

    Parameters
    ----------
    folder : Path
        Its path must be short enough for a socket.
    faults : str
        The fault of a service, by its name.
    """

    def __init__(self, folder: Path, **faults: str) -> None:
        self.run_dir = folder / "run"
        self.state_dir = folder / "state"
        self.config = folder / "mesh.toml"
        self.units = folder / "units.toml"
        self.config.write_text(
            f'[mesh]\nrun_dir = "{self.run_dir}"\nstate_dir = "{self.state_dir}"\n', encoding="utf-8"
        )
        self.units.write_text("\n".join(_unit(name, faults.get(name, "")) for name in SERVICES), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        """Return a command line on this mesh."""
        name, *rest = arguments
        words = [sys.executable, "-P", "-m", "soundsage.services.cli", name, *rest, "--config", str(self.config)]
        if name != "up":
            return words
        return [*words, "--units", str(self.units), *_unless(rest, "--source"), *_unless(rest, "--sink"), "--no-ui"]

    def run(self, *arguments: str) -> Finished:
        """Run a command to its end."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self) -> subprocess.Popen[str]:
        """Return `up` as a process, as soon as it says that the mesh runs."""
        process = subprocess.Popen(self.command("up"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("soundsage: running"):
                return process
        raise AssertionError(process.communicate()[1])

    def status(self) -> dict[str, Any]:
        """Return how the mesh is."""
        return json.loads(self.run("status", "--json").out)  # type: ignore[no-any-return]

    def service(self, name: str) -> dict[str, Any]:
        """Return how one service is."""
        return next(service for service in self.status()["services"] if service["name"] == name)

    def kill(self, name: str) -> int:
        """Kill a service, and return the pid that it had."""
        pid = int(self.service(name)["pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    @property
    def left(self) -> list[str]:
        """Names of the files in the run directory."""
        return [file.name for file in self.run_dir.iterdir()]

    def processes(self) -> Iterator[int]:
        """Yield the pids of processes that were started for this mesh."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and str(self.run_dir) in _command_of(entry):
                yield int(entry.name)


def _command_of(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_text()
    except OSError:
        return ""


def _unit(name: str, fault: str) -> str:
    program = json.dumps([str(STAND_IN), name, *([fault] if fault else [])])
    after_ready = "after_ready = true\n" if name == "capture" else ""
    return f'[[unit]]\nname = "{name}"\nstage = {SERVICES[name]}\nprogram = {program}\n{after_ready}'


def _unless(given: list[str], option: str) -> list[str]:
    return [] if option in given else [option, "null"]
