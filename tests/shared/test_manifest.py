"""What lies beside a model, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from models import GENRES, write_model

from soundsage.shared.errors import ModelError
from soundsage.shared.features import FEATURE_SET
from soundsage.shared.manifest import load_manifest, sha256_of

GATE = {"silence_below_db": -60.0, "not_music_above": 10.0, "uncertain_below": 0.5, "precision": [1.0, 0.0, 0.0, 1.0]}


def test_a_manifest_that_fits_is_read(tmp_path: Path) -> None:
    """What is left out has its default."""
    manifest = load_manifest(write_model(tmp_path, "genre", GENRES, gate=GATE))

    assert (manifest.task, manifest.labels, manifest.feature_set) == ("genre", GENRES, FEATURE_SET)
    assert (manifest.temperature, manifest.limit_db) == (1.0, 6.0)
    assert manifest.gate is not None
    assert manifest.sha256 == sha256_of(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "mood"},
        {"mean": [0.0]},
        {"scale": [1.0, 0.0]},
        {"scale": [1.0, -1.0]},
        {"temperature": 0},
        {"temperature": "warm"},
        {"limit_db": 25},
        {"labels": []},
        {"labels": ["x" * 65]},
        {"inputs": []},
        {"sha256": "0" * 63},
        {"onnx": "../model.onnx"},
        {"onnx": "/etc/passwd"},
        {"onnx": "a/b.onnx"},
        {"onnx": "model.onnx\0"},
        {"onnx": ".."},
        {"onnx": "another.onnx"},
        {"gate": {**GATE, "precision": [1.0]}},
        {"gate": {**GATE, "uncertain_below": 2}},
        {"gate": {**GATE, "mood": "blue"}},
        {"mood": "blue"},
        {"name": ""},
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_is_refused_by_its_name(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What is missing, out of range, of the wrong length or outside the folder is one line with the file."""
    file = write_model(tmp_path, "genre", GENRES)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes), encoding="utf-8")
    with pytest.raises(ModelError, match=str(tmp_path)) as raised:
        load_manifest(file)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("labels", [("low",), ("nan",), ("inf",), tuple(map(str, range(10, 27)))], ids=str)
def test_an_eq_model_has_frequencies_for_labels(tmp_path: Path, labels: tuple[str, ...]) -> None:
    """Words, and more bands than the rack has, are refused when the model is loaded and not when it answers."""
    with pytest.raises(ModelError, match="labels must be"):
        load_manifest(write_model(tmp_path, "eq", labels))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b" " * ((1 << 20) + 1)], ids=len)
def test_a_file_that_is_no_manifest_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    """Whatever is in it."""
    file = write_model(tmp_path, "genre", GENRES)
    file.write_bytes(content)
    with pytest.raises(ModelError, match=str(file)):
        load_manifest(file)


def test_a_model_that_is_not_the_one_that_was_described_is_refused(tmp_path: Path) -> None:
    """One changed byte is enough."""
    file = write_model(tmp_path, "genre", GENRES)
    with (tmp_path / "model.onnx").open("ab") as out:
        out.write(b"\0")
    with pytest.raises(ModelError, match="must have SHA-256"):
        load_manifest(file)


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    """Be it the manifest or the model."""
    file = write_model(tmp_path, "genre", GENRES)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_manifest(file)
    with pytest.raises(ModelError, match=r"nowhere\.json cannot be read"):
        load_manifest(tmp_path / "nowhere.json")
