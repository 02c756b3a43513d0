"""The strategies `flat`, `genre-preset` and `proposal`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundsage.plugins.strategies import flat, genre_preset, proposal
from soundsage.plugins.strategies.curves import CURVES_DB
from soundsage.plugins.strategies.smoothing import LIMIT_DB
from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ, design, response_db
from soundsage.shared.messages import EqProposal

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundsage.shared.contracts import Decision, EqStrategy, StrategyContext

    Contexts = Callable[..., StrategyContext]

MAKERS = [flat.Flat, genre_preset.GenrePreset, proposal.FollowProposal]
UNIFORM = [0.125] * 8
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

probabilities = st.lists(st.floats(1e-6, 1.0), min_size=8, max_size=8).map(
    lambda raw: (np.array(raw) / sum(raw)).tolist()
)
states = st.sampled_from(["genre", "uncertain", "speech", "not_music", "silence", "no_signal"])
gains = st.lists(st.floats(-24, 24), min_size=10, max_size=10)


def proposed(gains_db: list[float]) -> EqProposal:
    """Return a proposal at the ten graphic frequencies."""
    return EqProposal(
        stream="stream", time_s=3.0, model="model", frequencies_hz=GRAPHIC_FREQUENCIES_HZ, gains_db=tuple(gains_db)
    )


def settled(strategy: EqStrategy, contexts: Contexts, *args: object, **kwargs: object) -> Decision:
    """Return the decision after a minute of the same context."""
    for time_s in range(60):
        decision = strategy.decide(contexts(*args, time_s=float(time_s), **kwargs))
    return decision


def gains_of(decision: Decision) -> np.ndarray:
    """Return the gains of a decision, zeros if it is flat."""
    return np.array([band.gain_db for band in decision.bands]) if decision.bands else np.zeros(10)


@pytest.mark.parametrize("make", MAKERS)
@SETTINGS
@given(steps=st.lists(st.tuples(probabilities, states, gains, st.floats(0, 1e4)), min_size=1, max_size=6))
def test_any_posterior_gives_finite_bands_within_3_db(
    context: Contexts, make: Callable[[], EqStrategy], steps: list[tuple[list[float], str, list[float], float]]
) -> None:
    """Whatever a model says, in whatever order of time, no band is moved by more than 3 dB."""
    strategy = make()
    for posterior, state, gains_db, time_s in steps:
        decision = strategy.decide(context(posterior, time_s=time_s, state=state, proposal=proposed(gains_db)))
        assert all(math.isfinite(band.gain_db) and abs(band.gain_db) <= LIMIT_DB for band in decision.bands)
        assert decision.cause


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("state", ["speech", "not_music", "silence", "no_signal"])
def test_a_strategy_is_flat_while_no_music_plays(
    context: Contexts, certain: Callable[[str], list[float]], make: Callable[[], EqStrategy], state: str
) -> None:
    """Even after a minute of certain rock, speech or silence is left alone at once."""
    strategy = make()
    settled(strategy, context, certain("Rock"), proposal=proposed([3.0] * 10))
    decision = strategy.decide(context(certain("Rock"), time_s=61.0, state=state, proposal=proposed([3.0] * 10)))

    assert decision.bands == ()
    assert decision.cause.startswith("flat")


@pytest.mark.parametrize("make", MAKERS)
def test_a_posterior_at_chance_gives_a_flat_curve(context: Contexts, make: Callable[[], EqStrategy]) -> None:
    """A model that does not know moves nothing."""
    decision = settled(make(), context, UNIFORM, state="uncertain", proposal=proposed([3.0] * 10))

    np.testing.assert_allclose(gains_of(decision), 0.0, atol=1e-9)


def test_flat_has_no_bands(context: Contexts, certain: Callable[[str], list[float]]) -> None:
    """The strategy `flat` never moves a band."""
    assert flat.Flat().decide(context(certain("Rock"))).bands == ()


@pytest.mark.parametrize("genre", CURVES_DB)
def test_a_certain_genre_gives_the_curve_of_that_genre(
    context: Contexts, certain: Callable[[str], list[float]], genre: str
) -> None:
    """After a minute of certainty the curve is the genre's own, and the cause says which genre and how sure."""
    decision = settled(genre_preset.GenrePreset(), context, certain(genre))

    np.testing.assert_allclose(gains_of(decision), CURVES_DB[genre], atol=1e-3)
    assert genre in decision.cause
    assert "confidence 100%" in decision.cause


def test_a_genre_without_evidence_stays_flat(context: Contexts, certain: Callable[[str], list[float]]) -> None:
    """Experimental music has no typical spectrum, and no curve."""
    decision = settled(genre_preset.GenrePreset(), context, certain("Experimental"))

    np.testing.assert_allclose(gains_of(decision), 0.0, atol=1e-3)


