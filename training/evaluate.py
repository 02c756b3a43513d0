"""What a genre model is worth on artists that it never heard, with intervals, and whether the protocol itself is sound.

Conventions
-----------
Every track is tested once, by a model that heard none of its artist. Figures are triples: the value and the ends of its
95 % interval, from a bootstrap over artists, since tracks of one artist are not independent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from .calibrate import distances_of, log_posterior, precision_of, temperature_of, thresholds_of
from .data import GENRES, Track
from .genre import GENRE_SETTINGS, fit_genre, stopping_epoch
from .network import TrainSettings
from .split import Fold, artists_of, folds_of, joined, sources_of
from .table import FeatureTable, rows_of, untouched_rows_of

__all__ = [
    "Figures",
    "HeldOut",
    "figures_of",
    "gate_figures",
    "held_out",
    "leaking_accuracy",
    "permuted_recall",
    "source_disjoint",
    "track_log_posterior",
]

N_FOLDS = 5
N_BOOTSTRAP = 1000
_GUARD_EPOCHS = 5

Figures = dict[str, list[float]]


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """What models say of rows that they did not train on.

    Attributes
    ----------
    logits : ndarray of shape (n_rows, 8), float32
    distances : ndarray of shape (n_rows,)
        Mahalanobis distance to the training rows.
    log_posterior : ndarray of shape (n_rows, 8)
        Calibrated with the temperature of the other folds.
    folds : tuple of Fold
    n_epochs : tuple of int
        Of each fold.
    """

    logits: np.ndarray
    distances: np.ndarray
    log_posterior: np.ndarray
    folds: tuple[Fold, ...]
    n_epochs: tuple[int, ...]


def held_out(
    table: FeatureTable,
    groups: Sequence[str],
    seed: int,
    *,
    settings: TrainSettings = GENRE_SETTINGS,
    n_epochs: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> HeldOut:
    """Return the answers of cross-validation.

    Parameters
    ----------
    table : FeatureTable
    groups : sequence of str
        Of each track; none is shared between training and test.
    seed : int
    settings : TrainSettings
    n_epochs : int or None
        Found anew within the training tracks of each fold unless given.
    progress : callable
        Is told how many folds are done.
    """
    folds = folds_of(groups, table.label_of_track, N_FOLDS, seed)
    logits = np.zeros((len(table.features), len(GENRES)), dtype=np.float32)
    distances = np.zeros(len(table.features))
    stops = []
    for done, fold in enumerate(folds, start=1):
        stop = n_epochs or stopping_epoch(table, fold.train, seed, settings)
        fit = fit_genre(table, fold.train, seed, n_epochs=stop, settings=settings)
        test = rows_of(table, fold.test)
        logits[test] = fit.logits(table.features[test])
        precision = precision_of(fit.scaled(table.features[untouched_rows_of(table, fold.train)]))
        distances[test] = distances_of(fit.scaled(table.features[test]), precision)
        stops.append(stop)
        progress(done)
    return HeldOut(logits, distances, _calibrated(table, logits, folds), folds, tuple(stops))


def track_log_posterior(table: FeatureTable, rows: np.ndarray) -> np.ndarray:
    """Return the normalised mean of each track's rows of log-probabilities, shape (n_tracks, 8)."""
    means = np.stack([rows[table.track_of_row == track].mean(axis=0) for track in range(len(table.tracks))])
    return log_posterior(means)


def figures_of(log_probabilities: np.ndarray, labels: np.ndarray, artists: Sequence[str]) -> Figures:
    """Return accuracy, macro-F1, mean recall, log-loss and top-3 accuracy with their intervals.

    Parameters
    ----------
    log_probabilities : ndarray of shape (n, 8)
    labels : ndarray of shape (n,), int64
    artists : sequence of n str

    Notes
    -----
    Macro-F1 and mean recall are over all genres that occur; a genre that is never found counts 0.
    """
    names, group = np.unique(np.array(artists), return_inverse=True)
    tallies = _Tallies(log_probabilities, labels, group, len(names))
    generator = np.random.default_rng(440)
    value = tallies.figures(np.ones(len(names)))
    drawn = [
        tallies.figures(np.bincount(generator.integers(len(names), size=len(names)), minlength=len(names)))
        for _ in range(N_BOOTSTRAP)
    ]
    low, high = np.nanquantile(np.array([list(each.values()) for each in drawn]), (0.025, 0.975), axis=0)
    return {
        name: [round(float(number), 3) for number in (value[name], low[index], high[index])]
        for index, name in enumerate(value)
    }


def recall_of_genres(log_probabilities: np.ndarray, labels: np.ndarray, artists: Sequence[str]) -> dict[str, object]:
    """Return for each genre the recall, the number of examples and of artists."""
    answers = log_probabilities.argmax(axis=1)
    return {
        genre: {
            "recall": round(float((answers[labels == index] == index).mean()), 3) if (labels == index).any() else None,
            "n_tracks": int((labels == index).sum()),
            "n_artists": len({artist for artist, label in zip(artists, labels, strict=True) if label == index}),
        }
        for index, genre in enumerate(GENRES)
    }


