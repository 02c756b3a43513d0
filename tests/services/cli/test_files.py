"""One keeper, and its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from soundsage.services.cli.files import KeeperNote, MeshFiles
from soundsage.shared.errors import MeshError


@pytest.fixture
def files(tmp_path: Path) -> MeshFiles:
    """Return the files of a mesh that could run."""
    found = MeshFiles(tmp_path / "r", tmp_path / "s")
    found.make()
    return found


def test_there_is_one_keeper_and_it_is_named(files: MeshFiles) -> None:
    """There is one keeper, and it is named to the second."""
    note = KeeperNote(os.getpid(), "tone", ("null",))
    with files.kept(note):
        assert files.keeper() == note
        with pytest.raises(MeshError, match=f"kept by pid {os.getpid()}"), files.kept(KeeperNote(1)):
            pass


def test_the_keeper_takes_its_files_with_it_and_leaves_those_of_others(files: MeshFiles) -> None:
    """The keeper takes its files with it and leaves those of others."""
    mine = ["audio.sock", "bus-requests.sock", "supervisor.sock", "supervisord.conf", "soundsage.toml"]
    with files.kept(KeeperNote(1)):
        for name in [*mine, "theirs.sock", "notes.txt"]:
            (files.run_dir / name).touch()
    assert sorted(file.name for file in files.run_dir.iterdir()) == ["notes.txt", "theirs.sock"]
    assert files.keeper() is None


def test_a_lock_file_that_nobody_holds_is_no_keeper(files: MeshFiles) -> None:
    """A lock file that nobody holds is no keeper, and does not keep another from being one."""
    files.write_note(KeeperNote(4711))
    assert files.keeper() is None
    with files.kept(KeeperNote(os.getpid())):
        assert files.keeper() is not None


def test_the_last_line_of_a_log_is_its_last_that_says_something(files: MeshFiles) -> None:
    """The last line of a log is its last that says something."""
    files.log("bus").write_text("first\nlast\n\n", encoding="utf-8")
    assert files.last_line("bus") == "last"
    assert files.last_line("nobody") == "it logged nothing"


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A state directory that cannot be made is named."""
    (tmp_path / "s").touch()
    with pytest.raises(MeshError, match="log directory"):
        MeshFiles(tmp_path / "r", tmp_path / "s").make()
