"""Turn a feature vector into a posterior and a proposal.

Conventions
-----------
A session is what runs an ONNX file on some accelerator; scaling, softmax, gate and limits are here, in float64.

What a model answers is a few numbers, and Python computes with them: a process that has slept since the last hop finds
its caches empty, and each NumPy function that it then calls costs more than it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from soundsage.shared.errors import ModelError
from soundsage.shared.features import BAND_FREQUENCIES_HZ
from soundsage.shared.manifest import Manifest
from soundsage.shared.messages import EqProposal, FeatureVector, GenrePosterior, GenreState
from soundsage.shared.wire import Received

__all__ = ["EqModel", "GenreModel", "Inference", "Loaded", "newest_per_stream", "no_signal"]

Session = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Loaded:
    """A model that runs.

    Attributes
    ----------
    manifest : Manifest
    session : callable
        Scaled inputs of shape (1, n_inputs), float32, to outputs of shape (1, n_labels).
    feature_names : tuple of str
        Of the feature set that the manifest names.
    backend : str
    """

    manifest: Manifest
    session: Session
    feature_names: tuple[str, ...]
    backend: str


class _Model:
    """What both models have in common: pick the inputs by name, scale them, run, check the answer."""

    task: ClassVar[str]

    def __init__(self, loaded: Loaded, further_names: Iterable[str] = ()) -> None:
        self.manifest = loaded.manifest
        self.backend = loaded.backend
        self._run = loaded.session
        bands = [f"band:{frequency_hz:.1f}" for frequency_hz in BAND_FREQUENCIES_HZ]
        known = {name: i for i, name in enumerate((*loaded.feature_names, *bands, *further_names))}
        missing = [name for name in loaded.manifest.inputs if name not in known]
        if self.manifest.task != self.task:
            raise ModelError(f"task of {self.manifest.name} must be {self.task}, got {self.manifest.task}")
        if missing:
            raise ModelError(f"inputs of {self.manifest.name} must be known, got {', '.join(missing[:3])}")
        self._n_known = len(known)
        self._picked = np.array([known[name] for name in loaded.manifest.inputs])
        self._mean = np.asarray(loaded.manifest.mean)
        self._scale = np.asarray(loaded.manifest.scale)

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return the model's inputs, shape (n_inputs,), float64."""
        if values.size != self._n_known:
            raise ModelError(f"{self.manifest.name} must be given {self._n_known} values, got {values.size}")
        scaled: np.ndarray = values[self._picked]
        scaled -= self._mean
        scaled /= self._scale
        return scaled

    def run(self, scaled: np.ndarray) -> list[float]:
        """Return the model's outputs, one a label."""
        outputs = np.asarray(self._run(scaled[np.newaxis].astype(np.float32)))
        expected = (1, len(self.manifest.labels))
        answer: list[float] = outputs.ravel().tolist()
        if outputs.shape != expected or not all(map(math.isfinite, answer)):
            raise ModelError(
                f"{self.manifest.name} on {self.backend} must answer {expected} finite numbers, got {outputs.shape}"
            )
        return answer


class GenreModel(_Model):
    """Features to a posterior, and to whether there is a genre at all."""

    task = "genre"

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        gate, n_inputs = self.manifest.gate, len(self.manifest.inputs)
        self._precision = np.zeros((0, 0)) if gate is None else np.asarray(gate.precision).reshape(n_inputs, n_inputs)

    def infer(self, values: np.ndarray, level_db: float) -> tuple[list[float], GenreState]:
        """Return the probabilities, one a label, and the state.

        Parameters
        ----------
        values : ndarray of shape (n_features + n_bands,), float64
        level_db : float
            RMS level of the window, dBFS.
        """
        scaled = self.scaled(values)
        posterior = _softmax([output / self.manifest.temperature for output in self.run(scaled)])
        return posterior, self._state(scaled, level_db, max(posterior))

    def _state(self, scaled: np.ndarray, level_db: float, confidence: float) -> GenreState:
        gate = self.manifest.gate
        if gate is None:
            return "genre"
        if level_db < gate.silence_below_db:
            return "silence"
        if self._distance(scaled) > gate.not_music_above:
            return "not_music"
        return "uncertain" if confidence < gate.uncertain_below else "genre"

    def _distance(self, scaled: np.ndarray) -> float:
        """Return the Mahalanobis distance of scaled inputs from the training data."""
        return math.sqrt(max(float(scaled.dot(self._precision).dot(scaled)), 0.0))


class EqModel(_Model):
    """Features, band spectrum and posterior to gains."""

    task = "eq"

    def __init__(self, loaded: Loaded, further_names: Iterable[str] = ()) -> None:
        super().__init__(loaded, further_names)
        self.frequencies_hz = tuple(map(float, self.manifest.labels))

    def infer(self, values: np.ndarray) -> tuple[float, ...]:
        """Return the gain at each frequency of the labels, dB, within the manifest's limit."""
        limit_db = self.manifest.limit_db
        return tuple(min(max(gain_db, -limit_db), limit_db) for gain_db in self.run(self.scaled(values)))


