"""What an EQ model is worth: decibels that it repairs on equalised music, and decibels of harm to untouched music.

Conventions
-----------
An error is the mean absolute deviation of a curve from flat over the octave bands that the features hear, its mean
removed, in dB. Figures are triples: the value and the ends of its 95 % interval, from a bootstrap over artists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ
from soundsage.shared.features import BAND_FREQUENCIES_HZ

from .calibrate import log_posterior, temperature_of
from .data import GENRES
from .degrade import LIMIT_DB
from .eq import EQ_SETTINGS, eq_inputs, eq_stopping_epoch, fit_eq
from .evaluate import N_BOOTSTRAP, HeldOut, held_out
from .split import artists_of
from .table import FeatureTable, rows_of, subset

__all__ = [
    "HEARD_HZ",
    "LARGE_DB",
    "EqAnswers",
    "eq_held_out",
    "fold_posterior",
    "held_out_posterior",
    "repair_of",
    "repair_of_genres",
]

HEARD_HZ = GRAPHIC_FREQUENCIES_HZ[1:-1]
"""The octave bands that lie within what the features hear."""
LARGE_DB = 2.0
"""An equalisation with a larger error than this is one that people notice at once."""

_HEARD = np.isin(GRAPHIC_FREQUENCIES_HZ, HEARD_HZ)


@dataclasses.dataclass(frozen=True, eq=False)
class EqAnswers:
    """What is proposed for rows whose artists were not in training.

    Attributes
    ----------
    gains_db : dict of ndarray of shape (n_rows, 10)
        By method: the model and what it has to beat.
    n_epochs : tuple of int
        Of the model in each fold.
    """

    gains_db: Mapping[str, np.ndarray]
    n_epochs: tuple[int, ...]


def held_out_posterior(table: FeatureTable, answers: HeldOut) -> np.ndarray:
    """Return the genre probabilities of all rows by models that had not heard their artist, shape (n_rows, 8)."""
    known = table.is_untouched
    temperature = temperature_of(answers.logits[known], table.label_of_row[known])
    return np.asarray(np.exp(log_posterior(answers.logits, temperature)))


def fold_posterior(table: FeatureTable, answers: HeldOut, number: int, seed: int) -> np.ndarray:
    """Return the genre probabilities of all rows by models that heard nothing of a fold's test artists.

    Those of the test rows are by the genre model of the fold, those of its training rows by cross-validation among
    these, so that they too are by models that had not heard the artist. The temperature is that of the training rows.

    Parameters
    ----------
    table : FeatureTable
    answers : HeldOut
        Of the genre model on the same table.
    number : int
        Of the fold.
    seed : int

    Returns
    -------
    ndarray of shape (n_rows, 8)
    """
    fold = answers.folds[number]
    files = {table.tracks[track].file for track in fold.train}
    known = subset(table, lambda track: track.file in files)
    inner = held_out(known, artists_of(known.tracks), seed, n_epochs=answers.n_epochs[number])
    logits = answers.logits.copy()
    logits[rows_of(table, fold.train)] = inner.logits
    untouched = known.is_untouched
    temperature = temperature_of(inner.logits[untouched], known.label_of_row[untouched])
    return np.asarray(np.exp(log_posterior(logits, temperature)))


def eq_held_out(
    table: FeatureTable,
    answers: HeldOut,
    seed: int,
    *,
    n_epochs: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> EqAnswers:
    """Return the proposals of cross-validation, in the folds of the genre model.

    Parameters
    ----------
    table : FeatureTable
        With untouched and equalised rows.
    answers : HeldOut
        Of the genre model on the same table.
    seed : int
    n_epochs : int or None
        Found anew within the training tracks of each fold unless given.
    progress : callable
        Is told how many folds are done.
    """
    flat = np.zeros((len(table.features), len(GRAPHIC_FREQUENCIES_HZ)))
    model, to_all, to_genre = flat.copy(), flat.copy(), flat.copy()
    stops = []
    for number, fold in enumerate(answers.folds):
        posterior = fold_posterior(table, answers, number, seed)
        inputs, test = eq_inputs(table, posterior), rows_of(table, fold.test)
        stop = n_epochs or eq_stopping_epoch(table, inputs, fold.train, seed, EQ_SETTINGS)
        model[test] = fit_eq(table, inputs, fold.train, seed, n_epochs=stop).gains_db(inputs[test])
        means_db = _mean_octaves_db(table, fold.train)
        to_all[test] = _towards(means_db[-1], table.bands_db[test])
        to_genre[test] = _towards(posterior[test] @ means_db[:-1], table.bands_db[test])
        stops.append(stop)
        progress(number + 1)
    methods = {"nothing": flat, "to the mean of all": to_all, "to the mean of the genre": to_genre, "model": model}
    return EqAnswers(methods, tuple(stops))


def repair_of(table: FeatureTable, gains_db: np.ndarray, above_db: float = 0.0) -> dict[str, list[float]]:
    """Return what proposals leave and remove on equalised rows, and add to untouched ones, with intervals.

    Parameters
    ----------
    table : FeatureTable
    gains_db : ndarray of shape (n_rows, 10)
        The proposals.
    above_db : float
        Only equalisations whose own error is larger count.
    """
    artists = artists_of(table.tracks)
    names, artist_of_track = np.unique(np.array(artists), return_inverse=True)
    group = artist_of_track[table.track_of_row]
    generator = np.random.default_rng(440)
    times = np.stack(
        [np.ones(len(names))]
        + [
            np.bincount(generator.integers(len(names), size=len(names)), minlength=len(names))
            for _ in range(N_BOOTSTRAP)
        ]
    )
    return {
        name: _figure(values, group[rows], times) for name, (values, rows) in _errors(table, gains_db, above_db).items()
    }


def repair_of_genres(table: FeatureTable, gains_db: np.ndarray) -> dict[str, dict[str, float]]:
    """Return what proposals remove and add, for each genre that occurs."""
    errors = _errors(table, gains_db)
    return {
        genre: {
            name: round(float(values[table.label_of_row[rows] == index].mean()), 3)
            for name, (values, rows) in errors.items()
            if name != "left"
        }
        for index, genre in enumerate(GENRES)
        if (table.label_of_track == index).any()
    }


def _errors(
    table: FeatureTable, gains_db: np.ndarray, above_db: float = 0.0
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return values and the rows that they belong to, by name."""
    untouched, touched = np.flatnonzero(table.is_untouched), np.flatnonzero(_error_db(table.gains_db) > above_db)
    left = _error_db(table.gains_db[touched] + gains_db[touched])
    before = _error_db(table.gains_db[touched])
    added = _error_db(gains_db[untouched])
    return {"left": (left, touched), "removed": (before - left, touched), "added": (added, untouched)}


