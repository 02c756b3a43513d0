"""Configuration: what holds, and all that is wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.shared.config import Config, default_config_file, load_config
from soundsage.shared.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    """Return a configuration file."""
    file = folder / "mesh.toml"
    file.write_text(text, encoding="utf-8")
    return file


def mistakes_in(file: Path | None, *settings: str) -> list[str]:
    """Return what is wrong, line by line."""
    with pytest.raises(ConfigError) as raised:
        load_config(file, settings)
    return str(raised.value).splitlines()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the default configuration is looked for."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("home")
def test_without_a_file_the_defaults_hold() -> None:
    """Nothing has to be configured."""
    assert load_config(None) == Config()


def test_the_default_file_is_read(home: Path) -> None:
    """Where no file is named, that of the user holds."""
    (home / "soundsage").mkdir()
    default_config_file().write_text("[capture]\nblock_size = 512\n", encoding="utf-8")

    assert load_config(None).capture.block_size == 512


@pytest.mark.parametrize("value", ["/etc/passwd", "/nonexistent"])
def test_a_home_without_a_file_means_the_defaults(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Where no folder is, nothing was configured."""
    monkeypatch.setenv("XDG_CONFIG_HOME", value)

    assert load_config(None) == Config()


def test_a_home_that_cannot_be_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default file that cannot be looked for is no missing one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "x" * 5000)
    (mistake,) = mistakes_in(None)

    assert "cannot be read: File name too long" in mistake


def test_what_the_file_says_holds(tmp_path: Path) -> None:
    """Each table is that of a service; what it does not say has its default."""
    file = written(tmp_path, '[mesh]\nstream = "kitchen"\n[renderer]\nsinks = ["null", "file:a.wav"]\nhold_s = 3\n')
    config = load_config(file)

    assert config.mesh.stream == "kitchen"
    assert config.renderer.sinks == ("null", "file:a.wav")
    assert (config.renderer.hold_s, config.renderer.meter_hz) == (3.0, 10.0)


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    """One line for each mistake of file and settings, with the file, the key, and what is near."""
    file = written(
        tmp_path,
        "[capture]\nblocksize = 512\nblock_size = 8\n[rendererr]\n[strategy]\nlimit_db = nan\n[broker]\nbackend = ''\n",
    )
    mistakes = mistakes_in(file, "strategy.deadline_ms=inf", "nonsense", "features.meter_hz=fast")

    assert len(mistakes) == 8
    assert all(mistake.startswith(f"{file}: ") for mistake in mistakes)
    said = "\n".join(mistakes)
    for part in (
        "key must be a known one, got capture.blocksize; did you mean capture.block_size?",
        "capture.block_size must be valid, got 8",
        "table must be a known one, got rendererr; did you mean renderer?",
        "strategy.limit_db must be valid, got nan",
        "strategy.deadline_ms must be valid, got inf",
        "broker.backend must be valid, got ''",
        "setting must be table.key=value, got 'nonsense'",
        "features.meter_hz must be valid, got 'fast'",
    ):
        assert part in said


@pytest.mark.parametrize("stream", ["a/b", "a b", "", "x" * 65, "a\nb"])
@pytest.mark.usefixtures("home")
def test_a_stream_has_a_name_that_can_be_part_of_a_topic(stream: str) -> None:
    """A slash would make one stream hear another."""
    (mistake,) = mistakes_in(None, f"mesh.stream={stream!r}")

    assert "mesh.stream must be valid" in mistake


@pytest.mark.usefixtures("home")
def test_settings_are_toml_or_plain_text() -> None:
    """Numbers, lists and quoted text are read as such, and all else as it stands."""
    settings = [
        "capture.source=tone:440?level_db=-20",
        "capture.block_size=128",
        'renderer.sinks=["null"]',
        "mesh.run_dir='/tmp/a b'",
        "renderer.chain=",
    ]
    config = load_config(None, settings)

    assert config.capture.source == "tone:440?level_db=-20"
    assert config.capture.block_size == 128
    assert config.renderer.sinks == ("null",)
    assert config.mesh.run_dir == "/tmp/a b"  # noqa: S108  only a name
    assert config.renderer.chain == ""


@pytest.mark.usefixtures("home")
def test_the_last_setting_holds() -> None:
    """A setting goes before the file, and a later one before an earlier one."""
    assert load_config(None, ["capture.block_size=64", "capture.block_size=32"]).capture.block_size == 32


def test_a_setting_in_a_table_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    """A file with a number in the place of a table is refused, also when a setting speaks of that table."""
    file = written(tmp_path, "capture = 3\n")

    assert mistakes_in(file, "capture.block_size=64") == [f"{file}: capture must be a table, got 3"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x00\xff\xfe", "must be TOML"),
        (b"[capture\n", "must be TOML"),
        (b"a = " + b"[" * 100_000, "must be TOML"),
        (b"[mesh]\n[mesh]\n", "must be TOML"),
    ],
    ids=["binary", "broken", "nested", "twice"],
)
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    """Whatever is in the file, it is named with what is wrong."""
    file = tmp_path / "mesh.toml"
    file.write_bytes(content)
    (mistake,) = mistakes_in(file)

    assert mistake.startswith(f"{file} {reason}")


@pytest.mark.parametrize("name", ["missing.toml", "", "a" * 300], ids=["missing", "folder", "too long"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    """A missing file, a folder and a name that cannot be are each said, and not the defaults taken."""
    (mistake,) = mistakes_in(tmp_path / name)

    assert "cannot be read" in mistake


@given(setting=st.text())
def test_any_setting_holds_or_is_a_mistake(setting: str) -> None:
    """Whatever a person writes behind --set, there is an answer."""
    with contextlib.suppress(ConfigError):
        load_config(Path("/dev/null"), [setting])
