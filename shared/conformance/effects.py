"""Rules for effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from soundsage.shared.contracts import Effect, EffectRecord

from .examples import SAMPLE_RATE, SEED, signals
from .rules import Subject, require, rule

MAX_BLOCK = 512
N_SAMPLES = 8 * MAX_BLOCK
FORMATS = ((SAMPLE_RATE, 2), (44_100, 1))
SILENCE = 1e-6
# One step of float32 at full scale is 6e-8; a filter adds up a few.
TOLERANCE = 1e-6


@rule("effects")
def silence_stays_silence(subject: Subject[EffectRecord]) -> None:
    """Silence gives silence, below -120 dBFS."""
    for sample_rate, n_channels in FORMATS:
        effect = subject.record.prepare(sample_rate, n_channels, MAX_BLOCK)
        peak = np.abs(_processed(effect, signals(n_channels, N_SAMPLES)["silence"])).max()
        require(peak < SILENCE, f"got a peak of {peak:g} at {sample_rate} Hz with {n_channels} channels")


@rule("effects")
def whatever_it_hears_its_output_is_finite(subject: Subject[EffectRecord]) -> None:
    """Quiet, loud and too loud input give finite output."""
    for sample_rate, n_channels in FORMATS:
        for name, samples in signals(n_channels, N_SAMPLES).items():
            effect = subject.record.prepare(sample_rate, n_channels, MAX_BLOCK)
            require(np.isfinite(_processed(effect, samples)).all(), f"{name} at {sample_rate} Hz gives other output")


@rule("effects")
def it_does_not_matter_how_the_stream_is_cut(subject: Subject[EffectRecord]) -> None:
    """However the stream is cut into blocks of at most max_block, the output is the same."""
    sample_rate, n_channels = FORMATS[0]
    samples = signals(n_channels, N_SAMPLES)["noise"]
    sizes = np.random.default_rng(SEED).integers(1, MAX_BLOCK, N_SAMPLES)
    cuts = np.cumsum(sizes)
    whole = _processed(subject.record.prepare(sample_rate, n_channels, MAX_BLOCK), samples)
    effect = subject.record.prepare(sample_rate, n_channels, MAX_BLOCK)
    pieces = _processed(effect, samples, cuts[cuts < N_SAMPLES].tolist())
    difference = np.abs(whole - pieces).max()
    require(difference <= TOLERANCE, f"it differs by {difference:g}")


@rule("effects")
def a_reset_forgets_everything(subject: Subject[EffectRecord]) -> None:
    """After a reset it sounds as if it were new."""
    sample_rate, n_channels = FORMATS[0]
    samples = signals(n_channels, N_SAMPLES)["noise"]
    effect = subject.record.prepare(sample_rate, n_channels, MAX_BLOCK)
    new = _processed(effect, samples)
    effect.reset()
    difference = np.abs(_processed(effect, samples) - new).max()
    require(difference <= TOLERANCE, f"it differs by {difference:g}")


@rule("effects")
def its_latency_is_a_number_of_samples(subject: Subject[EffectRecord]) -> None:
    """Its latency is a whole number of samples, 0 or more."""
    latency = subject.record.prepare(*FORMATS[0], MAX_BLOCK).latency()
    require(isinstance(latency, int) and latency >= 0, f"got {latency!r}")


@rule("effects")
def it_changes_the_block_in_place(subject: Subject[EffectRecord]) -> None:
    """It changes the block in place and returns nothing."""
    sample_rate, n_channels = FORMATS[0]
    samples = signals(n_channels, MAX_BLOCK)["noise"]
    process: Callable[[np.ndarray], object] = subject.record.prepare(sample_rate, n_channels, MAX_BLOCK).process
    answer = process(samples)
    require(answer is None, f"got {type(answer).__name__}")


def _processed(
    effect: Effect, samples: np.ndarray, cuts: Iterable[int] = range(MAX_BLOCK, N_SAMPLES, MAX_BLOCK)
) -> np.ndarray:
    """Return the output for a stream, in blocks of memory that are reused as a renderer does."""
    output = []
    for block in np.split(samples, list(cuts), axis=1):
        memory = np.ascontiguousarray(block).copy()
        effect.process(memory)
        output.append(memory)
    return np.concatenate(output, axis=1)
