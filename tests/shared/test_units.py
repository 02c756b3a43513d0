"""Conversions between units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.shared.units import amplitude_to_db, db_to_amplitude, samples_to_s


@given(gain_db=st.floats(-200, 200))
def test_a_gain_is_its_factor_and_back(gain_db: float) -> None:
    """The two conversions are inverse."""
    assert amplitude_to_db(db_to_amplitude(gain_db)) == pytest.approx(gain_db, abs=1e-9)


@given(a_db=st.floats(-100, 100), b_db=st.floats(-100, 100))
def test_gains_add_where_factors_multiply(a_db: float, b_db: float) -> None:
    """One gain after another is their sum in dB."""
    assert db_to_amplitude(a_db) * db_to_amplitude(b_db) == pytest.approx(db_to_amplitude(a_db + b_db))


def test_known_gains() -> None:
    """0 dB is 1, 20 dB is 10, and half is -6.02 dB."""
    assert db_to_amplitude(0.0) == 1.0
    assert db_to_amplitude(20.0) == pytest.approx(10.0)
    assert amplitude_to_db(0.5) == pytest.approx(-6.0206, abs=1e-4)


def test_a_second_has_as_many_samples_as_the_rate_says() -> None:
    """48000 samples at 48 kHz last 1 s."""
    assert samples_to_s(48_000, 48_000) == 1.0
    assert samples_to_s(0, 44_100) == 0.0
