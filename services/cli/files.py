"""Know where the files of a mesh are, who keeps the mesh, and what it left behind."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from soundsage.shared.config import MeshConfig
from soundsage.shared.endpoints import make_private_dir
from soundsage.shared.errors import MeshError

__all__ = ["KeeperNote", "MeshFiles"]

END_WAIT_S = 4.0
LOOK_S = 0.02
LOCK_WAIT_S = 0.1  # `status` holds the lock for an instant when it looks whether anybody does
SOCKETS = ("audio.sock", "events-in.sock", "events-out.sock", "tap.sock", "*-requests.sock", "supervisor*")


class KeeperNote(msgspec.Struct, frozen=True):
    """What the process that keeps a mesh says of it in the lock file.

    Attributes
    ----------
    pid : int
    source : str
    sinks : tuple of str
    """

    pid: int
    source: str = ""
    sinks: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeshFiles:
    """The files of one mesh.

    Attributes
    ----------
    run_dir : Path
        What is there only while the mesh runs.
    state_dir : Path
        What stays: settings and logs.
    """

    run_dir: Path
    state_dir: Path

    @classmethod
    def of(cls, config: MeshConfig) -> MeshFiles:
        """Return those that a configuration names."""
        return cls(config.endpoints.run_dir.absolute(), config.kept_dir.absolute())

    @property
    def lock(self) -> Path:
        """Held by the keeper for as long as it lives."""
        return self.run_dir / "lock"

    @property
    def config(self) -> Path:
        """The resolved configuration that the services read."""
        return self.run_dir / "soundsage.toml"

    @property
    def supervisor_config(self) -> Path:
        """What supervisord reads."""
        return self.run_dir / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        """Where supervisord is asked."""
        return self.run_dir / "supervisor.sock"

    @property
    def supervisor_pid(self) -> Path:
        """Where supervisord writes its pid."""
        return self.run_dir / "supervisord.pid"

    @property
    def logs(self) -> Path:
        """What the processes of the last mesh logged."""
        return self.state_dir / "logs"

    def log(self, name: str) -> Path:
        """Return the log of one process."""
        return self.logs / f"{name}.log"

    def last_line(self, name: str) -> str:
        """Return the last line that a process logged."""
        try:
            lines = self.log(name).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it logged nothing")

    def make(self) -> None:
        """Make the directories.

        Raises
        ------
        MeshError
            If one cannot be used.
        """
        make_private_dir(self.run_dir)
        try:
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise MeshError(
                f"log directory {self.logs} cannot be made: {error.strerror}; set XDG_STATE_HOME"
            ) from error
        if not os.access(self.logs, os.W_OK | os.X_OK):
            raise MeshError(f"log directory {self.logs} cannot be written; set XDG_STATE_HOME to one that can")

    @contextlib.contextmanager
    def kept(self, note: KeeperNote) -> Iterator[None]:
        """Be the one keeper of this mesh; at the end its files are gone.

        Raises
        ------
        MeshError
            If there is another keeper, or a mesh that lost its own.
        """
        lock = self._take_lock()
        with os.fdopen(lock, "wb"):
            if self.leftovers():
                raise MeshError(f"a mesh without its keeper runs in {self.run_dir}; `soundsage down` stops it")
            self.write_note(note)
            try:
                yield
            finally:
                self.clear()

    def write_note(self, note: KeeperNote) -> None:
        """Write what `status` tells of the keeper."""
        self.lock.write_bytes(msgspec.json.encode(note))

    def _take_lock(self) -> int:
        deadline_s = time.monotonic() + LOCK_WAIT_S
        while True:
            lock = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A keeper that ended in between has removed the file that was opened here.
                if os.fstat(lock).st_ino == self.lock.stat().st_ino:
                    os.ftruncate(lock, 0)
                    return lock
            os.close(lock)
            if time.monotonic() >= deadline_s:
                note = self.note()
                kept = f", kept by pid {note.pid}" if note else ""
                raise MeshError(f"a mesh already runs in {self.run_dir}{kept}; `soundsage down` stops it")
            time.sleep(LOCK_WAIT_S / 10)

    def keeper(self) -> KeeperNote | None:
        """Return the note of the keeper that lives, None if there is none."""
        try:
            with self.lock.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self.note() or KeeperNote(0)
        except OSError:
            return None
        return None

    def note(self) -> KeeperNote | None:
        """Return what the last keeper wrote, alive or not."""
        try:
            return msgspec.json.decode(self.lock.read_bytes(), type=KeeperNote)
        except (OSError, msgspec.DecodeError):
            return None

    def leftovers(self) -> list[psutil.Process]:
        """Return the processes of a mesh here: supervisord, its children and theirs.

        supervisord tells each child its own address in the environment, which their children inherit.
        """
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return (
                str(self.supervisor_config) in process.cmdline()
                or process.environ().get("SUPERVISOR_SERVER_URL") == f"unix://{self.supervisor_socket}"
            )
        except psutil.Error:
            return False

    def end_leftovers(self) -> int:
        """End what is left of a mesh, politely first; return how many processes that were."""
        left = self.leftovers()
        _signal(left, psutil.Process.terminate)
        if not self._await_end():
            _signal(self.leftovers(), psutil.Process.kill)
            self._await_end()
        return len(left)

    def _await_end(self) -> bool:
        """Return whether nothing is left before the time is over; what only waits to be reaped is nothing."""
        deadline_s = time.monotonic() + END_WAIT_S
        while self.leftovers():
            if time.monotonic() > deadline_s:
                return False
            time.sleep(LOOK_S)
        return True

    def clear(self) -> None:
        """Remove the files that belong to a running mesh."""
        found = itertools.chain.from_iterable(self.run_dir.glob(pattern) for pattern in SOCKETS)
        for file in (*found, self.config, self.lock):
            with contextlib.suppress(OSError):
                file.unlink()

    def clear_logs(self) -> None:
        """Remove the logs of the mesh before."""
        for log in self.logs.glob("*.log*"):
            log.unlink(missing_ok=True)


def _signal(processes: list[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            send(process)