class Inference:
    """Both models, one after the other.

    Parameters
    ----------
    genre, eq : Loaded

    Raises
    ------
    ModelError
        If a model takes inputs that nothing here provides.
    """

    def __init__(self, genre: Loaded, eq: Loaded) -> None:
        self.feature_set = genre.manifest.feature_set
        if eq.manifest.feature_set != self.feature_set:
            raise ModelError(
                f"feature_set of {eq.manifest.name} must be that of {genre.manifest.name}, {self.feature_set}, "
                f"got {eq.manifest.feature_set}"
            )
        self._genre = GenreModel(genre)
        self._eq = EqModel(eq, (f"posterior:{label}" for label in genre.manifest.labels))
        n_features, n_bands = len(genre.feature_names), len(BAND_FREQUENCIES_HZ)
        self._values = np.zeros(n_features + n_bands + len(genre.manifest.labels))
        self._features, self._bands_db, self._posterior = np.split(self._values, (n_features, n_features + n_bands))
        self._heard = self._values[: n_features + n_bands]
        self.genre_model = genre.manifest.name
        self.eq_model = eq.manifest.name
        self.backend = genre.backend

    def infer(self, vector: FeatureVector) -> tuple[EqProposal, Callable[[int, float], GenrePosterior]]:
        """Return the proposal, and what makes the posterior once the time that both took is known.

        Raises
        ------
        ModelError
            If a model answers with the wrong shape or non-finite numbers, or the features are of another set.
        """
        if vector.feature_set != self.feature_set:
            raise ModelError(
                f"feature_set must be {self.feature_set}, got {vector.feature_set}; set features.extractor"
            )
        self._hear(vector)
        posterior, state = self._genre.infer(self._heard, vector.level_db)
        self._posterior[:] = posterior
        proposal = EqProposal(
            stream=vector.stream,
            time_s=vector.time_s,
            model=self._eq.manifest.name,
            frequencies_hz=self._eq.frequencies_hz,
            gains_db=self._eq.infer(self._values),
        )

        def answer(skipped: int, compute_ms: float) -> GenrePosterior:
            return self._answer(vector, posterior, state, skipped, compute_ms)

        return proposal, answer

    def _hear(self, vector: FeatureVector) -> None:
        """Write features and bands into the values that the models know."""
        got, expected = (vector.features.size, vector.bands_db.size), (self._features.size, self._bands_db.size)
        if got != expected:
            raise ModelError(
                f"{self.genre_model} must be given {expected[0]} features and {expected[1]} bands, "
                f"got {got[0]} and {got[1]}"
            )
        self._features[:] = vector.features
        self._bands_db[:] = vector.bands_db

    def _answer(
        self, vector: FeatureVector, posterior: list[float], state: GenreState, skipped: int, compute_ms: float
    ) -> GenrePosterior:
        labels, confidence = self._genre.manifest.labels, max(posterior)
        return GenrePosterior(
            stream=vector.stream,
            time_s=vector.time_s,
            model=self._genre.manifest.name,
            backend=self._genre.backend,
            labels=labels,
            posterior=tuple(posterior),
            state=state,
            genre=labels[posterior.index(confidence)] if state == "genre" else None,
            confidence=confidence,
            skipped=skipped,
            compute_ms=vector.compute_ms + compute_ms,
            hop_compute_ms=vector.hop_compute_ms + compute_ms,
        )


def _softmax(logits: list[float]) -> list[float]:
    largest = max(logits)
    weights = [math.exp(logit - largest) for logit in logits]
    total = sum(weights)
    return [weight / total for weight in weights]


def no_signal(stream: str, time_s: float, model: str, backend: str, skipped: int) -> GenrePosterior:
    """Return what is said of a stream that nothing is heard of."""
    return GenrePosterior(
        stream=stream,
        time_s=time_s,
        model=model,
        backend=backend,
        labels=(),
        posterior=(),
        state="no_signal",
        genre=None,
        confidence=0.0,
        skipped=skipped,
        compute_ms=0.0,
        hop_compute_ms=0.0,
    )


def newest_per_stream(waiting: Iterable[Received]) -> tuple[list[tuple[FeatureVector, int]], int]:
    """Return each stream's newest feature vector with its capture time in ns, and how many older ones were left out."""
    newest: dict[str, tuple[FeatureVector, int]] = {}
    n_waiting = 0
    for received in waiting:
        if isinstance(received.message, FeatureVector):
            newest[received.message.stream] = received.message, received.envelope.t_capture_ns
            n_waiting += 1
    return list(newest.values()), n_waiting - len(newest)
