"""In: a source plugin. Out: `AudioBlock` on the audio plane. Drops nothing; a receiver without room counts the gap."""

from __future__ import annotations

import threading

from soundsage.shared.config import Config
from soundsage.shared.contracts import Source, SourceRecord
from soundsage.shared.errors import DeviceError, EndOfStream
from soundsage.shared.node import Node, NoSettings
from soundsage.shared.plugins import guarded, installed_plugins
from soundsage.shared.spec import options_of, parse_spec
from soundsage.shared.transport import Publisher

from .core import Stream

__all__ = ["run"]

READ_S = 0.1
RETRY_S = 0.5
N_RECEIVERS = 3  # blocks for features and renderer, and the end of the stream for the renderer
RECEIVERS_S = 3.0


def run(config: Config, stop: threading.Event) -> None:
    """Publish the source's blocks until told to stop; a device that is gone is opened again until it is back."""
    stream = Stream(config.mesh.stream)
    with Node("capture", config.mesh, stop, NoSettings()) as node:
        audio = node.audio_publisher()
        audio.await_receivers(N_RECEIVERS, RECEIVERS_S)
        while not stop.is_set():
            try:
                source = _open(config)
                try:
                    _publish(source, stream, audio, node, stop)
                finally:
                    source.close()
            except DeviceError as error:
                node.set_state("waiting", str(error))
                node.receive((), RETRY_S)
            except EndOfStream:
                _end(stream, audio, node, stop)


def _open(config: Config) -> Source:
    spec = parse_spec(config.capture.source)
    record = installed_plugins().find("sources", SourceRecord, spec.name)
    options = options_of(spec, record.options)
    return guarded(f"source {spec.name}", record.open, spec.target, options, config.capture.block_size)


def _publish(source: Source, stream: Stream, audio: Publisher, node: Node[NoSettings], stop: threading.Event) -> None:
    node.shown.update(sample_rate=source.sample_rate, n_channels=source.n_channels)
    node.set_state("ready")
    while not stop.is_set():
        captured = guarded("source", source.read, READ_S)
        if captured is not None:
            audio.send(stream.block(captured.samples, source.sample_rate), captured.t_capture_ns)
        node.receive((), 0)


def _end(stream: Stream, audio: Publisher, node: Node[NoSettings], stop: threading.Event) -> None:
    """Say that the stream is over, again and again, since a receiver may just have been restarted."""
    node.set_state("ended")
    while not stop.is_set():
        audio.send(stream.end())
        node.receive((), RETRY_S)
