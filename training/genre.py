"""The recipe of the genre model: which features, how they are scaled, and the network.

Everything that is learned from data, the choice of features and the scaling included, is learned from the rows that it
is given, which must be those of training alone.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from .data import GENRES
from .network import Goal, Layer, Rows, TrainSettings, forward, train
from .outliers import outlier_features
from .split import median_stop
from .table import FeatureTable, untouched_rows_of

if TYPE_CHECKING:
    import torch


__all__ = ["GENRE_SETTINGS", "N_SELECTED", "GenreFit", "fit_genre", "stopping_epoch"]

N_SELECTED = 60
"""Features that the F-test keeps of 80."""

GENRE_SETTINGS = TrainSettings(hidden=(256, 128, 64), dropout=(0.3, 0.3, 0.2))
"""The network 60-256-128-64-8 and its training."""

_LABEL_SMOOTHING = 0.1
_N_OUTLIERS = 900
_OUTLIER_SHARE = 0.15
_OUTLIER_SEED = 440


@dataclasses.dataclass(frozen=True, eq=False)
class GenreFit:
    """A trained genre model.

    Attributes
    ----------
    selected : ndarray of shape (N_SELECTED,), int64
        Its features, as indices of the table's columns, ascending.
    mean, scale : ndarray of shape (N_SELECTED,), float64
    layers : tuple of Layer
    n_epochs : int
    """

    selected: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    layers: tuple[Layer, ...]
    n_epochs: int

    def scaled(self, features: np.ndarray) -> np.ndarray:
        """Return the inputs of the network, shape (n, N_SELECTED), float32, of features of shape (n, 80)."""
        inputs: np.ndarray = ((features[:, self.selected] - self.mean) / self.scale).astype(np.float32)
        return inputs

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the logits, shape (n, 8), of features of shape (n, 80)."""
        return forward(self.layers, self.scaled(features))


def fit_genre(
    table: FeatureTable,
    train_tracks: np.ndarray,
    seed: int,
    *,
    validation_tracks: np.ndarray | None = None,
    n_epochs: int | None = None,
    settings: TrainSettings = GENRE_SETTINGS,
) -> GenreFit:
    """Return a model of the given tracks.

    Parameters
    ----------
    table : FeatureTable
    train_tracks : ndarray of int64
        Tracks to learn from.
    seed : int
    validation_tracks : ndarray of int64 or None
        With them, training stops where these are recognised best.
    n_epochs : int or None
        Without them, when training stops.
    settings : TrainSettings
    """
    rows = untouched_rows_of(table, train_tracks)
    selected = _selected(table.features[rows], table.label_of_row[rows])
    mean, scale = _scaling(table.features[rows][:, selected])
    untrained = GenreFit(selected, mean, scale, (), 0)
    validation = None if validation_tracks is None else _examples(untrained, table, validation_tracks)
    trained = train(
        _with_outliers(untrained, _examples(untrained, table, train_tracks)),
        Goal(len(GENRES), _cross_entropy, _error_rate),
        settings,
        seed,
        validation=validation,
        stop_after=n_epochs,
    )
    return dataclasses.replace(untrained, layers=trained.layers, n_epochs=trained.n_epochs)


def stopping_epoch(table: FeatureTable, train_tracks: np.ndarray, seed: int, settings: TrainSettings) -> int:
    """Return when to stop training on these tracks, found on some artists among them."""

    def stop(known: np.ndarray, validation: np.ndarray) -> int:
        return fit_genre(table, known, seed, validation_tracks=validation, settings=settings).n_epochs

    return median_stop(table.tracks, table.label_of_track, train_tracks, seed, stop)


def _examples(fit: GenreFit, table: FeatureTable, tracks: np.ndarray) -> Rows:
    rows = untouched_rows_of(table, tracks)
    labels = table.label_of_row[rows]
    targets = np.eye(len(GENRES), dtype=np.float32)[labels]
    return Rows(fit.scaled(table.features[rows]), targets, _weights(labels))


def _with_outliers(fit: GenreFit, rows: Rows) -> Rows:
    """Return the rows with some more that are no music, whose target is to know nothing.

    Outlier exposure: D. Hendrycks, M. Mazeika and T. Dietterich, "Deep Anomaly Detection with Outlier Exposure",
    ICLR 2019.
    """
    inputs = fit.scaled(_outliers())
    targets = np.full((len(inputs), len(GENRES)), 1.0 / len(GENRES), dtype=np.float32)
    weights = np.full(len(inputs), _OUTLIER_SHARE * rows.weights.sum() / len(inputs))
    return Rows(
        np.concatenate((rows.inputs, inputs)),
        np.concatenate((rows.targets, targets)),
        np.concatenate((rows.weights, weights)),
    )


@functools.cache
def _outliers() -> np.ndarray:
    return outlier_features(_N_OUTLIERS, _OUTLIER_SEED)


def _selected(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the features with the largest F of a one-way analysis of variance."""
    from sklearn.feature_selection import f_classif

    varying = np.flatnonzero(features.std(axis=0) > 0)
    scores = np.zeros(features.shape[1])
    scores[varying] = f_classif(features[:, varying].astype(np.float64), labels)[0]
    # Stable: equal scores keep the order of the columns.
    return np.sort(np.argsort(-scores, kind="stable")[:N_SELECTED])


def _scaling(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    return mean, np.where(scale > 0, scale, 1.0)


def _weights(labels: np.ndarray) -> np.ndarray:
    """Return the weight of each row, mean 1: the inverse square root of how frequent its genre is.

    Full inverse frequency would let three jazz tracks count as much as ninety electronic ones.
    """
    counts = np.maximum(np.bincount(labels, minlength=len(GENRES)), 1)
    weights: np.ndarray = (counts**-0.5)[labels]
    weights /= weights.mean()
    return weights


def _error_rate(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted share of wrong answers.

    The log-loss on new artists is best after an epoch or two, when the network is still shy; the temperature sets its
    confidence right later, but not its answers.
    """
    import torch

    return torch.mean(weights * (outputs.argmax(dim=1) != targets.argmax(dim=1)))


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import cross_entropy

    each = cross_entropy(outputs, targets, reduction="none", label_smoothing=_LABEL_SMOOTHING)
    return (weights * each).mean()
