"""Where the services of one mesh meet: socket files in one private directory.

Conventions
-----------
The run directory is `soundsage` in `$XDG_RUNTIME_DIR`, or `/tmp/soundsage-UID`, mode 0700, and belongs to one mesh.
What users set is kept in `soundsage` in `$XDG_STATE_HOME`, or `~/.local/state`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from .errors import MeshError

__all__ = ["Endpoints", "default_run_dir", "default_state_dir", "make_private_dir"]

MAX_SOCKET_PATH_BYTES = 107
LONGEST_SOCKET = "supervisor.sock.0000000"  # supervisord binds beside the name it was given


def default_run_dir() -> Path:
    """Return where this user's mesh keeps its sockets."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "soundsage" if runtime else Path(f"/tmp/soundsage-{os.getuid()}")  # noqa: S108  0700, owner checked


def default_state_dir() -> Path:
    """Return where what this user sets is kept."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "soundsage"


def make_private_dir(path: Path) -> None:
    """Make a directory that nobody else can enter.

    Raises
    ------
    MeshError
        If it cannot be made or written, belongs to somebody else, or its path is too long for a socket in it.
    """
    longest = len(os.fsencode(path / LONGEST_SOCKET))
    if longest > MAX_SOCKET_PATH_BYTES:
        raise MeshError(
            f"run directory must have at most {MAX_SOCKET_PATH_BYTES - len(LONGEST_SOCKET) - 1} bytes in its path, "
            f"got {len(os.fsencode(path))}: {path}; set XDG_RUNTIME_DIR to a shorter one"
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise MeshError(f"run directory must be a directory of yours, got {path}; remove it or set XDG_RUNTIME_DIR")
        path.chmod(0o700)
    except OSError as error:
        raise MeshError(f"run directory {path} cannot be used: {error.strerror}; set XDG_RUNTIME_DIR") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise MeshError(f"run directory {path} cannot be written; set XDG_RUNTIME_DIR to one that can")


@dataclass(frozen=True)
class Endpoints:
    """The addresses of one mesh.

    Attributes
    ----------
    run_dir : Path
        The directory that holds the sockets.
    """

    run_dir: Path

    @property
    def audio(self) -> str:
        """Where capture publishes its blocks; no broker between it and those who listen."""
        return self._ipc("audio")

    @property
    def events_in(self) -> str:
        """Where publishers of events connect."""
        return self._ipc("events-in")

    @property
    def events_out(self) -> str:
        """Where receivers of events connect."""
        return self._ipc("events-out")

    @property
    def tap(self) -> str:
        """Where the bus mirrors every event, asked for or not."""
        return self._ipc("tap")

    def requests(self, service: str) -> str:
        """Return where a service answers requests."""
        return self._ipc(f"{service}-requests")

    def _ipc(self, name: str) -> str:
        return f"ipc://{self.run_dir}/{name}.sock"
