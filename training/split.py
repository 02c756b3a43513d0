"""Divide tracks so that nothing of what is tested was heard in training.

Conventions
-----------
A group is what must not be shared: an artist, in whatever spelling, or a collection. Folds are over tracks, each tested
exactly once.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from .data import GENRES, artist_key, source_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .data import Track

__all__ = ["Fold", "artists_of", "checksum_of", "folds_of", "joined", "median_stop", "require_disjoint", "sources_of"]


_N_VALIDATION_PARTS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Fold:
    """One division.

    Attributes
    ----------
    train, test : ndarray of shape (n,), int64
        Indices of tracks, sorted.
    """

    train: np.ndarray
    test: np.ndarray


def artists_of(tracks: Sequence[Track]) -> tuple[str, ...]:
    """Return the artist of each track, one spelling each."""
    return tuple(artist_key(track.artist) for track in tracks)


def sources_of(tracks: Sequence[Track]) -> tuple[str, ...]:
    """Return the collection that each track stands in."""
    return tuple(source_key(track.source) for track in tracks)


def joined(groups: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return groups so wide that tracks which share a group of either kind, or a chain of these, are in one.

    Examples
    --------
    >>> joined(("a", "a", "b", "c"), ("x", "y", "y", "z"))
    ('a', 'a', 'a', 'c')
    """
    names = list(groups)
    for other in others:
        touched = {name for name, its in zip(names, others, strict=True) if its == other}
        names = [min(touched) if name in touched else name for name in names]
    return tuple(names)


def folds_of(groups: Sequence[str], labels: np.ndarray, n_folds: int, seed: int) -> tuple[Fold, ...]:
    """Return folds that share no group and have about the same number of tracks of each label.

    Parameters
    ----------
    groups : sequence of str
        Of each track.
    labels : ndarray of shape (n_tracks,), int64
        Of each track.
    n_folds : int
        At most as many as there are groups.
    seed : int
        Orders groups of equal size.

    Raises
    ------
    ValueError
        If there are fewer groups than folds.

    Notes
    -----
    Groups are dealt out from the largest to the smallest, each to the fold that has the smallest share of its labels.
    """
    names = sorted(set(groups))
    if len(names) < n_folds:
        raise ValueError(f"groups must be at least {n_folds}, got {len(names)}")
    members = [np.array([index for index, group in enumerate(groups) if group == name]) for name in names]
    np.random.default_rng(seed).shuffle(members)
    members.sort(key=len, reverse=True)
    fold_of_track = _dealt(members, labels, n_folds)
    folds = tuple(Fold(np.flatnonzero(fold_of_track != k), np.flatnonzero(fold_of_track == k)) for k in range(n_folds))
    for fold in folds:
        require_disjoint(groups, fold)
    return folds


def require_disjoint(groups: Sequence[str], fold: Fold) -> None:
    """Refuse a fold whose tracks in training and test share a group.

    Raises
    ------
    ValueError
        If they do.
    """
    shared = {groups[index] for index in fold.train} & {groups[index] for index in fold.test}
    if shared:
        raise ValueError(f"train and test must share no group, got {', '.join(sorted(shared)[:3])} in both")


def checksum_of(tracks: Sequence[Track], folds: Sequence[Fold]) -> str:
    """Return a SHA-256 that two splits share exactly if they test the same files in the same folds."""
    lines = [f"{number}\t{tracks[index].file}" for number, fold in enumerate(folds) for index in fold.test]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def median_stop(
    tracks: Sequence[Track],
    labels: np.ndarray,
    train_tracks: np.ndarray,
    seed: int,
    stop: Callable[[np.ndarray, np.ndarray], int],
) -> int:
    """Return when to stop training: the median over three divisions of the artists of the training tracks.

    With few artists a single division says little.

    Parameters
    ----------
    tracks, labels : sequence of Track, ndarray of shape (n_tracks,)
        Of the whole table.
    train_tracks : ndarray of int64
        What may be looked at.
    seed : int
    stop : callable
        `stop(known, validation)` trains on the one and returns the epoch that was best on the other.
    """
    artists = artists_of(tracks)
    parts = folds_of([artists[index] for index in train_tracks], labels[train_tracks], _N_VALIDATION_PARTS, seed)
    return sorted(stop(train_tracks[part.train], train_tracks[part.test]) for part in parts)[len(parts) // 2]


def _dealt(members: list[np.ndarray], labels: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each track."""
    counts = np.zeros((n_folds, len(GENRES)))
    totals = np.maximum(np.bincount(labels, minlength=len(GENRES)), 1)
    fold_of_track = np.empty(len(labels), dtype=np.int64)
    for member in members:
        added = np.bincount(labels[member], minlength=len(GENRES))
        # Where the labels of this group are rarest; then where there are the fewest tracks.
        crowded = (counts / totals) @ (added / added.sum())
        fold = np.lexsort((counts.sum(axis=1), np.round(crowded, 9)))[0]
        counts[fold] += added
        fold_of_track[member] = fold
    return fold_of_track
