"""Bands refuse what cannot be designed, built here or sent by a peer."""

from __future__ import annotations

import itertools
import math

import msgspec
import pytest

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ, GRAPHIC_Q, EqBand, graphic_bands


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e9, -1e9])
@pytest.mark.parametrize("name", ["frequency_hz", "gain_db", "q"])
def test_a_band_refuses_a_number_outside_its_range(name: str, value: float) -> None:
    """A band refuses a number outside its range."""
    numbers = {"frequency_hz": 1000.0, "gain_db": 0.0, "q": 1.0} | {name: value}

    with pytest.raises(ValueError, match=f"{name} must lie in"):
        EqBand("peaking", **numbers)


@pytest.mark.parametrize("name", ["frequency_hz", "gain_db", "q"])
def test_a_band_sent_with_nan_is_refused_while_decoding(name: str) -> None:
    """A band sent with NaN is refused while decoding."""
    fields = {"kind": "peaking", "frequency_hz": 1000.0, "gain_db": 0.0, "q": 1.0} | {name: math.nan}

    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=EqBand)


def test_a_band_refuses_an_unknown_kind() -> None:
    """A band refuses an unknown kind."""
    with pytest.raises(ValueError, match="kind must be peaking, low_shelf or high_shelf, got 'notch'"):
        EqBand("notch", 1000.0, 0.0, 1.0)  # type: ignore[arg-type]  # the mistake under test


def test_the_graphic_bands_are_octaves_apart_up_to_16_khz() -> None:
    """The graphic bands are octaves apart up to 16 kHz."""
    ratios = [high / low for low, high in itertools.pairwise(GRAPHIC_FREQUENCIES_HZ)]

    assert ratios == [2.0] * 9
    assert GRAPHIC_FREQUENCIES_HZ[-1] == 16_000.0


def test_graphic_bands_are_bells_with_the_gains_in_order() -> None:
    """Graphic bands are bells with the gains in order."""
    gains = [float(gain) for gain in range(-5, 5)]

    bands = graphic_bands(gains)

    assert [band.gain_db for band in bands] == gains
    assert {(band.kind, band.q) for band in bands} == {("peaking", GRAPHIC_Q)}


def test_graphic_bands_refuse_nine_gains() -> None:
    """Graphic bands refuse nine gains."""
    with pytest.raises(ValueError, match="gains_db must be 10 gains, got 9"):
        graphic_bands([0.0] * 9)
