"""The strategy `genre-preset`: the curves of all genres, mixed by their probabilities and scaled by the confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundsage.shared.contracts import Decision, StrategyRecord
from soundsage.shared.dsp import graphic_bands
from soundsage.shared.hookspecs import hookimpl

from .curves import CURVES_DB, FLAT_DB
from .smoothing import MUSIC_STATES, Smoothed, strength_of

if TYPE_CHECKING:
    from soundsage.shared.contracts import StrategyContext

__all__ = ["GenrePreset", "soundsage_eq_strategies"]


class GenrePreset:
    """Leans towards the spectrum of the genre that it hears, the more the surer it is.

    Probabilities are smoothed over seconds and begin at chance, where the curve is flat.
    """

    def __init__(self) -> None:
        self._smoothed = Smoothed()

    def decide(self, context: StrategyContext) -> Decision:
        """Return the mixed curve; flat while no music plays."""
        posterior = context.posterior
        chance = np.full(len(posterior.labels), 1.0 / max(1, len(posterior.labels)))
        probabilities = self._smoothed.follow(posterior, np.array(posterior.posterior), chance)
        if posterior.state not in MUSIC_STATES or not posterior.labels:
            return Decision((), f"flat: {posterior.state.replace('_', ' ')}")
        gains_db = strength_of(probabilities) * mixed_curve_db(posterior.labels, probabilities)
        return Decision(graphic_bands(gains_db.tolist()), _cause(posterior.labels, probabilities))


def mixed_curve_db(labels: tuple[str, ...], probabilities: np.ndarray) -> np.ndarray:
    """Return the mean of the genres' curves, weighted by their probabilities.

    Parameters
    ----------
    labels : tuple of str
        A genre without a curve counts as flat.
    probabilities : ndarray of shape (n_labels,), float64

    Returns
    -------
    ndarray of shape (10,), float64
        dB.
    """
    curves_db = np.stack([CURVES_DB.get(label, FLAT_DB) for label in labels])
    mixed: np.ndarray = probabilities @ curves_db
    return mixed


@hookimpl
def soundsage_eq_strategies() -> list[StrategyRecord]:
    """Return the strategy."""
    return [
        StrategyRecord(
            name="genre-preset",
            summary="lean towards the spectrum of the genre, the more the surer it is",
            make=GenrePreset,
        )
    ]


def _cause(labels: tuple[str, ...], probabilities: np.ndarray) -> str:
    best = int(np.argmax(probabilities))
    return f"{labels[best]}, confidence {probabilities[best]:.0%}, strength {strength_of(probabilities):.0%}"
