"""In: `FeatureVector`. Out: `EqProposal`, then `GenrePosterior`. When slow, drops all but the newest of each stream."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from soundsage.shared.config import BrokerConfig, Config
from soundsage.shared.contracts import BackendRecord, EqModelRecord, ExtractorRecord, GenreModelRecord
from soundsage.shared.errors import ModelError, PluginError
from soundsage.shared.manifest import load_manifest
from soundsage.shared.messages import FeatureVector
from soundsage.shared.node import Node, NoSettings
from soundsage.shared.plugins import Guard, guarded, installed_plugins
from soundsage.shared.wire import Received

from .core import Inference, Loaded, newest_per_stream, no_signal

__all__ = ["load_inference", "run"]

NO_SIGNAL_S = 1.0


def run(config: Config, stop: threading.Event) -> None:
    """Answer each feature vector until told to stop."""
    inference = load_inference(config.broker)
    with Node("broker", config.mesh, NoSettings()) as node:
        inbox = node.events(FeatureVector)
        answering = Answering(inference, node)
        node.shown.update(genre_model=inference.genre_model, eq_model=inference.eq_model, backend=inference.backend)
        node.set_state("ready")
        while not stop.is_set():
            received = node.receive((inbox,))
            if received is None:
                answering.say_if_silent(config.mesh.stream)
                continue
            newest, n_skipped = newest_per_stream([received, *inbox.pending()])
            answering.skipped += n_skipped
            for each in newest:
                answering.answer(each)


class Answering:
    """Runs both models on what came, and says so when nothing comes."""

    def __init__(self, inference: Inference, node: Node[NoSettings]) -> None:
        self.skipped = 0
        self._inference = inference
        self._node = node
        self._guard = Guard(f"model {inference.genre_model} or {inference.eq_model} on {inference.backend}")
        self._heard_s = time.monotonic()
        self._time_s = 0.0

    def answer(self, received: Received) -> None:
        """Publish the proposal and the posterior of one feature vector."""
        vector = received.message
        self._heard_s, self._time_s = time.monotonic(), vector.time_s
        begin_s = time.perf_counter()
        try:
            proposal, posterior = self._guard.call(self._inference.infer, vector)
        except PluginError as error:
            self._node.report(error, "waiting")
            return
        compute_ms = (time.perf_counter() - begin_s) * 1e3
        self._node.publish(proposal, received.envelope.t_capture_ns)
        self._node.publish(posterior(self.skipped, compute_ms), received.envelope.t_capture_ns)

    def say_if_silent(self, stream: str) -> None:
        """Publish, once a second, that nothing is heard."""
        if time.monotonic() - self._heard_s >= NO_SIGNAL_S:
            self._heard_s = time.monotonic()
            self._node.publish(
                no_signal(stream, self._time_s, self._inference.genre_model, self._inference.backend, self.skipped)
            )


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
