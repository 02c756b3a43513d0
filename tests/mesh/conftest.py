"""A whole mesh: real processes under the supervisor, in directories of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from soundsage.shared.endpoints import Endpoints
from soundsage.shared.messages import Message
from soundsage.shared.transport import Context, Inbox, wait
from soundsage.shared.wire import Received

SAMPLE_RATE = 48_000
PATIENCE_S = 40.0


@dataclass
class Mesh:
    """Runs `soundsage` commands and looks at what they leave.

    Attributes
    ----------
    directory : Path
        Holds the run directory, what is kept, and the test's files.
    """

    directory: Path
    environment: dict[str, str]
    open: ExitStack = field(default_factory=ExitStack)
    _tap: Inbox | None = None

    @property
    def endpoints(self) -> Endpoints:
        """Where the mesh meets."""
        return Endpoints(self.directory / "soundsage")

    def command(self, *arguments: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run `soundsage ...` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "soundsage.services.cli", *arguments],
            env=self.environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `soundsage ...` and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "soundsage.services.cli", *arguments],
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def up(self, *arguments: str) -> None:
        """Start a mesh in the background; it must become ready."""
        done = self.command("up", "--detach", *arguments)
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        """Stop it; it must leave nothing."""
        done = self.command("down")
        assert done.returncode == 0, done.stderr
        self.must_be_clean()

    def status(self) -> dict[str, Any]:
        """Return what `soundsage status --json` says."""
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def pid_of(self, service: str) -> int:
        """Return the process of a service."""
        return next(int(each["pid"]) for each in self.status()["services"] if each["name"] == service)

    def kill(self, service: str) -> int:
        """Kill a service with signal 9, and return the pid it had."""
        pid = self.pid_of(service)
        os.kill(pid, signal.SIGKILL)
        return pid

    def hear(self, kind: type[Message], fits: Callable[[Any], bool] = lambda _: True) -> Received:
        """Return the next such message on the tap."""
        if self._tap is None:
            context = self.open.enter_context(Context())
            self._tap = self.open.enter_context(Inbox(context, self.endpoints.tap, [""], queue=10_000))
        deadline_s = time.monotonic() + PATIENCE_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            wait([self._tap], left_s)
            received = self._tap.next()
            if received is not None and isinstance(received.message, kind) and fits(received.message):
                return received
        raise AssertionError(f"no such {kind.__name__} within {PATIENCE_S:g} s")

    def processes(self) -> list[psutil.Process]:
        """Return every process that was started for this mesh."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("XDG_RUNTIME_DIR") == str(self.directory) and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def must_be_clean(self) -> None:
        """Fail if a process or a file in the run directory is left."""
        left = [" ".join(process.cmdline()) for process in self.processes()]
        assert not left, left
        run_dir = self.endpoints.run_dir
        files = sorted(run_dir.rglob("*")) if run_dir.exists() else []
        assert not files, files


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """Return a mesh that is stopped at the end, whatever happened; the path is short, for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="ss-", dir="/tmp"))
    homes = {
        "XDG_RUNTIME_DIR": str(directory),
        "XDG_STATE_HOME": f"{directory}/state",
        "XDG_CONFIG_HOME": f"{directory}/config",
        "PULSE_SERVER": f"unix:{directory}/none",
    }
    environment = {**os.environ, **homes}
    mesh = Mesh(directory, environment)
    try:
        yield mesh
    finally:
        mesh.open.close()
        for process in mesh.processes():
            process.kill()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def noise(mesh: Mesh) -> tuple[Path, np.ndarray]:
    """Return a file of two minutes of quiet noise, and its samples of shape (n_samples, 2)."""
    samples = 0.1 * np.random.default_rng(440).standard_normal((120 * SAMPLE_RATE, 2)).astype(np.float32)
    file = mesh.directory / "noise.wav"
    soundfile.write(file, samples, SAMPLE_RATE, subtype="FLOAT")
    return file, samples
