"""Settings that outlive their process."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from soundsage.shared.errors import InputError, MeshError
from soundsage.shared.kept import Kept


class Sound(msgspec.Struct, frozen=True):
    """Settings as a service has them."""

    bypass: bool = False
    gain_db: Annotated[float, Meta(ge=-60, le=12)] = 0.0


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    """A setting holds at once and for the next owner of the file."""
    kept = Kept(tmp_path / "state" / "renderer.json", Sound())
    kept.keep(kept.changed("gain_db", -3))

    assert kept.settings == Sound(gain_db=-3.0)
    assert Kept(tmp_path / "state" / "renderer.json", Sound()).settings == Sound(gain_db=-3.0)


def test_a_change_that_is_not_kept_does_not_hold(tmp_path: Path) -> None:
    """Only keeping makes settings hold."""
    kept = Kept(tmp_path / "renderer.json", Sound())

    assert kept.changed("bypass", value=True).bypass
    assert not kept.settings.bypass


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("volume", 1),
        ("gain_db", "loud"),
        ("gain_db", 13),
        ("gain_db", math.nan),
        ("bypass", 1),
        ("", None),
        ("gain_db", None),
        ("gain_db", [1]),
        ("gain_db", b"\xff"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused(tmp_path: Path, key: str, value: object) -> None:
    """An unknown key, another type and a value out of range are said, and nothing is written."""
    kept = Kept(tmp_path / "renderer.json", Sound())
    with pytest.raises(InputError, match=rf"(setting|{key}) must be"):
        kept.changed(key, value)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"gain_db": 99}', b'{"gain_db": NaN}', b"[" * 100_000, b'{"bypass": "no"}'],
    ids=["empty", "cut off", "list", "binary", "out of range", "NaN", "nested", "text"],
)
def test_a_file_that_cannot_be_read_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """The defaults hold, the file is there under another name, and a line says so."""
    file = tmp_path / "renderer.json"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        kept = Kept(file, Sound())

    assert kept.settings == Sound()
    assert file.with_suffix(".broken").read_bytes() == content
    assert str(file) in caplog.text


def test_what_a_newer_version_kept_is_passed_over(tmp_path: Path) -> None:
    """An unknown setting in the file does not cost the known ones."""
    (tmp_path / "renderer.json").write_bytes(b'{"gain_db": -6, "mood": "blue"}')

    assert Kept(tmp_path / "renderer.json", Sound()).settings == Sound(gain_db=-6.0)


def test_a_service_starts_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """A folder that cannot be is no reason not to start; setting something there is refused in one line."""
    (tmp_path / "file").touch()
    kept = Kept(tmp_path / "file" / "renderer.json", Sound())

    assert kept.settings == Sound()
    with pytest.raises(MeshError, match="cannot be kept in"):
        kept.keep(Sound(bypass=True))
    assert kept.settings == Sound()


def test_a_crash_while_writing_leaves_the_old_settings(tmp_path: Path) -> None:
    """What was half written lies beside the file and is not read."""
    file = tmp_path / "renderer.json"
    Kept(file, Sound()).keep(Sound(gain_db=-3.0))
    file.with_suffix(".new").write_bytes(b'{"gain_')

    assert Kept(file, Sound()).settings == Sound(gain_db=-3.0)


def test_nothing_else_is_left_behind(tmp_path: Path) -> None:
    """After keeping there is one file."""
    kept = Kept(tmp_path / "renderer.json", Sound())
    for gain_db in range(5):
        kept.keep(Sound(gain_db=float(gain_db)))

    assert [each.name for each in tmp_path.iterdir()] == ["renderer.json"]
