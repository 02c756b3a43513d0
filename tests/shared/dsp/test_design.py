"""Sections do what the theory of their analogue prototypes says, at every rate and for every band."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from soundsage.shared.dsp import N_SECTIONS, EqBand, analogue_response, design, design_band, response, response_db
from soundsage.shared.dsp.bands import Kind
from soundsage.shared.dsp.design import HIGHEST_FREQUENCY, is_stable

UNITY = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
KINDS: tuple[Kind, ...] = ("peaking", "low_shelf", "high_shelf")
CORNERS_HZ = (31.25, 125.0, 1000.0, 4000.0, 8000.0, 10_000.0, 12_500.0, 14_000.0, 16_000.0)

sample_rates = st.one_of(st.sampled_from((8000, 16_000, 44_100, 48_000, 96_000, 192_000)), st.integers(8000, 192_000))


def bands(kinds: tuple[Kind, ...] = KINDS) -> st.SearchStrategy[EqBand]:
    """Return any band that can exist."""
    return st.builds(
        EqBand,
        kind=st.sampled_from(kinds),
        frequency_hz=st.floats(10.0, 24_000.0),
        gain_db=st.floats(-24.0, 24.0),
        q=st.floats(0.1, 20.0),
    )


def worst_error_db(band: EqBand, sample_rate: int) -> float:
    """Return the largest deviation from the analogue prototype up to 20 kHz, in dB."""
    frequencies = np.geomspace(10.0, min(20_000.0, 0.499 * sample_rate), 1500)
    ideal = 20.0 * np.log10(np.abs(analogue_response(band, frequencies)))
    return float(np.max(np.abs(response_db(design([band], sample_rate), frequencies, sample_rate) - ideal)))


@given(bands(), sample_rates)
def test_every_band_is_stable_and_minimum_phase_at_every_rate(band: EqBand, sample_rate: int) -> None:
    """Every band is stable and minimum phase at every rate."""
    section = design_band(band, sample_rate)
    inverse = np.concatenate((section[3:], section[:3])) / section[0]

    assert is_stable(section)
    assert is_stable(inverse)


@given(bands(("peaking",)), sample_rates)
def test_a_peaking_band_has_its_gain_at_its_frequency(band: EqBand, sample_rate: int) -> None:
    """A peaking band has its gain at its frequency."""
    if band.frequency_hz >= HIGHEST_FREQUENCY * sample_rate:
        return

    # The narrowest bells at 10 Hz and 192 kHz lose digits: their poles lie 1e-6 from the unit circle.
    assert response_db(design([band], sample_rate), band.frequency_hz, sample_rate) == pytest.approx(
        band.gain_db, abs=2e-3
    )


@pytest.mark.parametrize("frequency_hz", [100.0, 1000.0, 5000.0])
def test_a_peaking_band_is_nearly_0_db_four_octaves_away(frequency_hz: float) -> None:
    """A peaking band is nearly 0 dB four octaves away, where its prototype is within 0.1 dB."""
    sos = design([EqBand("peaking", frequency_hz, 6.0, 1.41)], 192_000)

    away = response_db(sos, [frequency_hz / 16.0, frequency_hz * 16.0], 192_000)

    np.testing.assert_allclose(away, 0.0, atol=0.1)


def test_a_peaking_band_has_half_its_gain_at_the_edges_of_its_bandwidth() -> None:
    """A peaking band has half its gain in dB at the edges of its bandwidth, which is its frequency over q."""
    frequency_hz, q = 1000.0, 2.0
    half = 0.5 / q
    edges_hz = frequency_hz * (np.sqrt(1.0 + half**2) + np.array([-half, half]))

    gains_db = response_db(design([EqBand("peaking", frequency_hz, 6.0, q)], 192_000), edges_hz, 192_000)

    np.testing.assert_allclose(gains_db, 3.0, atol=0.01)


@pytest.mark.parametrize(("kind", "edge_hz", "other_hz"), [("low_shelf", 0.0, 23_999.0), ("high_shelf", 23_999.0, 0.0)])
def test_a_shelf_has_its_gain_on_one_side_and_none_on_the_other(kind: Kind, edge_hz: float, other_hz: float) -> None:
    """A shelf has its gain on one side, none on the other, and half of it in dB at its frequency."""
    sos = design([EqBand(kind, 1000.0, -8.0, 0.71)], 48_000)

    gains_db = response_db(sos, [edge_hz, 1000.0, other_hz], 48_000)

    np.testing.assert_allclose(gains_db, [-8.0, -4.0, 0.0], atol=0.02)


@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 96_000])
def test_bells_within_6_db_keep_their_shape_up_to_20_khz(sample_rate: int) -> None:
    """Bells within 6 dB keep the shape of their prototype within 0.7 dB up to 20 kHz, whatever their q."""
    worst = max(
        worst_error_db(EqBand("peaking", frequency_hz, gain_db, q), sample_rate)
        for frequency_hz, gain_db, q in itertools.product(
            CORNERS_HZ, (-6.0, -3.0, 3.0, 6.0), (0.1, 0.5, 1.0, 1.41, 4.0, 20.0)
        )
    )

    assert worst <= 0.7


@pytest.mark.parametrize(
    ("highest_gain_db", "qs", "limit_db"),
    [(6.0, (0.3, 0.5, 0.71, 1.0), 0.4), (24.0, (0.3, 0.5, 0.71, 1.0), 1.0), (6.0, (1.41, 2.0), 1.0)],
)
@pytest.mark.parametrize("kind", ["low_shelf", "high_shelf"])
def test_shelves_keep_their_shape_up_to_20_khz(
    kind: Kind, highest_gain_db: float, qs: tuple[float, ...], limit_db: float
) -> None:
    """Shelves keep the shape of their prototype up to 20 kHz at 44.1 kHz within the limits that are documented."""
    gains_db = highest_gain_db * np.array([-1.0, -0.5, 0.5, 1.0])
    worst = max(
        worst_error_db(EqBand(kind, frequency_hz, float(gain_db), q), 44_100)
        for frequency_hz, gain_db, q in itertools.product(CORNERS_HZ, gains_db, qs)
    )

    assert worst <= limit_db


@given(bands(), sample_rates)
def test_a_cut_undoes_the_boost_of_the_same_band(band: EqBand, sample_rate: int) -> None:
    """A cut undoes the boost of the same band."""
    opposite = EqBand(band.kind, band.frequency_hz, -band.gain_db, band.q)
    frequencies = np.geomspace(20.0, 0.5 * sample_rate, 100)

    both = response(design([band, opposite], sample_rate), frequencies, sample_rate)

    # The same polynomials stand above and below, so only rounding near the narrowest poles is left.
    np.testing.assert_allclose(both, 1.0, atol=1e-6)


@given(st.lists(bands(), min_size=2, max_size=4), sample_rates)
def test_the_order_of_bands_does_not_change_the_response(some: list[EqBand], sample_rate: int) -> None:
    """The order of bands does not change the response."""
    frequencies = np.geomspace(20.0, 0.5 * sample_rate, 50)

    forward = response(design(some, sample_rate), frequencies, sample_rate)

    np.testing.assert_allclose(response(design(some[::-1], sample_rate), frequencies, sample_rate), forward, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_0_db_is_exactly_unity(kind: Kind) -> None:
    """0 dB is exactly unity."""
    assert design_band(EqBand(kind, 1000.0, 0.0, 1.0), 48_000).tolist() == UNITY


@pytest.mark.parametrize("kind", KINDS)
def test_a_band_that_the_rate_cannot_hold_is_unity(kind: Kind) -> None:
    """A band that the rate cannot hold is left out, not moved."""
    assert design_band(EqBand(kind, 3920.0, 6.0, 1.0), 8000).tolist() == UNITY
    assert design_band(EqBand(kind, 3919.0, 6.0, 1.0), 8000).tolist() != UNITY


def test_a_rack_has_all_its_sections_whatever_the_bands() -> None:
    """A rack has all its sections whatever the bands, and the unused ones are unity."""
    sos = design([EqBand("peaking", 1000.0, 6.0, 1.0)], 48_000)

    assert sos.shape == (N_SECTIONS, 6)
    assert sos[1:].tolist() == [UNITY] * (N_SECTIONS - 1)


def test_more_bands_than_sections_are_refused() -> None:
    """More bands than sections are refused."""
    with pytest.raises(ValueError, match="bands must be at most 16, got 17"):
        design([EqBand("peaking", 1000.0, 1.0, 1.0)] * 17, 48_000)


def test_a_sample_rate_of_zero_is_refused() -> None:
    """A sample rate of zero is refused."""
    with pytest.raises(ValueError, match="sample_rate must be positive, got 0"):
        design_band(EqBand("peaking", 1000.0, 1.0, 1.0), 0)


@given(st.lists(bands(), min_size=1, max_size=N_SECTIONS), sample_rates)
def test_the_response_is_that_of_scipy(some: list[EqBand], sample_rate: int) -> None:
    """The response is that of scipy."""
    sos = design(some, sample_rate)
    frequencies = np.geomspace(20.0, 0.49 * sample_rate, 50)

    _, expected = signal.sosfreqz(sos, worN=frequencies, fs=sample_rate)

    # Both evaluate polynomials that nearly vanish beside narrow low bands, in another order.
    np.testing.assert_allclose(response(sos, frequencies, sample_rate), expected, rtol=1e-6)
