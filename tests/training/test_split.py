"""Divisions of tracks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.training.data import GENRES
from soundsage.training.split import Fold, artists_of, checksum_of, folds_of, joined, median_stop, require_disjoint
from soundsage.training.table import FeatureTable

examples = st.lists(st.tuples(st.integers(0, 12), st.integers(0, len(GENRES) - 1)), min_size=20, max_size=80)


@settings(deadline=None, max_examples=50)
@given(tracks=examples.filter(lambda tracks: len({group for group, _ in tracks}) >= 5), seed=st.integers(0, 100))
def test_no_group_is_in_training_and_test_and_every_track_is_tested_once(
    tracks: list[tuple[int, int]], seed: int
) -> None:
    """Whatever the artists and genres are, folds are disjoint in artists and cover all tracks."""
    groups = [str(group) for group, _ in tracks]
    folds = folds_of(groups, np.array([label for _, label in tracks]), 5, seed)

    for fold in folds:
        assert not {groups[i] for i in fold.train} & {groups[i] for i in fold.test}
        assert sorted([*fold.train, *fold.test]) == list(range(len(tracks)))
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(tracks)))


def test_a_shared_artist_is_refused() -> None:
    """A fold with one artist on both sides cannot be used."""
    with pytest.raises(ValueError, match="must share no group, got a in both"):
        require_disjoint(["a", "b", "a"], Fold(np.array([0, 1]), np.array([2])))


def test_fewer_artists_than_folds_are_refused() -> None:
    """Five folds need five artists."""
    with pytest.raises(ValueError, match="at least 5, got 2"):
        folds_of(["a", "b", "b"], np.zeros(3, np.int64), 5, 440)


def test_every_fold_tests_the_frequent_genres(excerpts: FeatureTable) -> None:
    """Genres with at least five artists are in every fold, as evenly as their artists allow."""
    folds = folds_of(artists_of(excerpts.tracks), excerpts.label_of_track, 5, 440)
    counts = np.stack([np.bincount(excerpts.label_of_track[fold.test], minlength=8) for fold in folds])

    for genre in ("Classical", "Electronic", "Experimental"):
        column = counts[:, GENRES.index(genre)]
        assert column.min() >= 1
        assert column.max() - column.min() <= 2


def test_the_checksum_tells_splits_apart(excerpts: FeatureTable) -> None:
    """The same seed gives the same sum, another seed another one."""
    sums = [
        checksum_of(excerpts.tracks, folds_of(artists_of(excerpts.tracks), excerpts.label_of_track, 5, seed))
        for seed in (440, 440, 441)
    ]

    assert sums[0] == sums[1] != sums[2]


def test_the_stop_is_the_median_of_three_divisions(excerpts: FeatureTable) -> None:
    """Each division is asked once, none sees an artist twice nor a track outside training, and the middle holds."""
    artists, known = artists_of(excerpts.tracks), np.arange(0, 200)
    stops = iter((9, 1, 4))

    def stop(train: np.ndarray, validation: np.ndarray) -> int:
        assert set(train) | set(validation) == set(known)
        require_disjoint(artists, Fold(train, validation))
        return next(stops)

    assert median_stop(excerpts.tracks, excerpts.label_of_track, known, 440, stop) == 4


@given(pairs=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), min_size=1, max_size=12))
def test_joined_groups_share_no_group_of_either_kind(pairs: list[tuple[str, str]]) -> None:
    """Two tracks that share a collection or an artist are in one group, whatever stands between them."""
    groups = joined(*zip(*pairs, strict=True))

    for index, pair in enumerate(pairs):
        for other, group in zip(pairs, groups, strict=True):
            assert group == groups[index] or not set(pair) & set(other)
