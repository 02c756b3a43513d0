"""The services' cores behind each other: blocks of a file to what a strategy is told, to a curve, to sound.

Conventions
-----------
Nothing is timed: the computing times in the messages are 0, so that the same file gives the same messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from soundsage.services.broker.core import Inference
from soundsage.services.broker.models import load_inference
from soundsage.services.features.core import Measuring, vector_of
from soundsage.services.renderer.chain import effects_of
from soundsage.services.renderer.core import Rendering
from soundsage.services.strategy.core import Steering, curve_of
from soundsage.shared.audiofile import AudioFile
from soundsage.shared.config import Config, RendererConfig
from soundsage.shared.contracts import ExtractorRecord, StrategyContext, StrategyRecord, WindowFeatures
from soundsage.shared.errors import InputError, MediaError, PluginError
from soundsage.shared.messages import AudioBlock, EqCurve
from soundsage.shared.plugins import guarded, installed_plugins

__all__ = ["Deciding", "Hearing", "Sounding", "blocks_of"]

STREAM = "main"


def blocks_of(file: AudioFile) -> Iterator[AudioBlock]:
    """Yield the samples of a file as capture would publish them.

    Raises
    ------
    InputError
        If the file turns out to be damaged.
    """
    start = 0
    try:
        for samples in file:
            yield AudioBlock(stream=STREAM, sample_rate=file.sample_rate, start=start, samples=samples)
            start += samples.shape[1]
    except MediaError as error:
        raise InputError(str(error)) from error


class Hearing:
    """Features and both models: blocks to what a strategy is told.

    Parameters
    ----------
    config : Config
    sample_rate : int
        Of the file, Hz.

    Raises
    ------
    InputError
        If a plugin is not installed, or the sample rate is none that can be measured.
    ModelError
        If a model cannot be loaded.
    """

    def __init__(self, config: Config, sample_rate: int) -> None:
        record = installed_plugins().find("feature_extractors", ExtractorRecord, config.features.extractor)
        try:
            guarded(f"feature extractor {record.name}", record.make, sample_rate)
        except PluginError as error:
            raise InputError(f"file cannot be measured: {error}") from error
        self._what = f"feature extractor {record.name}"
        self._measuring = Measuring(record)
        self._inference: Inference = load_inference(config.broker)

    def hear(self, block: AudioBlock) -> Iterator[StrategyContext]:
        """Yield what is known after each hop that the block completes."""
        return self._answers(guarded(self._what, self._measuring.process, block))

    def _answers(self, windows: Iterable[tuple[float, WindowFeatures]]) -> Iterator[StrategyContext]:
        for time_s, window in windows:
            vector = vector_of(STREAM, self._measuring.feature_set, time_s, window, 0.0, 0.0)
            proposal, posterior = self._inference.infer(vector)
            yield StrategyContext(posterior(0, 0.0), vector, proposal)


class Deciding:
    """A strategy and the limits on what it wants: what is known to a curve.

    Parameters
    ----------
    config : Config
        Names the strategy.

    Raises
    ------
    InputError
        If it is not installed.
    """

    def __init__(self, config: Config) -> None:
        self.name = config.strategy.name
        record = installed_plugins().find("eq_strategies", StrategyRecord, self.name)
        self._strategy = guarded(f"strategy {self.name}", record.make)
        self._steering = Steering(config.strategy.limit_db)

    def curve(self, context: StrategyContext) -> EqCurve:
        """Return the curve for now.

        Raises
        ------
        PluginError
            If the strategy raises or answers nonsense.
        """
        decision = guarded(f"strategy {self.name}", self._strategy.decide, context)
        try:
            steered = self._steering.steer(context.posterior.time_s, decision.bands, commanded=False)
            return curve_of(context.posterior, self.name, decision.cause, steered, 0.0, commanded=False)
        except (ValueError, TypeError, AttributeError) as error:
            raise PluginError(f"strategy {self.name} must answer with valid bands: {error}") from error


class Sounding:
    """The rack and the effects, whose latency is taken out: blocks in, as many samples out.

    Parameters
    ----------
    config : RendererConfig
    sample_rate : int
        Hz.
    n_channels : int
    max_block : int
        The longest block, samples.
    """

    def __init__(self, config: RendererConfig, sample_rate: int, n_channels: int, max_block: int) -> None:
        effects = effects_of(config.chain, sample_rate, n_channels, max_block)
        self._rendering = Rendering(sample_rate, n_channels, max_block, config.hold_s, effects)
        self._latency_samples = self._rendering.latency_samples
        self._to_skip = self._latency_samples
        self._silence = np.zeros((n_channels, max_block), np.float32)

    def follow(self, curve: EqCurve) -> None:
        """Change to a curve."""
        self._rendering.follow(curve)

    def render(self, samples: np.ndarray) -> np.ndarray:
        """Return what follows on all that was returned before, shape (n_channels, at most n_samples), float32.

        Raises
        ------
        PluginError
            If an effect raises or answers what is no sound.
        """
        rendered = self._rendering.render(samples)
        for failure in self._rendering.failures:
            raise failure
        skipped = min(self._to_skip, rendered.shape[1])
        self._to_skip -= skipped
        return rendered[:, skipped:]

    def rest(self) -> Iterator[np.ndarray]:
        """Yield what the latency held back."""
        left = self._latency_samples
        while left:
            n_samples = min(left, self._silence.shape[1])
            left -= n_samples
            yield self.render(self._silence[:, :n_samples])
