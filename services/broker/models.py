"""Find the models and the backend of the configuration, and load them."""

from __future__ import annotations

from pathlib import Path

from soundsage.shared.config import BrokerConfig
from soundsage.shared.contracts import BackendRecord, EqModelRecord, ExtractorRecord, GenreModelRecord
from soundsage.shared.errors import ModelError
from soundsage.shared.manifest import load_manifest
from soundsage.shared.plugins import guarded, installed_plugins

from .core import Inference, Loaded

__all__ = ["load_inference"]


def load_inference(config: BrokerConfig) -> Inference:
    """Return both models, loaded on the backend of the configuration.

    Raises
    ------
    InputError
        If a plugin is not installed.
    ModelError
        If a model or the backend cannot be used.
    """
    plugins = installed_plugins()
    backend = _backend(config.backend)
    genre = plugins.find("genre_models", GenreModelRecord, config.genre_model)
    eq = plugins.find("eq_models", EqModelRecord, config.eq_model)
    return Inference(_load(genre.manifest, backend), _load(eq.manifest, backend))


def _backend(name: str) -> BackendRecord:
    plugins = installed_plugins()
    if name != "auto":
        return plugins.find("inference_backends", BackendRecord, name)
    records = plugins.records("inference_backends", BackendRecord)
    available = [record for record in records if guarded(f"backend {record.name}", record.is_available)]
    if not available:
        raise ModelError("no inference backend is available; install onnxruntime")
    return max(available, key=lambda record: record.priority)


def _load(manifest_file: Path, backend: BackendRecord) -> Loaded:
    manifest = load_manifest(manifest_file)
    extractors = installed_plugins().records("feature_extractors", ExtractorRecord)
    names = next((record.feature_names for record in extractors if record.feature_set == manifest.feature_set), None)
    if names is None:
        raise ModelError(f"no feature extractor computes {manifest.feature_set}, which {manifest.name} needs")
    session = guarded(f"backend {backend.name}", backend.load, manifest_file.parent / manifest.onnx)
    return Loaded(manifest, session.run, names, backend.name)
