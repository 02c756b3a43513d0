"""What plugins are tried with: one message of each type, moods of the genre model, and signals."""

from __future__ import annotations

import numpy as np

from soundsage.shared.contracts import GenreModelRecord, StrategyContext
from soundsage.shared.dsp.bands import GRAPHIC_FREQUENCIES_HZ, EqBand
from soundsage.shared.errors import ModelError
from soundsage.shared.features import BAND_FREQUENCIES_HZ, FEATURE_NAMES, FEATURE_SET
from soundsage.shared.manifest import load_manifest
from soundsage.shared.messages import (
    AudioBlock,
    EqCurve,
    EqProposal,
    Error,
    FeatureVector,
    GenrePosterior,
    GenreState,
    Message,
    Meter,
    RenderMeter,
    ServiceState,
    StreamEnded,
)
from soundsage.shared.plugins import installed_plugins

__all__ = ["SAMPLE_RATE", "contexts", "messages", "signals"]

SAMPLE_RATE = 48_000
SEED = 440
LABELS = ("classical", "electronic", "jazz", "rock")
N_RANDOM = 8


def signals(n_channels: int, n_samples: int) -> dict[str, np.ndarray]:
    """Return named signals of shape (n_channels, n_samples), float32: silence, the quiet, the loud and the too loud."""
    generator = np.random.default_rng(SEED)
    noise = generator.uniform(-1.0, 1.0, (n_channels, n_samples))
    square = np.sign(np.sin(2.0 * np.pi * 100.0 * np.arange(n_samples) / SAMPLE_RATE))
    shapes = {
        "silence": np.zeros((n_channels, n_samples)),
        "quiet noise": 1e-4 * noise,
        "noise": 0.25 * noise,
        "a square wave at full scale": np.tile(square, (n_channels, 1)),
        "noise 20 dB above full scale": 10.0 * noise,
        "a constant": np.full((n_channels, n_samples), 0.5),
    }
    return {name: np.ascontiguousarray(shape, dtype=np.float32) for name, shape in shapes.items()}


def contexts() -> dict[str, StrategyContext]:
    """Return what a strategy may meet: every state, certain and random posteriors, with and without all else."""
    generator = np.random.default_rng(SEED)
    labels = _labels()
    one_hot = tuple(float(index == 0) for index in range(len(labels)))
    even = tuple(1.0 / len(labels) for _ in labels)
    met = {
        "no signal": StrategyContext(_posterior((), (), "no_signal"), None, None),
        "a certain genre": _context(labels, one_hot, "genre"),
        "a genre without features and proposal": StrategyContext(_posterior(labels, one_hot, "genre"), None, None),
        "labels that no model has": _context(("skiffle", "yodel"), (0.9, 0.1), "genre"),
    }
    states: tuple[GenreState, ...] = ("uncertain", "speech", "not_music", "silence")
    met |= {state: _context(labels, even, state) for state in states}
    for n in range(N_RANDOM):
        weights = generator.dirichlet(np.full(len(labels), 0.3))
        met[f"random posterior {n}"] = _context(labels, tuple(map(float, weights)), "genre", time_s=float(n))
    return met


def messages() -> list[Message]:
    """Return one message of each type."""
    empty = np.zeros(0, np.float32)
    bands = (EqBand("peaking", 1000.0, 3.0, 1.0),)
    level = {"level_db": (-20.0, float("-inf")), "peak_db": (-17.0, float("-inf"))}
    return [
        AudioBlock(stream="main", sample_rate=SAMPLE_RATE, start=0, samples=np.zeros((2, 256), np.float32)),
        StreamEnded(stream="main", start=256),
        Meter(stream="main", time_s=0.1, **level),
        _features(3.0, -20.0),
        _posterior(LABELS, (0.7, 0.1, 0.1, 0.1), "genre"),
        _proposal(3.0),
        EqCurve(
            stream="main",
            time_s=3.0,
            strategy="flat",
            cause="an example",
            automatic=True,
            bands=bands,
            preamp_db=-3.0,
            compute_ms=0.1,
        ),
        RenderMeter(
            stream="main",
            time_s=3.0,
            sink="null",
            rendered_samples=144_000,
            strategy="flat",
            bands=bands,
            preamp_db=-3.0,
            bypass=False,
            gain_db=0.0,
            **level,
            lost_blocks=0,
            late_blocks=0,
            underruns=0,
            buffer_ms=0.0,
            render_latency_ms=np.full(19, 0.3, np.float32),
            curve_latency_ms=empty,
            curve_compute_ms=empty,
        ),
        ServiceState(
            service="capture",
            pid=1,
            state="ready",
            text="",
            settings={"source": "null", "block_size": 256},
            rev=1,
            lost=0,
            stale=0,
            malformed=0,
        ),
        Error(service="capture", code="DeviceError", text="the device is gone; plug it in again"),
    ]


def _labels() -> tuple[str, ...]:
    """Return the labels of a genre model that is installed, since strategies are written for them."""
    for record in installed_plugins().records("genre_models", GenreModelRecord):
        try:
            return load_manifest(record.manifest).labels
        except ModelError:  # its own rules say so
            continue
    return LABELS


def _context(
    labels: tuple[str, ...], posterior: tuple[float, ...], state: GenreState, time_s: float = 3.0
) -> StrategyContext:
    features = _features(time_s, level_db=-120.0 if state == "silence" else -20.0)
    return StrategyContext(_posterior(labels, posterior, state, time_s), features, _proposal(time_s))


def _features(time_s: float, level_db: float) -> FeatureVector:
    generator = np.random.default_rng(SEED)
    return FeatureVector(
        stream="main",
        time_s=time_s,
        feature_set=FEATURE_SET,
        features=generator.standard_normal(len(FEATURE_NAMES)).astype(np.float32),
        bands_db=generator.standard_normal(len(BAND_FREQUENCIES_HZ)).astype(np.float32),
        level_db=level_db,
        compute_ms=0.1,
        hop_compute_ms=0.1,
    )


def _proposal(time_s: float) -> EqProposal:
    gains_db = np.random.default_rng(SEED).uniform(-6.0, 6.0, len(GRAPHIC_FREQUENCIES_HZ))
    return EqProposal(
        stream="main",
        time_s=time_s,
        model="example",
        frequencies_hz=GRAPHIC_FREQUENCIES_HZ,
        gains_db=tuple(gains_db.tolist()),
    )


def _posterior(
    labels: tuple[str, ...], posterior: tuple[float, ...], state: GenreState, time_s: float = 3.0
) -> GenrePosterior:
    best = max(range(len(labels)), key=posterior.__getitem__, default=0)
    return GenrePosterior(
        stream="main",
        time_s=time_s,
        model="example",
        backend="example",
        labels=labels,
        posterior=posterior,
        state=state,
        genre=labels[best] if state == "genre" else None,
        confidence=max(posterior, default=0.0),
        skipped=0,
        compute_ms=0.1,
        hop_compute_ms=0.2,
    )
