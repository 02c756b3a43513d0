"""In: `AudioBlock`, `EqCurve`. Out: sound on the sinks, `RenderMeter`. Drops and counts blocks past their lifespan."""

from __future__ import annotations

import contextlib
import gc
import threading
import time

import numpy as np

from soundsage.shared.config import Config, RendererConfig
from soundsage.shared.errors import PluginError
from soundsage.shared.messages import MAX_TEXT, AudioBlock, EqCurve, RenderMeter, StreamEnded
from soundsage.shared.meters import LevelMeter
from soundsage.shared.node import Node
from soundsage.shared.settings import RendererSettings
from soundsage.shared.transport import Inbox
from soundsage.shared.units import samples_to_s
from soundsage.shared.wire import Received

from .chain import effects_of
from .core import GuardedEffect, Rendering
from .measures import Samples
from .output import Output

__all__ = ["run"]

MIN_BLOCK = 4096  # room for the blocks of any source without making the rack anew
MEASURES = 4096


def run(config: Config, stop: threading.Event) -> None:
    """Render what is captured until told to stop."""
    with Node("renderer", config.mesh, stop, RendererSettings()) as node:
        audio = node.audio(AudioBlock, StreamEnded, stream=config.mesh.stream)
        curves = node.events(EqCurve, stream=config.mesh.stream)
        player = Player(config.renderer, node, audio)
        player.warm_up()
        # Nothing here makes cycles, and a collection would cost a block its time; who opens sinks again collects.
        gc.disable()
        node.set_state("ready")
        try:
            while not stop.is_set():
                received = node.receive((audio, curves))
                if received is not None:
                    player.take(received)
        finally:
            player.close()


class Player:
    """Renders each message's part of the stream and hands it to the sinks."""

    def __init__(self, config: RendererConfig, node: Node[RendererSettings], audio: Inbox) -> None:
        self._config = config
        self._node = node
        self._audio = audio
        self._outputs = [Output(text) for text in config.sinks]
        self._rendering = Rendering(48_000, 2, MIN_BLOCK, config.hold_s)
        self._curve: EqCurve | None = None
        self._is_open = False
        self._rendered_samples = 0
        self._levels = LevelMeter(config.meter_hz)
        self._render_latency_ms = Samples(MEASURES)
        self._curve_latency_ms = Samples(MEASURES)
        self._curve_compute_ms = Samples(MEASURES)

    def warm_up(self) -> None:
        """Compile and load everything that the first block will need."""
        self._rendering.render(np.zeros((2, MIN_BLOCK), np.float32))

    def take(self, received: Received) -> None:
        """Do what a message asks for."""
        match received.message:
            case AudioBlock() as block:
                self._play(block, received.envelope.t_capture_ns)
            case EqCurve() as curve:
                now_ns = time.monotonic_ns()
                self._curve_latency_ms.add(received.envelope.latency_ms(now_ns))
                self._curve_compute_ms.add(curve.compute_ms)
                self._curve = curve
                self._rendering.follow(curve)
            case StreamEnded():  # also without a block before: we may just have been restarted
                self._end()

    def close(self) -> None:
        """Finish all sinks, also when one of them fails."""
        with contextlib.ExitStack() as closing:
            for output in reversed(self._outputs):
                closing.callback(output.close)

    def _play(self, block: AudioBlock, t_capture_ns: int) -> None:
        samples = block.samples
        if not self._is_open or not self._rendering.fits(block.sample_rate, samples):
            self._open(block)
        self._obey()
        rendered = self._rendering.render(samples)
        for output in self._outputs:
            output.write(rendered)
        self._render_latency_ms.add((time.monotonic_ns() - t_capture_ns) / 1e6)
        is_first = self._rendered_samples == 0
        self._rendered_samples += samples.shape[1]
        if self._levels.add(rendered, block.sample_rate) or is_first:
            self._report(block)

    def _open(self, block: AudioBlock) -> None:
        n_channels, n_samples = block.samples.shape
        max_block = max(MIN_BLOCK, n_samples)
        effects = self._effects(block.sample_rate, n_channels, max_block)
        self._rendering = Rendering(block.sample_rate, n_channels, max_block, self._config.hold_s, effects)
        if self._curve is not None:
            self._rendering.follow(self._curve)
        self._obey()
        self._rendering.settle()
        for output in self._outputs:
            output.open(block.sample_rate, n_channels)
        self._is_open = True
        self._rendered_samples = 0
        self._node.set_state("ready")

    def _effects(self, sample_rate: int, n_channels: int, max_block: int) -> tuple[GuardedEffect, ...]:
        """Return the effects of the chain; one that cannot be made costs the chain, and not the sound."""
        try:
            return effects_of(self._config.chain, sample_rate, n_channels, max_block)
        except PluginError as error:
            self._node.report(error, "ready")
            return ()

    def _obey(self) -> None:
        settings = self._node.settings
        self._rendering.command(bypass=settings.bypass, gain_db=settings.gain_db)

    def _end(self) -> None:
        self.close()
        self._is_open = False
        self._node.set_state("ended")

    def _report(self, block: AudioBlock) -> None:
        rendering, settings = self._rendering, self._node.settings
        level_db, peak_db = self._levels.take()
        self._node.publish(
            RenderMeter(
                stream=block.stream,
                time_s=samples_to_s(block.start, block.sample_rate) + block.duration_s,
                sink=" ".join(output.text for output in self._outputs)[:MAX_TEXT],
                rendered_samples=self._rendered_samples,
                strategy=rendering.strategy,
                bands=rendering.bands,
                preamp_db=rendering.preamp_db,
                bypass=settings.bypass,
                gain_db=settings.gain_db,
                level_db=level_db,
                peak_db=peak_db,
                lost_blocks=self._audio.lost,
                late_blocks=self._audio.stale,
                underruns=sum(output.underruns for output in self._outputs),
                buffer_ms=max(output.buffer_ms for output in self._outputs),
                render_latency_ms=self._render_latency_ms.take(),
                curve_latency_ms=self._curve_latency_ms.take(),
                curve_compute_ms=self._curve_compute_ms.take(),
            )
        )
        for failure in rendering.failures:
            self._node.report(failure, "ready")
        rendering.failures.clear()
        missing = " ".join(output.missing for output in self._outputs if output.missing)
        self._node.set_state("waiting" if missing else "ready", missing)
