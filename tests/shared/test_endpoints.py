"""The directory in which the services meet."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from soundsage.shared.endpoints import (
    LONGEST_SOCKET,
    MAX_SOCKET_PATH_BYTES,
    Endpoints,
    default_run_dir,
    default_state_dir,
    make_private_dir,
)
from soundsage.shared.errors import MeshError

SERVICES = ("bus", "capture", "features", "broker", "strategy", "renderer")


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """It is made with its parents, mode 0700, also when it was there with another."""
    make_private_dir(tmp_path / "a" / "run")
    (tmp_path / "a" / "run").chmod(0o777)
    make_private_dir(tmp_path / "a" / "run")

    assert stat.S_IMODE((tmp_path / "a" / "run").stat().st_mode) == 0o700


def test_every_socket_fits_the_longest_directory(run_dir: Path) -> None:
    """A directory that is just accepted leaves room for each socket; one byte more is refused with what to do."""
    room = MAX_SOCKET_PATH_BYTES - len(LONGEST_SOCKET) - 1
    longest = run_dir / ("x" * (room - len(os.fsencode(run_dir)) - 1))
    make_private_dir(longest)
    endpoints = Endpoints(longest)
    addresses = [endpoints.audio, endpoints.events_in, endpoints.events_out, endpoints.tap]

    assert all(
        len(os.fsencode(address.removeprefix("ipc://"))) <= MAX_SOCKET_PATH_BYTES
        for address in (*addresses, *map(endpoints.requests, SERVICES))
    )
    with pytest.raises(MeshError, match=r"at most 83 bytes in its path, got 84.*XDG_RUNTIME_DIR"):
        make_private_dir(Path(f"{longest}x"))


def test_a_path_is_measured_in_bytes(run_dir: Path) -> None:
    """Letters of two bytes count twice, as they do for a socket."""
    with pytest.raises(MeshError, match="bytes in its path"):
        make_private_dir(run_dir / ("ü" * 40))


def test_a_file_or_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    """Neither a file nor a link to a directory, which somebody else may have put there, is used."""
    (tmp_path / "file").touch()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("file", "link", "file/below"):
        with pytest.raises(MeshError, match="run directory") as raised:
            make_private_dir(tmp_path / name)
        assert len(str(raised.value).splitlines()) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Who owns the directory could take part in the mesh."""
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12_345, 12_345)
    with pytest.raises(MeshError, match="must be a directory of yours"):
        make_private_dir(tmp_path / "theirs")


def test_a_directory_that_cannot_be_made_is_one_line() -> None:
    """Where nothing can be written, that is said."""
    with pytest.raises(MeshError, match=r"run directory /proc/soundsage cannot be used: .*XDG_RUNTIME_DIR"):
        make_private_dir(Path("/proc/soundsage"))


def test_directories_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The XDG variables say where; without them it is a directory of this user."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert (default_run_dir(), default_state_dir()) == (Path("/run/user/7/soundsage"), Path("/state/soundsage"))

    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(os.getuid()) in default_run_dir().name
    assert default_state_dir() == Path("/home/somebody/.local/state/soundsage")


def test_no_two_sockets_share_an_address() -> None:
    """Each has a file of its own."""
    endpoints = Endpoints(Path("/run"))
    addresses = [endpoints.audio, endpoints.events_in, endpoints.events_out, endpoints.tap]
    addresses += map(endpoints.requests, SERVICES)

    assert len(set(addresses)) == len(addresses)
