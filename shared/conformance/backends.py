"""Rules for inference backends."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from soundsage.shared.contracts import BackendRecord, GenreModelRecord
from soundsage.shared.errors import ModelError
from soundsage.shared.manifest import load_manifest
from soundsage.shared.plugins import installed_plugins

from .examples import SEED
from .rules import Broken, LeftOut, Subject, require, rule

N_ROWS = 4
# Accelerators compute in bfloat16, which keeps 8 bits.
TOLERANCE = 2.0**-8


@rule("inference_backends")
def it_says_whether_it_is_there(subject: Subject[BackendRecord]) -> None:
    """It says whether its hardware and libraries are there, without raising."""
    available = subject.record.is_available()
    require(isinstance(available, bool), f"got {available!r}")


@rule("inference_backends")
def it_refuses_what_is_no_model(subject: Subject[BackendRecord]) -> None:
    """A missing file, an empty one and one of noise raise ModelError."""
    _require_available(subject.record)
    files = {"missing": None, "empty": b"", "noise": np.random.default_rng(SEED).bytes(1000)}
    for name, content in files.items():
        file = subject.folder / f"{name}.onnx"
        if content is not None:
            file.write_bytes(content)
        try:
            subject.record.load(file).close()
        except ModelError:
            continue
        raise Broken(f"a file that is {name} was loaded")


@rule("inference_backends")
def it_runs_models(subject: Subject[BackendRecord]) -> None:
    """A model answers each row with finite float32, the same in company as alone, and the same again."""
    _require_available(subject.record)
    file, n_inputs, n_outputs = _model()
    inputs = np.random.default_rng(SEED).standard_normal((N_ROWS, n_inputs)).astype(np.float32)
    with contextlib.closing(subject.record.load(file)) as session:
        outputs = session.run(inputs)
        require(
            outputs.shape == (N_ROWS, n_outputs), f"outputs must have shape {(N_ROWS, n_outputs)}, got {outputs.shape}"
        )
        require(outputs.dtype == np.float32, f"outputs must be float32, got {outputs.dtype}")
        require(np.isfinite(outputs).all(), "outputs must be finite")
        require(np.array_equal(session.run(inputs), outputs), "the same inputs must give the same outputs")
        alone = np.concatenate([session.run(inputs[n : n + 1]) for n in range(N_ROWS)])
        require(np.allclose(alone, outputs, rtol=TOLERANCE, atol=TOLERANCE), "a row alone must give the same output")


def _require_available(record: BackendRecord) -> None:
    if not record.is_available():
        raise LeftOut("its hardware or libraries are not here")


def _model() -> tuple[Path, int, int]:
    for record in installed_plugins().records("genre_models", GenreModelRecord):
        manifest = load_manifest(record.manifest)
        return record.manifest.parent / manifest.onnx, len(manifest.inputs), len(manifest.labels)
    raise LeftOut("no genre model is installed to run")
