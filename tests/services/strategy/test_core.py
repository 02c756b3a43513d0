"""What a strategy wants, made harmless."""

from __future__ import annotations

import itertools

import examples
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.services.strategy.core import MAX_ELAPSED_S, Correlation, Steering, curve_of
from soundsage.shared.dsp import EqBand, design, graphic_bands, response_db
from soundsage.shared.messages import EqCurve

LIMIT_DB = 6.0
SLEW_DB_PER_S = 0.5
STEP_DB = 0.1
AUDIBLE_HZ = np.geomspace(20.0, 20_000.0, 1000)

GRAPHIC = st.lists(st.floats(-24, 24), min_size=10, max_size=10).map(graphic_bands)
BANDS = st.lists(
    st.builds(
        EqBand,
        st.sampled_from(["peaking", "low_shelf", "high_shelf"]),
        st.floats(10, 24_000),
        st.floats(-24, 24),
        st.floats(0.1, 20),
    ),
    max_size=16,
).map(tuple)
WANTED = st.one_of(GRAPHIC, BANDS, st.just(()))
STEPS = st.lists(st.tuples(WANTED, st.floats(0, 3), st.booleans()), min_size=1, max_size=8)


def response(curve: EqCurve) -> np.ndarray:
    """Return what the bands do to audible frequencies at 48 kHz, dB."""
    return np.asarray(response_db(design(curve.bands, 48_000), AUDIBLE_HZ, 48_000))


def layout(curve: EqCurve) -> list[tuple[str, float, float]]:
    """Return where the bands of a curve lie."""
    return [(band.kind, band.frequency_hz, band.q) for band in curve.bands]


def gains(curve: EqCurve, n_bands: int) -> np.ndarray:
    """Return the gains, 0 for a curve without bands."""
    return np.array([band.gain_db for band in curve.bands]) if curve.bands else np.zeros(n_bands)


def steered(
    steps: list[tuple[tuple[EqBand, ...], float, bool]], limit_db: float = LIMIT_DB
) -> list[tuple[float, bool, EqCurve]]:
    """Return elapsed time, command and curve after each step."""
    steering, time_s, curves = Steering(limit_db), 100.0, []
    for bands, elapsed_s, commanded in steps:
        time_s += elapsed_s
        now = steering.steer(time_s, bands, commanded=commanded)
        curve = curve_of(examples.posterior(time_s), "tested", "wanted", now, 0.0, commanded=commanded)
        curves.append((elapsed_s, commanded, curve))
    return curves


@settings(max_examples=60)
@given(steps=STEPS, limit_db=st.sampled_from([6.0, 3.0, 0.5]))
def test_no_frequency_is_ever_moved_beyond_the_limit(
    steps: list[tuple[tuple[EqBand, ...], float, bool]], limit_db: float
) -> None:
    """Whatever is wanted, commanded or not, also on the way from one curve to the next."""
    for _, _, curve in steered(steps, limit_db):
        assert np.abs(response(curve)).max() <= limit_db + 0.05


@settings(max_examples=60)
@given(steps=STEPS)
def test_the_preamp_is_the_headroom_that_the_bands_need(
    steps: list[tuple[tuple[EqBand, ...], float, bool]],
) -> None:
    """It is never positive, and bands and preamp together boost nothing."""
    for _, _, curve in steered(steps):
        assert -24.0 <= curve.preamp_db <= 0.0
        assert (response(curve) + curve.preamp_db).max() <= 0.05


@settings(max_examples=60)
@given(steps=STEPS)
def test_every_curve_is_a_message_that_can_be_sent(steps: list[tuple[tuple[EqBand, ...], float, bool]]) -> None:
    """It says what it answers, and whether a person asked for it."""
    for _, commanded, curve in steered(steps):
        assert isinstance(examples.received(examples.frames_of(curve)).message, EqCurve)
        assert curve.automatic is not commanded
        assert curve.cause == "wanted"


@settings(max_examples=60)
@given(steps=st.lists(st.tuples(GRAPHIC, st.floats(0, 3), st.just(False)), min_size=2, max_size=10))
def test_by_itself_no_band_moves_faster_than_half_a_db_a_second(
    steps: list[tuple[tuple[EqBand, ...], float, bool]],
) -> None:
    """However far the goal jumps and however long the pause was, but for the steps in which gains are given."""
    curves = steered(steps)
    for (_, _, before), (elapsed_s, _, after) in itertools.pairwise(curves):
        moved_db = np.abs(gains(after, 10) - gains(before, 10)).max()
        assert moved_db <= SLEW_DB_PER_S * min(elapsed_s, MAX_ELAPSED_S) + 2 * STEP_DB


@settings(max_examples=60)
@given(steps=st.lists(st.tuples(WANTED, st.floats(0, 3), st.just(False)), min_size=2, max_size=12))
def test_by_itself_a_curve_makes_no_leap(steps: list[tuple[tuple[EqBand, ...], float, bool]]) -> None:
    """Bands at other places come only after the curve was flat, from which they rise slowly."""
    curves = steered(steps)
    for (_, _, before), (_, _, after) in itertools.pairwise(curves):
        assert not before.bands or not after.bands or layout(before) == layout(after)
        if not before.bands and after.bands:
            assert np.abs(gains(after, 0)).max() <= SLEW_DB_PER_S * MAX_ELAPSED_S + STEP_DB


