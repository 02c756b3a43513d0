"""The commands `soundsage train ...`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from soundsage.shared.errors import ConfigError, InputError
from soundsage.shared.features import FEATURE_NAMES
from soundsage.shared.manifest import load_manifest
from soundsage.training.commands import soundsage_commands
from soundsage.training.table import FeatureTable, load_table, save_table, subset

(TRAIN,) = soundsage_commands()


def run(*arguments: object) -> Result:
    """Return what the command line does with these arguments."""
    return CliRunner().invoke(TRAIN, [str(argument) for argument in arguments])


@pytest.fixture
def table_file(excerpts: FeatureTable, tmp_path: Path) -> Path:
    """Return a table of every other track."""
    kept = set(excerpts.tracks[::2])
    save_table(subset(excerpts, kept.__contains__), tmp_path / "table.npz")
    return tmp_path / "table.npz"


@pytest.mark.parametrize("recipe", ["genre", "eq"])
def test_a_recipe_ends_in_a_model_a_manifest_and_a_card(table_file: Path, tmp_path: Path, recipe: str) -> None:
    """The folder can be loaded, the card is printed, and the manifest says what it rests on."""
    result = run(recipe, table_file, "-o", tmp_path / "model", "--epochs", 2)
    manifest = load_manifest(tmp_path / "model" / "manifest.json")

    assert result.exit_code == 0, result.output
    assert (tmp_path / "model" / "CARD.md").read_text() in result.output
    assert manifest.task == recipe
    assert manifest.data["n_tracks"] == 107
    assert sum(manifest.data["licences"].values()) == 107
    assert set(manifest.inputs) & set(FEATURE_NAMES)


def test_the_same_seed_gives_the_same_model(table_file: Path, tmp_path: Path) -> None:
    """Two runs write the same bytes."""
    for name in ("one", "two"):
        run("eq", table_file, "-o", tmp_path / name, "--epochs", 1)

    for file in ("model.onnx", "manifest.json", "CARD.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_only_the_licences_that_were_asked_for_are_used(table_file: Path, tmp_path: Path) -> None:
    """With `commercial` no row of a track that forbids it is left in the table."""
    result = run("features", table_file, "-o", tmp_path / "kept.npz", "--licences", "commercial")
    licences = {track.licence for track in load_table(tmp_path / "kept.npz").tracks}

    assert result.exit_code == 0, result.output
    assert licences
    assert not any("-NC" in licence for licence in licences)


def test_a_folder_of_sound_becomes_a_table(folder: Path, tmp_path: Path) -> None:
    """The folder's index is read and its sound decoded."""
    result = run("features", folder, "-o", tmp_path / "table.npz")

    assert result.exit_code == 0, result.output
    assert [track.file for track in load_table(tmp_path / "table.npz").tracks] == ["a.wav", "b.wav"]


@pytest.mark.parametrize("recipe", ["features", "genre", "eq"])
def test_data_that_is_not_there_is_one_line(tmp_path: Path, recipe: str) -> None:
    """A missing folder is an input error, before anything is written."""
    result = run(recipe, tmp_path / "missing", "-o", tmp_path / "out")

    assert isinstance(result.exception, InputError)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where torch is missing the command says how to get it."""
    found: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    assert run("genre", "--help").exit_code == 0
    result = run("genre", tmp_path)

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "training needs torch; install soundsage[training]"
