"""The recipe of the EQ model: from features, band levels and genre to the gains that undo an equalisation.

Conventions
-----------
Inputs are 80 features, 24 band levels and 8 genre probabilities, in this order. Gains are in dB for
`GRAPHIC_FREQUENCIES_HZ`, and their mean is removed: features do not know the level, so that no model could know it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ
from soundsage.shared.features import BAND_FREQUENCIES_HZ, FEATURE_NAMES

from .data import GENRES
from .degrade import LIMIT_DB
from .network import Goal, Layer, Rows, TrainSettings, forward, train
from .split import median_stop
from .table import FeatureTable, rows_of

if TYPE_CHECKING:
    import torch

__all__ = ["EQ_INPUTS", "EQ_SETTINGS", "EqFit", "eq_inputs", "eq_stopping_epoch", "eq_targets", "fit_eq"]

EQ_INPUTS = (
    *FEATURE_NAMES,
    *(f"band:{frequency_hz:.1f}" for frequency_hz in BAND_FREQUENCIES_HZ),
    *(f"posterior:{genre}" for genre in GENRES),
)
"""Names of the inputs, as a manifest lists them."""

EQ_SETTINGS = TrainSettings(hidden=(128, 64), dropout=(0.2, 0.1), n_epochs=30, patience=6, jitter=1.0)
"""The network 112-128-64-10 and its training."""


@dataclasses.dataclass(frozen=True, eq=False)
class EqFit:
    """A trained EQ model.

    Attributes
    ----------
    mean, scale : ndarray of shape (112,), float64
    layers : tuple of Layer
    n_epochs : int
    """

    mean: np.ndarray
    scale: np.ndarray
    layers: tuple[Layer, ...]
    n_epochs: int

    def scaled(self, inputs: np.ndarray) -> np.ndarray:
        """Return the inputs of the network, shape (n, 112), float32."""
        scaled: np.ndarray = ((inputs - self.mean) / self.scale).astype(np.float32)
        return scaled

    def gains_db(self, inputs: np.ndarray) -> np.ndarray:
        """Return the proposed gains, shape (n, 10), of inputs of shape (n, 112)."""
        return forward(self.layers, self.scaled(inputs)).clip(-LIMIT_DB, LIMIT_DB)


def eq_inputs(table: FeatureTable, posterior: np.ndarray) -> np.ndarray:
    """Return the unscaled inputs, shape (n_rows, 112), float32."""
    return np.concatenate((table.features, table.bands_db, posterior), axis=1, dtype=np.float32, casting="same_kind")


def eq_targets(gains_db: np.ndarray) -> np.ndarray:
    """Return the gains that undo others, their mean removed, shape (n, 10), float32."""
    return np.asarray(gains_db.mean(axis=1, keepdims=True) - gains_db, dtype=np.float32)


def fit_eq(
    table: FeatureTable,
    inputs: np.ndarray,
    train_tracks: np.ndarray,
    seed: int,
    *,
    validation_tracks: np.ndarray | None = None,
    n_epochs: int | None = None,
    settings: TrainSettings = EQ_SETTINGS,
) -> EqFit:
    """Return a model of the given tracks.

    Parameters
    ----------
    table : FeatureTable
        With untouched and equalised rows.
    inputs : ndarray of shape (n_rows, 112), float32
        Of all rows of the table.
    train_tracks : ndarray of int64
        Tracks to learn from.
    seed : int
    validation_tracks : ndarray of int64 or None
        With them, training stops where the gains of these are predicted best.
    n_epochs : int or None
        Without them, when training stops.
    settings : TrainSettings
    """
    known = inputs[rows_of(table, train_tracks)]
    mean, scale = known.mean(axis=0, dtype=np.float64), known.std(axis=0, dtype=np.float64)
    untrained = EqFit(mean, np.where(scale > 0, scale, 1.0), (), 0)
    validation = None if validation_tracks is None else _examples(untrained, table, inputs, validation_tracks)
    trained = train(
        _examples(untrained, table, inputs, train_tracks),
        Goal(len(GRAPHIC_FREQUENCIES_HZ), _squared_error, _squared_error),
        settings,
        seed,
        validation=validation,
        stop_after=n_epochs,
    )
    return dataclasses.replace(untrained, layers=trained.layers, n_epochs=trained.n_epochs)


def eq_stopping_epoch(
    table: FeatureTable, inputs: np.ndarray, train_tracks: np.ndarray, seed: int, settings: TrainSettings
) -> int:
    """Return when to stop training on these tracks, found on some artists among them."""

    def stop(known: np.ndarray, validation: np.ndarray) -> int:
        return fit_eq(table, inputs, known, seed, validation_tracks=validation, settings=settings).n_epochs

    return median_stop(table.tracks, table.label_of_track, train_tracks, seed, stop)


def _examples(fit: EqFit, table: FeatureTable, inputs: np.ndarray, tracks: np.ndarray) -> Rows:
    rows = rows_of(table, tracks)
    is_untouched = table.is_untouched[rows]
    # Untouched and equalised music count half each, however many rows there are.
    weights = np.where(is_untouched, 0.5 / max(is_untouched.mean(), 1e-9), 0.5 / max(1 - is_untouched.mean(), 1e-9))
    return Rows(fit.scaled(inputs[rows]), eq_targets(table.gains_db[rows]), weights)


def _squared_error(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (weights * ((outputs - targets) ** 2).mean(dim=1)).mean()
