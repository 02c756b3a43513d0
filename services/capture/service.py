"""In: a source plugin. Out: `AudioBlock` on the audio plane. Drops nothing; a receiver without room counts the gap."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator

from soundsage.shared.config import Config
from soundsage.shared.contracts import Source, SourceRecord
from soundsage.shared.errors import DeviceError, EndOfStream, PluginError, SoundSageError
from soundsage.shared.messages import AudioBlock
from soundsage.shared.node import Node, NoSettings
from soundsage.shared.plugins import Guard, guarded, installed_plugins
from soundsage.shared.spec import options_of, parse_spec
from soundsage.shared.transport import Publisher

from .core import Stream

__all__ = ["run"]

READ_S = 0.1
RETRY_S = 0.5
N_RECEIVERS = 3  # blocks for features and renderer, and the end of the stream for the renderer
RECEIVERS_S = 3.0

log = logging.getLogger(__name__)


def run(config: Config, stop: threading.Event) -> None:
    """Publish the source's blocks until told to stop; a device that is gone is opened again until it is back."""
    stream = Stream(config.mesh.stream)
    with Node("capture", config.mesh, stop, NoSettings()) as node:
        audio = node.audio_publisher()
        _await_receivers(audio, node, stop)
        guard = Guard(f"source {config.capture.source}")
        while not stop.is_set():
            try:
                with _opened(config) as source:
                    _publish(source, stream, audio, node, stop)
            except EndOfStream:
                _end(stream, audio, node, stop)
            except DeviceError as error:
                node.set_state("waiting", str(error))
                node.receive((), RETRY_S)
            except PluginError as error:
                strike = guard.strike(str(error))
                if guard.is_quarantined:
                    raise strike from error
                node.report(strike, "waiting")
                node.receive((), RETRY_S)


def _await_receivers(audio: Publisher, node: Node[NoSettings], stop: threading.Event) -> None:
    """Wait until those who are to hear the first block are there, while requests are answered."""
    due_s = time.monotonic() + RECEIVERS_S
    while not (stop.is_set() or audio.await_receivers(N_RECEIVERS, READ_S) or time.monotonic() > due_s):
        node.receive((), 0)


@contextlib.contextmanager
def _opened(config: Config) -> Iterator[Source]:
    spec = parse_spec(config.capture.source)
    record = installed_plugins().find("sources", SourceRecord, spec.name)
    options = options_of(spec, record.options)
    source = guarded(f"source {spec.name}", record.open, spec.target, options, config.capture.block_size)
    try:
        yield source
    finally:
        try:
            guarded(f"source {spec.name} at close", lambda: source.close())  # noqa: PLW0108  it may have none
        except SoundSageError as error:
            log.warning("source was not closed error=%s", error)


def _publish(source: Source, stream: Stream, audio: Publisher, node: Node[NoSettings], stop: threading.Event) -> None:
    sample_rate, n_channels = guarded("source", _format_of, source)
    node.shown.update(sample_rate=sample_rate, n_channels=n_channels)
    node.set_state("ready")
    while not stop.is_set():
        captured = guarded("source", _captured, source, stream)
        if captured is not None:
            audio.send(*captured)
            os.sched_yield()  # on one core in real time, the thread that carries the block waits for us
        node.receive((), 0)


def _format_of(source: Source) -> tuple[int, int]:
    return int(source.sample_rate), int(source.n_channels)


def _captured(source: Source, stream: Stream) -> tuple[AudioBlock, int] | None:
    captured = source.read(READ_S)
    if captured is None:
        return None
    return stream.block(captured.samples, source.sample_rate), int(captured.t_capture_ns)


def _end(stream: Stream, audio: Publisher, node: Node[NoSettings], stop: threading.Event) -> None:
    """Say that the stream is over, again and again, since a receiver may just have been restarted."""
    node.set_state("ended")
    while not stop.is_set():
        audio.send(stream.end())
        node.receive((), RETRY_S)