def permuted_recall(table: FeatureTable, seed: int) -> list[float]:
    """Return the mean recall of tracks, with its interval, when each track has a random genre.

    Chance is 1 / 8; more would mean that the protocol lets something through from test to training.
    """
    genres = np.random.default_rng(seed).integers(len(GENRES), size=len(table.tracks))
    tracks = tuple(_with_genre(track, GENRES[genre]) for track, genre in zip(table.tracks, genres, strict=True))
    permuted = dataclasses.replace(table, tracks=tracks)
    artists = artists_of(tracks)
    answers = held_out(permuted, artists, seed, n_epochs=_GUARD_EPOCHS)
    rows = track_log_posterior(permuted, answers.log_posterior)
    return figures_of(rows, permuted.label_of_track, artists)["mean_recall"]


def leaking_accuracy(table: FeatureTable, seed: int, n_epochs: int) -> float:
    """Return the accuracy of windows when windows of one track may be in training and test: what not to believe."""
    rows = np.arange(len(table.features))
    each_row_a_track = dataclasses.replace(
        table, tracks=tuple(table.tracks[track] for track in table.track_of_row), track_of_row=rows
    )
    groups = [str(row) for row in rows]
    fold = folds_of(groups, each_row_a_track.label_of_track, N_FOLDS, seed)[0]
    fit = fit_genre(each_row_a_track, fold.train, seed, n_epochs=n_epochs)
    answers = fit.logits(table.features[fold.test]).argmax(axis=1)
    return round(float((answers == table.label_of_row[fold.test]).mean()), 3)


def source_disjoint(table: FeatureTable, seed: int, n_epochs: int | None) -> Figures:
    """Return the figures of tracks when whole collections are held out, with all that their artists did elsewhere.

    A genre that comes from few collections may be recognised by how these were produced and encoded.
    """
    artists = artists_of(table.tracks)
    answers = held_out(table, joined(sources_of(table.tracks), artists), seed, n_epochs=n_epochs)
    return figures_of(track_log_posterior(table, answers.log_posterior), table.label_of_track, artists)


def gate_figures(table: FeatureTable, answers: HeldOut) -> dict[str, float]:
    """Return what the gate does to windows of music: those of each fold meet the thresholds of the other folds."""
    confidence, is_right = np.exp(answers.log_posterior).max(axis=1), _is_right(table, answers)
    is_refused, is_unsure = np.zeros(len(confidence), dtype=bool), np.zeros(len(confidence), dtype=bool)
    for fold in answers.folds:
        test = np.isin(table.track_of_row, fold.test)
        logits, labels = answers.logits[~test], table.label_of_row[~test]
        far, unsure = thresholds_of(logits, labels, temperature_of(logits, labels), answers.distances[~test])
        is_refused[test] = answers.distances[test] > far
        is_unsure[test] = ~is_refused[test] & (confidence[test] < unsure)
    shares = {"refused": is_refused, "uncertain": is_unsure, "sure_accuracy": is_right[~is_refused & ~is_unsure]}
    return {name: round(float(share.mean()), 3) for name, share in shares.items()}


class _Tallies:
    """Counts of each artist, so that a bootstrap is a sum."""

    def __init__(self, log_probabilities: np.ndarray, labels: np.ndarray, group: np.ndarray, n_groups: int) -> None:
        n_genres = log_probabilities.shape[1]
        ranks = (-log_probabilities).argsort(axis=1, kind="stable")
        self._confusion = np.zeros((n_groups, n_genres, n_genres))
        np.add.at(self._confusion, (group, labels, ranks[:, 0]), 1)
        self._losses = np.bincount(group, -log_probabilities[np.arange(len(labels)), labels], n_groups)
        self._top_3 = np.bincount(group, (ranks[:, :3] == labels[:, np.newaxis]).any(axis=1), n_groups)

    def figures(self, times: np.ndarray) -> dict[str, float]:
        """Return the figures when each artist is counted so many times."""
        confusion = np.tensordot(times, self._confusion, axes=1)
        right, actual, answered = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
        occurs = actual > 0
        total = actual.sum()
        return {
            "accuracy": right.sum() / total,
            "macro_f1": float(np.mean((2 * right / np.maximum(actual + answered, 1))[occurs])),
            "mean_recall": float(np.mean((right / np.maximum(actual, 1))[occurs])),
            "log_loss": times @ self._losses / total,
            "top_3": times @ self._top_3 / total,
        }


def _calibrated(table: FeatureTable, logits: np.ndarray, folds: Sequence[Fold]) -> np.ndarray:
    calibrated = np.zeros(logits.shape)
    for fold in folds:
        test = np.isin(table.track_of_row, fold.test)
        known = table.is_untouched & ~test
        temperature = temperature_of(logits[known], table.label_of_row[known])
        calibrated[test] = log_posterior(logits[test], temperature)
    return calibrated


def _is_right(table: FeatureTable, answers: HeldOut) -> np.ndarray:
    return np.asarray(answers.log_posterior.argmax(axis=1) == table.label_of_row)


def _with_genre(track: Track, genre: str) -> Track:
    return msgspec.structs.replace(track, genre=genre)
