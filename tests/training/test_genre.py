"""The recipe of the genre model and the protocol that judges it, on the real excerpts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from soundsage.training.data import GENRES
from soundsage.training.evaluate import (
    figures_of,
    gate_figures,
    held_out,
    leaking_accuracy,
    permuted_recall,
    track_log_posterior,
)
from soundsage.training.genre import GENRE_SETTINGS, N_SELECTED, fit_genre, stopping_epoch
from soundsage.training.network import n_parameters
from soundsage.training.outliers import outlier_features
from soundsage.training.split import artists_of, folds_of
from soundsage.training.table import FeatureTable, rows_of, untouched


@pytest.fixture(scope="module")
def music(excerpts: FeatureTable) -> FeatureTable:
    """Return the untouched rows."""
    return untouched(excerpts)


def test_nothing_of_the_test_tracks_reaches_the_model(music: FeatureTable) -> None:
    """Replacing all features of the test tracks by nonsense changes neither selection, scaling nor weights."""
    fold = folds_of(artists_of(music.tracks), music.label_of_track, 5, 440)[0]
    features = music.features.copy()
    features[rows_of(music, fold.test)] = 1e6
    changed = dataclasses.replace(music, features=features)
    fits = [fit_genre(table, fold.train, 440, n_epochs=1) for table in (music, changed)]

    for name in ("selected", "mean", "scale"):
        np.testing.assert_array_equal(getattr(fits[0], name), getattr(fits[1], name))
    np.testing.assert_array_equal(fits[0].layers[0][0], fits[1].layers[0][0])


def test_equalised_rows_do_not_reach_the_genre_model(excerpts: FeatureTable, music: FeatureTable) -> None:
    """The model of a table is that of its untouched rows, so that both recipes speak of one genre model."""
    tracks = np.arange(40)
    fits = [fit_genre(table, tracks, 440, n_epochs=1) for table in (excerpts, music)]

    np.testing.assert_array_equal(fits[0].layers[-1][0], fits[1].layers[-1][0])


def test_the_network_is_the_one_of_the_recipe(music: FeatureTable) -> None:
    """60 inputs, hidden layers of 256, 128 and 64, eight outputs; every selected feature is one of the 80."""
    fit = fit_genre(music, np.arange(len(music.tracks)), 440, n_epochs=1)

    assert [weight.shape for weight, _ in fit.layers] == [(256, 60), (128, 256), (64, 128), (8, 64)]
    assert n_parameters(fit.layers) == 57_288
    assert sorted(set(fit.selected.tolist())) == fit.selected.tolist()
    assert len(fit.selected) == N_SELECTED


def test_random_genres_are_recognised_at_chance(music: FeatureTable) -> None:
    """With a random genre for each track the mean recall is one eighth: the protocol leaks nothing."""
    _, low, high = permuted_recall(music, 440)

    assert low < 1 / len(GENRES) < high
    assert high < 0.25


def test_real_genres_are_recognised_above_chance(music: FeatureTable) -> None:
    """After a few epochs artists that were never heard are recognised better than by the most frequent genre."""
    artists = artists_of(music.tracks)
    answers = held_out(music, artists, 440, n_epochs=4)
    figures = figures_of(track_log_posterior(music, answers.log_posterior), music.label_of_track, artists)

    assert figures["mean_recall"][1] > 1 / len(GENRES)
    assert figures["accuracy"][0] > 90 / 214


def test_the_gate_of_a_fold_does_not_know_the_fold(music: FeatureTable) -> None:
    """When one fold lies far from all others all of it is refused: its own distances set no threshold of its own."""
    answers = held_out(music, artists_of(music.tracks), 440, n_epochs=1)
    is_far = np.isin(music.track_of_row, answers.folds[0].test)
    far = dataclasses.replace(answers, distances=np.where(is_far, 2.0, 1.0))

    assert gate_figures(music, far)["refused"] == pytest.approx(is_far.mean(), abs=5e-4)


def test_the_leaking_protocol_flatters_grossly(music: FeatureTable) -> None:
    """Windows of one track on both sides give an accuracy that no new artist gets: why we do not do it."""
    answers = held_out(music, artists_of(music.tracks), 440, n_epochs=4)
    honest = (answers.logits.argmax(axis=1) == music.label_of_row).mean()

    assert leaking_accuracy(music, 440, 4) > honest + 0.1


def test_the_stopping_epoch_lies_within_the_schedule(music: FeatureTable) -> None:
    """A schedule of three epochs stops after one to three."""
    settings = dataclasses.replace(GENRE_SETTINGS, n_epochs=3)

    assert 1 <= stopping_epoch(music, np.arange(len(music.tracks)), 440, settings) <= 3


def test_figures_are_those_of_the_textbook() -> None:
    """Accuracy, macro-F1 and log-loss agree with scikit-learn, and lie in their intervals."""
    generator = np.random.default_rng(440)
    logits = generator.normal(size=(300, 8))
    labels = np.where(generator.random(300) < 0.5, logits.argmax(axis=1), generator.integers(8, size=300))
    rows = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    figures = figures_of(rows, labels, [str(artist) for artist in generator.integers(60, size=300)])
    answers = rows.argmax(axis=1)

    assert figures["accuracy"][0] == pytest.approx(accuracy_score(labels, answers), abs=5e-4)
    assert figures["macro_f1"][0] == pytest.approx(f1_score(labels, answers, average="macro"), abs=5e-4)
    assert figures["log_loss"][0] == pytest.approx(log_loss(labels, np.exp(rows), labels=range(8)), abs=5e-4)
    for value, low, high in figures.values():
        assert low < value < high


def test_fewer_artists_give_wider_intervals() -> None:
    """The same answers by five artists are worth less than by sixty."""
    generator = np.random.default_rng(440)
    rows = np.log(generator.dirichlet(np.ones(8), size=300))
    labels = np.arange(300) // 60
    widths = []
    for n_artists in (5, 60):
        _, low, high = figures_of(rows, labels, [str(i * n_artists // 300) for i in range(300)])["log_loss"]
        _, low_f1, high_f1 = figures_of(rows, labels, [str(i * n_artists // 300) for i in range(300)])["macro_f1"]
        widths.append((high - low) + (high_f1 - low_f1))

    assert widths[0] > widths[1]


def test_outliers_depend_on_their_seed_alone() -> None:
    """Six sounds come out twice the same, and other seeds give others."""
    one, two, other = outlier_features(6, 1), outlier_features(6, 1), outlier_features(6, 2)

    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert np.isfinite(one).all()