def _error_db(curves_db: np.ndarray) -> np.ndarray:
    heard = curves_db[:, _HEARD]
    error: np.ndarray = np.abs(heard - heard.mean(axis=1, keepdims=True)).mean(axis=1)
    return error


def _figure(values: np.ndarray, group: np.ndarray, times: np.ndarray) -> list[float]:
    n_groups = times.shape[1]
    sums, counts = np.bincount(group, values, n_groups), np.bincount(group, minlength=n_groups)
    means = (times @ sums) / (times @ counts)
    return [round(float(number), 3) for number in (means[0], *np.quantile(means[1:], (0.025, 0.975)))]


def _octaves_db(bands_db: np.ndarray) -> np.ndarray:
    """Return the mean level of the third-octaves in each heard octave, shape (n, 10); zeros where none is heard."""
    octave_of_band = np.round(np.log2(np.array(BAND_FREQUENCIES_HZ) / GRAPHIC_FREQUENCIES_HZ[0])).astype(int)
    is_in = octave_of_band[:, np.newaxis] == np.flatnonzero(_HEARD)
    levels = np.zeros((len(bands_db), len(GRAPHIC_FREQUENCIES_HZ)))
    levels[:, _HEARD] = bands_db @ (is_in / is_in.sum(axis=0))
    return levels


def _mean_octaves_db(table: FeatureTable, tracks: np.ndarray) -> np.ndarray:
    """Return the mean octave levels of the untouched rows of each genre, and last of all, shape (9, 10)."""
    rows = np.intersect1d(rows_of(table, tracks), np.flatnonzero(table.is_untouched))
    levels, labels = _octaves_db(table.bands_db[rows]), table.label_of_row[rows]
    overall = levels.mean(axis=0)
    genres = [
        levels[labels == index].mean(axis=0) if (labels == index).any() else overall for index in range(len(GENRES))
    ]
    return np.stack([*genres, overall])


def _towards(goal_db: np.ndarray, bands_db: np.ndarray) -> np.ndarray:
    """Return the curve from the levels of rows to a goal, within the limit."""
    curve = goal_db - _octaves_db(bands_db)
    curve[:, _HEARD] -= curve[:, _HEARD].mean(axis=1, keepdims=True)
    return np.asarray(curve.clip(-LIMIT_DB, LIMIT_DB))
