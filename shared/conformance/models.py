"""Rules for genre and EQ models."""

from __future__ import annotations

import contextlib

import numpy as np

from soundsage.shared.contracts import BackendRecord, EqModelRecord, ExtractorRecord, GenreModelRecord
from soundsage.shared.dsp.bands import N_SECTIONS, EqBand
from soundsage.shared.features import BAND_FREQUENCIES_HZ
from soundsage.shared.manifest import Manifest, load_manifest
from soundsage.shared.plugins import installed_plugins

from .examples import SEED
from .rules import LeftOut, Subject, require, rule

N_ROWS = 3
MAX_LABELS = 512
AnyModel = GenreModelRecord | EqModelRecord


@rule("genre_models", "eq_models")
def its_manifest_describes_its_file(subject: Subject[AnyModel]) -> None:
    """Its manifest is valid, and the ONNX file beside it is the one that the manifest was written for."""
    load_manifest(subject.record.manifest)


@rule("genre_models")
def it_tells_genres(subject: Subject[GenreModelRecord]) -> None:
    """Its task is `genre`, and its labels are at least two, no two the same."""
    _check_labels(load_manifest(subject.record.manifest), "genre")


@rule("eq_models")
def it_tells_gains(subject: Subject[EqModelRecord]) -> None:
    """Its task is `eq`, and its labels are at most 16 rising frequencies in Hz that a band can have."""
    manifest = load_manifest(subject.record.manifest)
    _check_labels(manifest, "eq")
    frequencies_hz = [float(label) for label in manifest.labels]
    require(frequencies_hz == sorted(frequencies_hz), f"got {frequencies_hz}")
    require(len(frequencies_hz) <= N_SECTIONS, f"got {len(frequencies_hz)}")
    for frequency_hz in frequencies_hz:
        EqBand("peaking", frequency_hz, 0.0, 1.0)


@rule("genre_models", "eq_models")
def its_inputs_are_measured(subject: Subject[AnyModel]) -> None:
    """Each of its inputs is a feature of its feature set, a band of the spectrum, or for EQ a probability."""
    manifest = load_manifest(subject.record.manifest)
    extractors = installed_plugins().records("feature_extractors", ExtractorRecord)
    names = {name for each in extractors if each.feature_set == manifest.feature_set for name in each.feature_names}
    require(names, f"no extractor installed measures {manifest.feature_set}")
    names |= {f"band:{frequency_hz:.1f}" for frequency_hz in BAND_FREQUENCIES_HZ}
    unknown = [name for name in manifest.inputs if name not in names and not _is_probability(manifest, name)]
    require(not unknown, f"got {', '.join(unknown[:5])}")


@rule("genre_models", "eq_models")
def its_answers_fit_its_labels(subject: Subject[AnyModel]) -> None:
    """Any scaled input gives one finite number a label, for one row as for several."""
    manifest = load_manifest(subject.record.manifest)
    inputs = np.random.default_rng(SEED).standard_normal((N_ROWS, len(manifest.inputs))).astype(np.float32)
    with contextlib.closing(_best_backend().load(subject.record.manifest.parent / manifest.onnx)) as session:
        for rows in (inputs, inputs[:1], 100.0 * inputs, np.zeros_like(inputs)):
            outputs = session.run(rows)
            expected = (len(rows), len(manifest.labels))
            require(outputs.shape == expected, f"outputs must have shape {expected}, got {outputs.shape}")
            require(np.isfinite(outputs).all(), "outputs must be finite")


def _check_labels(manifest: Manifest, task: str) -> None:
    require(manifest.task == task, f"got task {manifest.task!r}")
    n_labels = len(manifest.labels)
    require(2 <= n_labels <= MAX_LABELS, f"got {n_labels} labels")  # noqa: PLR2004  one label tells nothing
    require(len(set(manifest.labels)) == n_labels, f"got {', '.join(manifest.labels)}")


def _is_probability(manifest: Manifest, name: str) -> bool:
    return manifest.task == "eq" and name.startswith("posterior:")


def _best_backend() -> BackendRecord:
    available = [
        each for each in installed_plugins().records("inference_backends", BackendRecord) if each.is_available()
    ]
    if not available:
        raise LeftOut("no backend is available")
    return max(available, key=lambda record: record.priority)
