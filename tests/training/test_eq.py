"""The recipe of the EQ model and what judges it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from soundsage.training.degrade import LIMIT_DB
from soundsage.training.eq import EQ_INPUTS, eq_inputs, eq_targets, fit_eq
from soundsage.training.evaluate import held_out
from soundsage.training.network import n_parameters
from soundsage.training.repair import HEARD_HZ, eq_held_out, fold_posterior, repair_of, repair_of_genres
from soundsage.training.split import artists_of
from soundsage.training.table import FeatureTable, rows_of


def flat_posterior(table: FeatureTable) -> np.ndarray:
    """Return the same probability for every genre."""
    return np.full((len(table.features), 8), 0.125)


def test_the_target_undoes_the_curve_but_for_its_mean() -> None:
    """Curve and target add up to a constant, and untouched music has the target zero."""
    gains_db = np.random.default_rng(440).uniform(-6, 6, (5, 10))
    total = gains_db + eq_targets(gains_db)

    np.testing.assert_allclose(total, np.broadcast_to(gains_db.mean(axis=1, keepdims=True), total.shape), atol=1e-6)
    assert not eq_targets(np.zeros((1, 10))).any()


def test_doing_nothing_repairs_nothing_and_harms_nothing(excerpts: FeatureTable) -> None:
    """The baseline of all baselines has the equalisation's own error, and no other."""
    figures = repair_of(excerpts, np.zeros_like(excerpts.gains_db))

    assert figures["removed"] == figures["added"] == [0.0, 0.0, 0.0]
    assert figures["left"][0] > 1.0


def test_the_right_answer_leaves_nothing(excerpts: FeatureTable) -> None:
    """Proposing the opposite of each curve removes all error; being off by a constant does not count."""
    figures = repair_of(excerpts, 0.7 - excerpts.gains_db)

    assert figures["left"][2] == pytest.approx(0.0, abs=1e-6)
    assert figures["removed"] == repair_of(excerpts, np.zeros_like(excerpts.gains_db))["left"]


def test_a_wrong_answer_counts_as_harm(excerpts: FeatureTable) -> None:
    """One decibel up and down on untouched music is one decibel added, in every genre."""
    zigzag = np.tile([1.0, -1.0] * 5, (len(excerpts.features), 1))

    assert repair_of(excerpts, zigzag)["added"][0] == pytest.approx(1.0)
    assert {row["added"] for row in repair_of_genres(excerpts, zigzag).values()} == {1.0}


def test_the_outer_bands_are_not_judged(excerpts: FeatureTable) -> None:
    """Features end at 10 kHz and begin near 40 Hz: what is done outside neither counts for nor against."""
    outer = np.zeros_like(excerpts.gains_db)
    outer[:, [0, -1]] = 6.0

    assert repair_of(excerpts, outer)["added"] == [0.0, 0.0, 0.0]
    assert HEARD_HZ[0] == 62.5
    assert HEARD_HZ[-1] == 8000.0


def test_the_network_is_small_and_keeps_its_limit(excerpts: FeatureTable) -> None:
    """Fewer than 50,000 parameters; whatever it is given, no gain exceeds the limit."""
    inputs = eq_inputs(excerpts, flat_posterior(excerpts))
    fit = fit_eq(excerpts, inputs, np.arange(60), 440, n_epochs=2)

    assert inputs.shape[1] == len(EQ_INPUTS) == 112
    assert n_parameters(fit.layers) < 50_000
    assert np.abs(fit.gains_db(1e3 * inputs)).max() <= LIMIT_DB


def test_nothing_of_the_test_tracks_reaches_the_model(excerpts: FeatureTable) -> None:
    """Nonsense in place of the other tracks' inputs and curves changes neither scaling nor weights."""
    inputs = eq_inputs(excerpts, flat_posterior(excerpts))
    other = excerpts.track_of_row >= 60
    changed_inputs = np.where(other[:, np.newaxis], np.float32(1e6), inputs)
    gains_db = np.where(other[:, np.newaxis], np.float32(3.0), excerpts.gains_db)
    changed = dataclasses.replace(excerpts, gains_db=gains_db)
    fits = [
        fit_eq(table, rows, np.arange(60), 440, n_epochs=1)
        for table, rows in ((excerpts, inputs), (changed, changed_inputs))
    ]

    np.testing.assert_array_equal(fits[0].scale, fits[1].scale)
    np.testing.assert_array_equal(fits[0].layers[0][0], fits[1].layers[0][0])


def test_the_test_artists_of_a_fold_do_not_reach_its_genre_probabilities(excerpts: FeatureTable) -> None:
    """Nonsense in place of a fold's test tracks changes no probability of its training rows."""
    genres = held_out(excerpts, artists_of(excerpts.tracks), 440, n_epochs=1)
    train, test = (rows_of(excerpts, tracks) for tracks in (genres.folds[0].train, genres.folds[0].test))
    features = excerpts.features.copy()
    features[test] = 1e6
    nonsense = dataclasses.replace(excerpts, features=features)
    posteriors = [fold_posterior(table, genres, 0, 440) for table in (excerpts, nonsense)]

    np.testing.assert_array_equal(posteriors[0][train], posteriors[1][train])
    np.testing.assert_allclose(posteriors[0].sum(axis=1), 1.0)


def test_the_model_repairs_new_artists_and_harms_less_than_matching_a_mean(excerpts: FeatureTable) -> None:
    """On artists that it never heard it removes something, and adds far less than moving songs to a mean spectrum."""
    genres = held_out(excerpts, artists_of(excerpts.tracks), 440, n_epochs=2)
    answers = eq_held_out(excerpts, genres, 440, n_epochs=8)
    figures = {method: repair_of(excerpts, gains_db) for method, gains_db in answers.gains_db.items()}

    assert figures["model"]["removed"][1] > 0.0
    assert figures["model"]["added"][2] < 0.2 * figures["to the mean of the genre"]["added"][1]
    assert figures["to the mean of all"]["removed"][2] < 0.0
