"""In: `AudioBlock`. Out: `FeatureVector` every hop, `Meter`. When slow, drops blocks and begins the window anew."""

from __future__ import annotations

import threading
import time

from soundsage.shared.config import Config
from soundsage.shared.contracts import ExtractorRecord
from soundsage.shared.errors import PluginError
from soundsage.shared.messages import AudioBlock, FeatureVector, Meter
from soundsage.shared.meters import LevelMeter
from soundsage.shared.node import Node, NoSettings
from soundsage.shared.plugins import Guard, installed_plugins
from soundsage.shared.units import samples_to_s

from .core import Measuring, vector_of

__all__ = ["run"]


def run(config: Config, stop: threading.Event) -> None:
    """Measure what is captured until told to stop."""
    with Node("features", config.mesh, stop, NoSettings()) as node:
        record = installed_plugins().find("feature_extractors", ExtractorRecord, config.features.extractor)
        measuring = Hops(Measuring(record), Guard(f"feature extractor {record.name}"))
        meter = LevelMeter(config.features.meter_hz)
        audio = node.audio(AudioBlock, stream=config.mesh.stream)
        node.shown["feature_set"] = record.feature_set
        node.set_state("ready")
        while not stop.is_set():
            received = node.receive((audio,))
            if received is None or not isinstance(received.message, AudioBlock):
                continue
            block = received.message
            measuring.publish(block, received.envelope.t_capture_ns, node)
            if meter.add(block.samples, block.sample_rate):
                level_db, peak_db = meter.take()
                time_s = samples_to_s(block.start, block.sample_rate) + block.duration_s
                levels = Meter(stream=block.stream, time_s=time_s, level_db=level_db, peak_db=peak_db)
                node.publish(levels, received.envelope.t_capture_ns)


class Hops:
    """Times the extractor and publishes what it completes."""

    def __init__(self, measuring: Measuring, guard: Guard) -> None:
        self._measuring = measuring
        self._guard = guard
        self._hop_ms = 0.0

    def publish(self, block: AudioBlock, t_capture_ns: int, node: Node[NoSettings]) -> None:
        """Measure one block and publish each vector that it completes."""
        if self._guard.is_quarantined:
            return
        try:
            vectors = self._guard.call(self._vectors, block)
        except PluginError as error:
            node.report(error, "waiting")  # the sound goes on without
            return
        node.set_state("ready")
        for vector in vectors:
            node.publish(vector, t_capture_ns)

    def _vectors(self, block: AudioBlock) -> list[FeatureVector]:
        begin_s = time.perf_counter()
        windows = self._measuring.process(block)
        compute_ms = (time.perf_counter() - begin_s) * 1e3
        hop_ms, self._hop_ms = self._hop_ms + compute_ms, 0.0 if windows else self._hop_ms + compute_ms
        vectors = []
        for time_s, window in windows:
            feature_set = self._measuring.feature_set
            vectors.append(vector_of(block.stream, feature_set, time_s, window, compute_ms, hop_ms))
            hop_ms = compute_ms
        return vectors
