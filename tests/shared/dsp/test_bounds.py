"""Whatever is asked for, what is rendered stays within the limits."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.shared.dsp import EqBand, bound_bands, design, graphic_bands, headroom_db, response_db

AUDIBLE_HZ = np.geomspace(20.0, 20_000.0, 20_000)

bands = st.builds(
    EqBand,
    kind=st.sampled_from(("peaking", "low_shelf", "high_shelf")),
    frequency_hz=st.floats(10.0, 20_000.0),
    gain_db=st.floats(-24.0, 24.0),
    q=st.floats(0.1, 20.0),
)
curves = st.lists(bands, max_size=16)


@settings(max_examples=50)
@given(curves, st.floats(0.5, 12.0))
def test_no_audible_frequency_is_moved_by_more_than_the_limit(some: list[EqBand], limit_db: float) -> None:
    """No audible frequency is moved by more than the limit."""
    bounded, _ = bound_bands(some, limit_db)

    # 0.05 dB for peaks that fall between the points at which the sum is evaluated.
    assert np.max(np.abs(response_db(design(bounded, 48_000), AUDIBLE_HZ, 48_000))) <= limit_db + 0.05


@settings(max_examples=50)
@given(curves)
def test_bounding_twice_changes_nothing_more(some: list[EqBand]) -> None:
    """Bounding twice changes nothing more."""
    bounded, _ = bound_bands(some)

    assert bound_bands(bounded) == (bounded, 0)


@given(curves)
def test_bounding_only_lowers_gains(some: list[EqBand]) -> None:
    """Bounding only lowers gains: kinds, frequencies, q and signs stay, and it counts what it changed."""
    bounded, n_bounded = bound_bands(some)

    for after, before in zip(bounded, some, strict=True):
        assert (after.kind, after.frequency_hz, after.q) == (before.kind, before.frequency_hz, before.q)
        assert abs(after.gain_db) <= abs(before.gain_db)
        assert after.gain_db * before.gain_db >= 0.0
    assert n_bounded == sum(after != before for after, before in zip(bounded, some, strict=True))


def test_a_curve_within_the_limit_is_returned_as_it_is() -> None:
    """A curve within the limit is returned as it is."""
    curve = graphic_bands([3, 0, -3, 0, 3, 0, -3, 0, 3, 0])

    assert bound_bands(curve) == (curve, 0)


def test_bands_that_add_up_are_scaled_by_one_factor() -> None:
    """Bands that add up are scaled by one factor, until their sum is just below the limit."""
    bounded, n_bounded = bound_bands([EqBand("peaking", 1000.0, 6.0, 1.0), EqBand("peaking", 1000.0, 3.0, 1.0)])

    assert n_bounded == 2
    assert bounded[0].gain_db == pytest.approx(4.0, abs=0.01)
    assert bounded[0].gain_db == pytest.approx(2.0 * bounded[1].gain_db)


def test_seventeen_bands_are_refused() -> None:
    """Seventeen bands are refused."""
    with pytest.raises(ValueError, match="bands must be at most 16, got 17"):
        bound_bands([EqBand("peaking", 1000.0, 1.0, 1.0)] * 17)


def test_a_band_made_not_finite_behind_its_back_is_refused() -> None:
    """A band made not finite behind its back is refused."""
    band = EqBand("peaking", 1000.0, 1.0, 1.0)
    msgspec.structs.force_setattr(band, "gain_db", math.nan)

    with pytest.raises(ValueError, match=r"bands\[0\] must be finite"):
        bound_bands([band])


@pytest.mark.parametrize("limit_db", [0.0, -1.0, math.nan, math.inf])
def test_a_limit_that_limits_nothing_is_refused(limit_db: float) -> None:
    """A limit that limits nothing, or everything, is refused."""
    with pytest.raises(ValueError, match="limit_db must be a positive number"):
        bound_bands([], limit_db)


@settings(max_examples=50)
@given(curves)
def test_with_headroom_the_highest_peak_is_0_db(some: list[EqBand]) -> None:
    """With headroom the highest peak of a curve is 0 dB, and a curve that only cuts is not raised."""
    frequencies = np.concatenate(([0.0], np.geomspace(1.0, 24_000.0, 20_000)))
    highest_db = float(np.max(response_db(design(some, 48_000), frequencies, 48_000)))

    assert headroom_db(some, 48_000) == pytest.approx(-max(0.0, highest_db), abs=0.05)


def test_a_flat_curve_needs_no_headroom() -> None:
    """A flat curve needs no headroom."""
    assert headroom_db([], 44_100) == 0.0
