"""Windows of rows to features: names, definitions, and what a change of level leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from soundsage.shared.features import FEATURE_NAMES, FEATURE_TABLE, LEVEL_FLOOR_DB, kernel
from soundsage.shared.features.analyser import kernel_settings
from soundsage.shared.features.descriptors import BANDS, DESCRIPTOR_NAMES, MEAN_SQUARE, N_BANDS, ROW_LENGTH
from soundsage.shared.features.statistics import LEVEL_RANGE_DB, WindowSummary

if TYPE_CHECKING:
    from soundsage.shared.features.filterbanks import Matrix

LEVEL = DESCRIPTOR_NAMES.index("level_db")


def summary_of(rows: Matrix, oldest: int = 0) -> WindowSummary:
    """Return what rows say, which begin with the oldest one and go on at the beginning."""
    results = np.empty(len(FEATURE_NAMES) + N_BANDS, dtype=np.float32)
    level_db = kernel._summarise(rows, oldest, kernel_settings(), np.empty((2, ROW_LENGTH)), results)
    return WindowSummary(*np.split(results, [len(FEATURE_NAMES)]), level_db)


@pytest.fixture
def rows() -> Matrix:
    """Return a window of random rows."""
    return np.random.default_rng(440).random((126, ROW_LENGTH))


def test_there_are_eighty_features_with_different_names() -> None:
    """The features are eighty, each a descriptor and a statistic, and no name occurs twice."""
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == 80
    assert {descriptor for descriptor, _ in FEATURE_TABLE} == set(DESCRIPTOR_NAMES)


def test_features_are_means_and_standard_deviations(rows: Matrix) -> None:
    """All features but the mean level are the mean or the standard deviation of their descriptor."""
    features = summary_of(rows).features
    expected = {"mean": rows.mean(axis=0), "std": rows.std(axis=0)}

    for value, (descriptor, statistic) in zip(features, FEATURE_TABLE, strict=True):
        if statistic in expected:
            column = DESCRIPTOR_NAMES.index(descriptor)
            np.testing.assert_allclose(value, expected[statistic][column], rtol=1e-6)


def test_the_mean_level_is_relative_to_the_loudest_frame(rows: Matrix) -> None:
    """The mean level is the mean minus the maximum."""
    value = summary_of(rows).features[FEATURE_NAMES.index("level_db_mean_below_max")]

    np.testing.assert_allclose(value, rows[:, LEVEL].mean() - rows[:, LEVEL].max(), rtol=1e-6)


def test_a_pause_counts_the_same_whether_quiet_or_empty(rows: Matrix) -> None:
    """Frames far below the loudest one all count as the level range below it."""
    rows[:50, LEVEL] = -LEVEL_RANGE_DB - 10.0
    quiet = summary_of(rows).features
    rows[:50, LEVEL] = -160.0

    np.testing.assert_array_equal(summary_of(rows).features, quiet)


def test_the_band_levels_have_mean_zero(rows: Matrix) -> None:
    """Band levels are relative to their mean."""
    np.testing.assert_allclose(summary_of(rows).bands_db.mean(), 0.0, atol=1e-6)


def test_a_band_of_ten_times_the_power_is_ten_db_higher(rows: Matrix) -> None:
    """Band levels are those of the mean power."""
    rows[:, BANDS] = 1.0
    rows[:, BANDS.start + 7] = np.tile([0.0, 20.0], 63)
    bands_db = summary_of(rows).bands_db

    np.testing.assert_allclose(bands_db[7] - bands_db[0], 10.0, atol=1e-5)


def test_the_level_is_that_of_the_mean_power(rows: Matrix) -> None:
    """The level of a window averages power, and silence has the lowest level."""
    rows[:, MEAN_SQUARE] = np.tile([0.0, 0.02], 63)
    np.testing.assert_allclose(summary_of(rows).level_db, -20.0)

    rows[:, MEAN_SQUARE] = 0.0
    assert summary_of(rows).level_db == LEVEL_FLOOR_DB


@pytest.mark.parametrize("oldest", [1, 64, 125])
def test_it_does_not_matter_where_in_the_ring_a_window_begins(rows: Matrix, oldest: int) -> None:
    """Rows in the order of time give the same summary from any place of the ring, bit for bit."""
    summary, expected = summary_of(np.roll(rows, oldest, axis=0), oldest), summary_of(rows)

    np.testing.assert_array_equal(summary.features, expected.features)
    np.testing.assert_array_equal(summary.bands_db, expected.bands_db)
    assert summary.level_db == expected.level_db
