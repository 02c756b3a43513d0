"""In: `FeatureVector`. Out: `EqProposal`, then `GenrePosterior`. When slow, drops all but the newest of each stream."""

from __future__ import annotations

import threading
import time

from soundsage.shared.config import Config
from soundsage.shared.errors import PluginError
from soundsage.shared.messages import FeatureVector
from soundsage.shared.node import Node, NoSettings
from soundsage.shared.plugins import Guard

from .core import Inference, newest_per_stream, no_signal
from .models import load_inference

__all__ = ["run"]

NO_SIGNAL_S = 1.0


def run(config: Config, stop: threading.Event) -> None:
    """Answer each feature vector until told to stop."""
    with Node("broker", config.mesh, stop, NoSettings()) as node:
        inference = load_inference(config.broker)
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
            for vector, t_capture_ns in newest:
                answering.answer(vector, t_capture_ns)


class Answering:
    """Runs both models on what came, and says so when nothing comes."""

    def __init__(self, inference: Inference, node: Node[NoSettings]) -> None:
        self.skipped = 0
        self._inference = inference
        self._node = node
        self._guard = Guard(f"model {inference.genre_model} or {inference.eq_model} on {inference.backend}")
        self._heard_s = time.monotonic()
        self._time_s = 0.0

    def answer(self, vector: FeatureVector, t_capture_ns: int) -> None:
        """Publish the proposal and the posterior of one feature vector."""
        if self._guard.is_quarantined:
            return
        self._heard_s, self._time_s = time.monotonic(), vector.time_s
        begin_s = time.perf_counter()
        try:
            proposal, posterior = self._guard.call(self._inference.infer, vector)
        except PluginError as error:
            self._node.report(error, "waiting")  # the sound goes on without
            return
        compute_ms = (time.perf_counter() - begin_s) * 1e3
        self._node.publish(proposal, t_capture_ns)
        self._node.publish(posterior(self.skipped, compute_ms), t_capture_ns)
        self._node.set_state("ready")

    def say_if_silent(self, stream: str) -> None:
        """Publish, once a second, that nothing is heard."""
        if time.monotonic() - self._heard_s >= NO_SIGNAL_S:
            self._heard_s = time.monotonic()
            self._node.publish(
                no_signal(stream, self._time_s, self._inference.genre_model, self._inference.backend, self.skipped)
            )