@settings(max_examples=30)
@given(before=GRAPHIC, wanted=GRAPHIC)
def test_a_command_is_followed_at_once(before: tuple[EqBand, ...], wanted: tuple[EqBand, ...]) -> None:
    """A person who asked hears it now, in the same curve as from any other."""
    (_, _, directly) = steered([(wanted, 0.0, True)])[-1]
    (_, _, from_another) = steered([(before, 0.0, True), (wanted, 0.0, True)])[-1]

    assert from_another.bands == directly.bands
    assert from_another.preamp_db == directly.preamp_db


@settings(max_examples=20)
@given(wanted=GRAPHIC)
def test_a_goal_that_stays_is_reached_and_then_nothing_changes(wanted: tuple[EqBand, ...]) -> None:
    """After 12 s, the time for 6 dB, the curve is the one that a command gives, and stays it."""
    curves = [curve for _, _, curve in steered([(wanted, 1.0, False)] * 16)]
    (_, _, commanded) = steered([(wanted, 0.0, True)])[0]

    assert curves[-1].bands == curves[-2].bands == commanded.bands


def test_a_curve_glides_to_flat_and_has_no_bands_there() -> None:
    """Nothing wanted is no band and no preamp, after half a dB a second."""
    up = graphic_bands([0, 0, 0, 0, 0, 2.0, 0, 0, 0, 0])
    curves = [curve for _, _, curve in steered([(up, 0.0, True), *[((), 1.0, False)] * 5])]

    assert [gains(curve, 10)[5] for curve in curves] == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0, 0.0])
    assert (curves[-1].bands, curves[-1].preamp_db) == ((), 0.0)


def test_curves_that_nobody_could_tell_apart_are_one_curve() -> None:
    """A goal that moves by a hundredth of a dB changes nothing, so that the renderer need not."""
    steps = [(graphic_bands([2.0 + 0.001 * i] * 10), 0.02, i == 0) for i in range(30)]
    curves = {curve.bands for _, _, curve in steered(steps)}

    assert len(curves) == 1


def test_without_any_limit_there_is_no_band() -> None:
    """A limit of 0 dB is flat, also on command."""
    (_, _, curve) = steered([(graphic_bands([6.0] * 10), 1.0, True)], limit_db=0.0)[0]

    assert (curve.bands, curve.preamp_db) == ((), 0.0)


@pytest.mark.parametrize("time_s", [0.0, 99.0])
def test_a_stream_that_begins_again_makes_no_leap(time_s: float) -> None:
    """Where time goes back, the curve stays and then goes on slowly."""
    steering = Steering(LIMIT_DB)
    before = steering.steer(100.0, graphic_bands([4.0] + [0.0] * 9), commanded=True)
    after = steering.steer(time_s, (), commanded=False)
    later = steering.steer(time_s + 1.0, (), commanded=False)

    assert before.bands == after.bands
    assert later.bands[0].gain_db == pytest.approx(before.bands[0].gain_db - 0.5)


def test_more_bands_than_the_rack_has_are_refused() -> None:
    """And so is what is no band."""
    with pytest.raises(ValueError, match="at most 16"):
        steered([(graphic_bands([1.0] * 10) * 2, 0.0, False)])


def test_a_long_cause_is_cut() -> None:
    """A message has room for 1000 letters."""
    flat = Steering(LIMIT_DB).steer(0.0, (), commanded=False)

    assert len(curve_of(examples.posterior(), "tested", "x" * 2000, flat, 0.0, commanded=False).cause) == 1000


def test_a_curve_says_all_computing_on_the_way_to_it() -> None:
    """That of features and models, and its own."""
    flat = Steering(LIMIT_DB).steer(0.0, (), commanded=False)
    posterior = examples.posterior(compute_ms=1.5)

    assert curve_of(posterior, "tested", "flat", flat, 0.25, commanded=False).compute_ms == 1.75


def test_a_posterior_meets_what_it_came_from() -> None:
    """Features and proposal of the same hop and stream, and no others."""
    correlation = Correlation()
    assert correlation.of(examples.posterior()) == (None, None)
    correlation.keep(examples.vector(1.0))
    correlation.keep(examples.proposal(1.0))
    correlation.keep(examples.proposal(2.0, stream="kitchen"))
    features, proposal = correlation.of(examples.posterior(1.0))
    assert features is not None
    assert proposal is not None
    assert (features.time_s, proposal.time_s) == (1.0, 1.0)
    correlation.keep(examples.vector(2.0))

    assert correlation.of(examples.posterior(1.0))[0] is None
    assert correlation.of(examples.posterior(2.0))[1] is None
    assert correlation.of(examples.posterior(2.0, stream="kitchen"))[1] is not None