def test_less_confidence_moves_less(context: Contexts, certain: Callable[[str], list[float]]) -> None:
    """The curve of half-certain rock is smaller than that of certain rock in every band that moves."""
    half = (0.5 * np.array(certain("Rock")) + 0.5 * np.array(UNIFORM)).tolist()
    sure = gains_of(settled(genre_preset.GenrePreset(), context, certain("Rock")))
    unsure = gains_of(settled(genre_preset.GenrePreset(), context, half))

    assert np.all(np.abs(unsure) < np.abs(sure) + 1e-9)
    assert np.abs(unsure).max() < 0.5 * np.abs(sure).max()


def test_the_curve_covers_63_percent_of_a_step_in_the_time_constant(
    context: Contexts, certain: Callable[[str], list[float]]
) -> None:
    """The probability of a genre that begins follows 1 - exp(-t / 5 s), however often it is asked."""
    often, once = genre_preset.GenrePreset(), genre_preset.GenrePreset()
    for time_s in np.linspace(10, 15, 50):
        decision = often.decide(context(certain("Rock"), time_s=float(time_s)))
    once.decide(context(certain("Rock"), time_s=10.0))
    expected = once.decide(context(certain("Rock"), time_s=15.0))

    np.testing.assert_allclose(gains_of(decision), gains_of(expected), rtol=1e-9)
    share = 1 - math.exp(-1)
    assert f"confidence {share + (1 - share) / 8:.0%}" in decision.cause


@pytest.mark.parametrize("change", [{"state": "silence", "time_s": 61.0}, {"stream": "other"}, {"time_s": 1.0}])
def test_another_song_begins_at_flat(
    context: Contexts, certain: Callable[[str], list[float]], change: dict[str, object]
) -> None:
    """After a pause, in another stream, and when time runs backwards, nothing is left of the song before."""
    strategy = genre_preset.GenrePreset()
    settled(strategy, context, certain("Rock"))
    strategy.decide(context(certain("Rock"), **({"time_s": 61.0} | change)))
    decision = strategy.decide(context(certain("Rock"), **({"time_s": 61.0} | change | {"state": "genre"})))

    np.testing.assert_allclose(gains_of(decision), 0.0, atol=1e-9)


def test_curves_keep_the_loudness_of_average_music() -> None:
    """Pink-like music of the mean spectrum is at most 0.3 dB louder or quieter through any genre's curve."""
    # Elowsson and Friberg's band power with K-weighting, at the ten frequencies.
    weighted_db = np.array([-27.5, -7.7, 0.5, 2.0, 1.7, 0.7, -0.2, -3.6, -9.1, -16.1])
    power = 10 ** (weighted_db / 10)
    for gains_db in CURVES_DB.values():
        louder_db = 10 * np.log10((power * 10 ** (gains_db / 10)).sum() / power.sum())
        assert abs(louder_db) < 0.3


@pytest.mark.parametrize("genre", CURVES_DB)
def test_rendered_curves_stay_modest(genre: str) -> None:
    """Overlapping bells of one genre add up to at most 4.5 dB anywhere."""
    bands = genre_preset.graphic_bands(CURVES_DB[genre].tolist())

    assert np.abs(response_db(design(bands, 48_000), np.geomspace(20, 20_000, 500), 48_000)).max() < 4.5


def test_a_proposal_is_followed_at_full_confidence(context: Contexts, certain: Callable[[str], list[float]]) -> None:
    """After a minute of certainty the curve is the proposal, cut at 3 dB."""
    gains_db = [-5.0, -2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0]
    decision = settled(proposal.FollowProposal(), context, certain("Rock"), proposal=proposed(gains_db))

    np.testing.assert_allclose(gains_of(decision), np.clip(gains_db, -3, 3), atol=1e-3)
    assert "Rock" in decision.cause


def test_a_missing_proposal_gives_a_flat_curve(context: Contexts, certain: Callable[[str], list[float]]) -> None:
    """Without an EQ model there is nothing to follow, and the cause says so."""
    decision = proposal.FollowProposal().decide(context(certain("Rock")))

    assert decision.bands == ()
    assert "no proposal" in decision.cause


def test_a_proposal_at_other_frequencies_is_interpolated_over_octaves() -> None:
    """Half way between two proposed octaves lies half way between their gains."""
    sparse = EqProposal(stream="s", time_s=0.0, model="m", frequencies_hz=(4000.0, 1000.0), gains_db=(2.0, 0.0))
    gains_db = dict(zip(GRAPHIC_FREQUENCIES_HZ, proposal.graphic_gains_db(sparse), strict=True))

    assert gains_db[2000.0] == pytest.approx(1.0)
    assert gains_db[31.25] == 0.0
    assert gains_db[16000.0] == 2.0
