"""Levels for meters, against theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.shared.features import LEVEL_FLOOR_DB, levels_of, peak_db, rms_db

PERIODS = np.sin(2 * np.pi * np.arange(4800) / 48).astype(np.float32)


def test_a_full_scale_sine_has_three_db_less_rms_than_peak() -> None:
    """A full-scale sine has a peak of 0 dBFS and an RMS level of -3.01 dBFS."""
    rms, peak = levels_of(PERIODS[np.newaxis])

    np.testing.assert_allclose(rms, [-3.0103], atol=1e-4)
    np.testing.assert_allclose(peak, [0.0], atol=1e-4)


def test_every_channel_has_its_own_level() -> None:
    """A channel at half the amplitude is 6.02 dB lower, whatever the others do."""
    samples = np.stack((PERIODS, 0.5 * PERIODS, 0.0 * PERIODS))

    np.testing.assert_allclose(peak_db(samples), [0.0, -6.0206, LEVEL_FLOOR_DB], atol=1e-4)
    np.testing.assert_allclose(rms_db(samples), [-3.0103, -9.0309, LEVEL_FLOOR_DB], atol=1e-4)


def test_a_negative_peak_counts() -> None:
    """The peak is the largest magnitude, and above full scale it is above 0 dBFS."""
    np.testing.assert_allclose(peak_db(np.array([[0.1, -2.0]])), [6.0206], atol=1e-4)


@given(st.floats(min_value=-100.0, max_value=20.0))
def test_a_gain_moves_both_levels_by_itself(gain_db: float) -> None:
    """Levels follow a gain in dB exactly, within float32."""
    before = levels_of(PERIODS[np.newaxis])
    after = levels_of((PERIODS * 10 ** (gain_db / 20)).astype(np.float32)[np.newaxis])

    np.testing.assert_allclose(np.subtract(after, before), gain_db, atol=1e-4)


@pytest.mark.parametrize("shape", [(480,), (2, 0), (0, 480)])
def test_samples_without_channels_or_time_are_refused(shape: tuple[int, ...]) -> None:
    """Nothing has no level."""
    with pytest.raises(ValueError, match="samples must be of shape"):
        levels_of(np.zeros(shape, dtype=np.float32))
