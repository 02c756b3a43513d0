"""Turn a feature vector into a posterior and a proposal.

Conventions
-----------
A session is what runs an ONNX file on some accelerator; scaling, softmax, gate and limits are here, in float64.
"""

from __future__ import annotations

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
        scaled: np.ndarray = (values[self._picked] - self._mean) / self._scale
        return scaled

    def run(self, scaled: np.ndarray) -> np.ndarray:
        """Return the model's outputs, shape (n_labels,), float64."""
        outputs = np.asarray(self._run(scaled[np.newaxis].astype(np.float32)), dtype=np.float64)
        expected = (1, len(self.manifest.labels))
        if outputs.shape != expected or not np.isfinite(outputs).all():
            raise ModelError(
                f"{self.manifest.name} on {self.backend} must answer {expected} finite numbers, got {outputs.shape}"
            )
        answer: np.ndarray = outputs[0]
        return answer


class GenreModel(_Model):
    """Features to a posterior, and to whether there is a genre at all."""

    task = "genre"

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        gate, n_inputs = self.manifest.gate, len(self.manifest.inputs)
        self._precision = np.zeros((0, 0)) if gate is None else np.asarray(gate.precision).reshape(n_inputs, n_inputs)

    def infer(self, values: np.ndarray, level_db: float) -> tuple[np.ndarray, GenreState]:
        """Return the probabilities, shape (n_labels,), and the state.

        Parameters
        ----------
        values : ndarray of shape (n_features + n_bands,), float64
        level_db : float
            RMS level of the window, dBFS.
        """
        scaled = self.scaled(values)
        logits = self.run(scaled) / self.manifest.temperature
        weights = np.exp(logits - logits.max())
        posterior = weights / weights.sum()
        return posterior, self._state(scaled, level_db, float(posterior.max()))

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
        return float(np.sqrt(max(scaled @ self._precision @ scaled, 0.0)))


class EqModel(_Model):
    """Features, band spectrum and posterior to gains."""

    task = "eq"

    def infer(self, values: np.ndarray) -> np.ndarray:
        """Return the gain at each frequency of the labels, dB, within the manifest's limit."""
        limit_db = self.manifest.limit_db
        gains_db: np.ndarray = np.clip(self.run(self.scaled(values)), -limit_db, limit_db)
        return gains_db


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
        values = np.concatenate((vector.features, vector.bands_db)).astype(np.float64)
        posterior, state = self._genre.infer(values, vector.level_db)
        gains_db = self._eq.infer(np.concatenate((values, posterior)))
        proposal = EqProposal(
            stream=vector.stream,
            time_s=vector.time_s,
            model=self._eq.manifest.name,
            frequencies_hz=tuple(map(float, self._eq.manifest.labels)),
            gains_db=tuple(gains_db.tolist()),
        )

        def answer(skipped: int, compute_ms: float) -> GenrePosterior:
            return self._posterior(vector, posterior, state, skipped, compute_ms)

        return proposal, answer

    def _posterior(
        self, vector: FeatureVector, posterior: np.ndarray, state: GenreState, skipped: int, compute_ms: float
    ) -> GenrePosterior:
        labels = self._genre.manifest.labels
        return GenrePosterior(
            stream=vector.stream,
            time_s=vector.time_s,
            model=self._genre.manifest.name,
            backend=self._genre.backend,
            labels=labels,
            posterior=tuple(posterior.tolist()),
            state=state,
            genre=labels[int(posterior.argmax())] if state == "genre" else None,
            confidence=float(posterior.max()),
            skipped=skipped,
            compute_ms=vector.compute_ms + compute_ms,
            hop_compute_ms=vector.hop_compute_ms + compute_ms,
        )


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
