"""The feature table that comes with the project, and a small folder of labelled sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundsage.training
from soundsage.training.data import GENRES
from soundsage.training.table import FeatureTable, load_table

SAMPLE_RATE = 22_050
HEADER = "file,genre,artist,licence,source,licence_evidence\n"


@pytest.fixture(scope="session")
def excerpts() -> FeatureTable:
    """Return the table of the real excerpts."""
    return load_table(Path(soundsage.training.__file__).with_name("excerpts.npz"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two noises of 5 s, a click of 1 s, and their index."""
    generator = np.random.default_rng(440)
    sounds = {"a.wav": 5, "b.wav": 5, "short.wav": 1}
    lines = [HEADER]
    for (name, seconds), genre in zip(sounds.items(), GENRES, strict=False):
        samples = 0.1 * generator.standard_normal(seconds * SAMPLE_RATE)
        soundfile.write(tmp_path / name, samples, SAMPLE_RATE, subtype="FLOAT")
        lines.append(f"{name},{genre},artist of {name},CC0,collection:{name},\n")
    (tmp_path / "index.csv").write_text("".join(lines))
    return tmp_path
