"""What happens to the samples."""

from __future__ import annotations

from collections.abc import Callable

import examples
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.services.renderer.core import GuardedEffect, Rendering
from soundsage.services.renderer.measures import Samples
from soundsage.shared.dsp import design, response_db
from soundsage.shared.errors import PluginError

RATE = 48_000
N_CHANGE = round(0.125 * RATE)  # longer than any change takes


class Effect:
    """An effect that a function computes."""

    def __init__(self, change: Callable[[np.ndarray], None], latency: object = 0) -> None:
        self.process = change
        self._latency = latency

    def latency(self) -> object:
        """Return the delay."""
        return self._latency

    def set_params(self, **params: float) -> None:
        """Take none."""

    def reset(self) -> None:
        """Forget nothing."""


def guarding(change: Callable[[np.ndarray], None]) -> GuardedEffect:
    """Return an effect behind its guard."""
    return GuardedEffect("tested", Effect(change), (2, 1 << 17))  # type: ignore[arg-type]


def rendering(*effects: GuardedEffect, hold_s: float = 10.0, rate: int = RATE) -> Rendering:
    """Return what renders two channels."""
    return Rendering(rate, 2, 1 << 17, hold_s, effects)


def noise(n_samples: int = RATE // 4) -> np.ndarray:
    """Return noise at -20 dBFS."""
    return examples.block(n_samples=n_samples).samples


def sine(n_samples: int = RATE) -> np.ndarray:
    """Return 1 kHz in both channels."""
    return np.tile((0.1 * np.sin(2 * np.pi * 1000 * np.arange(n_samples) / RATE)).astype(np.float32), (2, 1))


def halve(samples: np.ndarray) -> None:
    """Change samples in place."""
    samples *= 0.5


def fail(samples: np.ndarray) -> None:
    """Spoil the samples, then fail."""
    samples[:] = 7.0
    raise ValueError("broken")


def spoil(samples: np.ndarray) -> None:
    """Answer what is no number."""
    samples[0, 3] = np.nan


def test_flat_is_the_input_bit_by_bit() -> None:
    """Without a curve nothing is changed."""
    np.testing.assert_array_equal(rendering().render(noise()), noise())


def test_bypass_is_the_input_bit_by_bit_with_any_curve_and_gain() -> None:
    """Once the change is over."""
    each = rendering()
    each.follow(examples.curve())
    each.command(bypass=True, gain_db=6.0)
    each.render(noise(2 * N_CHANGE))

    np.testing.assert_array_equal(each.render(noise()), noise())


def test_a_curve_is_heard_at_its_frequency_with_its_headroom() -> None:
    """A sine at the centre of a 6 dB band with 6 dB headroom keeps its level, and one an octave above loses it."""
    each = rendering()
    curve = examples.curve(6.0, preamp_db=-6.0)
    each.follow(curve)
    each.render(sine(N_CHANGE))
    out = each.render(sine())
    expected_db = response_db(design(curve.bands, RATE), np.array([1000.0]), RATE)[0] - 6.0

    assert 20 * np.log10(np.sqrt(np.mean(out[:, RATE // 2 :] ** 2) / np.mean(sine() ** 2))) == pytest.approx(
        expected_db, abs=0.01
    )
    assert (each.bands, each.preamp_db, each.strategy) == (curve.bands, -6.0, "stand-in")


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 12_000), max_size=8))
def test_the_sound_does_not_depend_on_the_blocks(cuts: list[int]) -> None:
    """A curve, a command and a glide to flat come at the same samples, however the stream is cut."""
    samples = noise(12_000)

    def rendered(parts: list[np.ndarray]) -> np.ndarray:
        each = rendering(guarding(halve))
        each.follow(examples.curve())
        out = [each.render(part).copy() for part in parts]
        each.command(bypass=False, gain_db=-6.0)
        return np.concatenate([*out, each.render(samples)], axis=1)

    np.testing.assert_array_equal(rendered(np.split(samples, sorted(cuts), axis=1)), rendered([samples]))


def test_a_curve_that_nobody_holds_glides_to_flat() -> None:
    """After the hold time and a change, the input is heard again, and the state says flat."""
    each = rendering(hold_s=0.5)
    each.follow(examples.curve())
    each.render(noise(RATE // 2))
    assert each.bands
    each.render(noise(1))
    each.render(noise(N_CHANGE))

    assert (each.bands, each.preamp_db, each.strategy) == ((), 0.0, "flat")
    np.testing.assert_array_equal(each.render(noise()), noise())


def test_a_preamp_alone_is_let_go_too() -> None:
    """A curve without bands is quieter than flat, and nobody holds it either."""
    each = rendering(hold_s=0.1)
    flat_but_quiet = examples.curve(0.0)
    each.follow(type(flat_but_quiet)(**{**_fields(flat_but_quiet), "bands": ()}))
    each.render(noise(RATE))
    each.render(noise(N_CHANGE))

    assert each.preamp_db == 0.0
    np.testing.assert_array_equal(each.render(noise()), noise())


def _fields(curve: object) -> dict[str, object]:
    return {name: getattr(curve, name) for name in curve.__struct_fields__}  # type: ignore[attr-defined]


def test_a_curve_that_is_said_again_holds_longer() -> None:
    """The same curve changes nothing but the time for which it holds."""
    each = rendering(hold_s=0.5)
    for _ in range(5):
        each.follow(examples.curve())
        each.render(noise(RATE // 3))

    assert each.bands == examples.curve().bands


def test_a_curve_that_was_let_go_can_come_back() -> None:
    """The strategy speaks again, and is followed."""
    each = rendering(hold_s=0.1)
    each.follow(examples.curve())
    each.render(noise(RATE))
    assert not each.bands
    each.follow(examples.curve())
    each.render(noise(100))

    assert each.bands == examples.curve().bands


def test_what_was_set_holds_from_the_first_sample() -> None:
    """A gain that the user kept is not reached after a burst at full level."""
    each = rendering()
    each.command(bypass=False, gain_db=-60.0)
    each.settle()

    np.testing.assert_allclose(each.render(noise()), noise() / 1000, rtol=1e-5)


@pytest.mark.parametrize("n_samples", [0, 1, 1 << 17])
def test_blocks_of_any_length_are_rendered(n_samples: int) -> None:
    """Also the empty one and the longest one."""
    assert rendering().render(noise(n_samples)).shape == (2, n_samples)


@pytest.mark.parametrize("rate", [1000, 8000, 44_100, 192_000, 768_000])
def test_any_rate_can_be_rendered(rate: int) -> None:
    """A curve with bands that the rate cannot hold leaves them out."""
    each = rendering(rate=rate)
    each.follow(examples.curve())

    assert np.isfinite(each.render(noise(1 << 17))).all()


def test_a_sample_that_is_not_finite_is_counted_and_not_heard() -> None:
    """It leaves nothing in the filters."""
    each = rendering()
    each.follow(examples.curve())
    bad = noise()
    bad[0, 7], bad[1, 9] = np.nan, np.inf

    assert np.isfinite(each.render(bad)).all()
    assert each.n_refused == 2


def test_a_format_that_does_not_fit_is_known() -> None:
    """Another rate, another number of channels and a longer block need another rendering."""
    each = rendering()

    assert each.fits(RATE, noise(1 << 17))
    assert not each.fits(44_100, noise())
    assert not each.fits(RATE, noise()[:1])
    assert not each.fits(RATE, np.zeros((2, (1 << 17) + 1), np.float32))


def test_effects_follow_the_equaliser_in_their_order() -> None:
    """Each gets what the one before left."""

    def add(samples: np.ndarray) -> None:
        samples += 1.0

    np.testing.assert_array_equal(rendering(guarding(halve), guarding(add)).render(noise()), noise() * 0.5 + 1.0)
    np.testing.assert_array_equal(rendering(guarding(add), guarding(halve)).render(noise()), (noise() + 1.0) * 0.5)


@pytest.mark.parametrize("change", [fail, spoil], ids=["raises", "NaN"])
def test_an_effect_that_fails_leaves_the_samples_as_they_were(change: Callable[[np.ndarray], None]) -> None:
    """The others work on, each failure is known, and after the third it is asked no more."""
    n_asked = 0

    def counted(samples: np.ndarray) -> None:
        nonlocal n_asked
        n_asked += 1
        change(samples)

    each = rendering(guarding(counted), guarding(halve))
    for _ in range(6):
        np.testing.assert_array_equal(each.render(noise()), noise() * 0.5)

    assert n_asked == 3
    assert [f"strike {n} of 3" in str(failure) for n, failure in enumerate(each.failures, 1)] == [True] * 3


@pytest.mark.parametrize("error", [EOFError(), SystemExit(), MemoryError()], ids=repr)
def test_whatever_an_effect_raises_costs_only_the_effect(error: BaseException) -> None:
    """Also what libraries raise to leave."""

    def leave(_samples: np.ndarray) -> None:
        raise error

    each = rendering(guarding(leave))

    np.testing.assert_array_equal(each.render(noise()), noise())
    assert len(each.failures) == 1


@pytest.mark.parametrize("latency", [-1, "long", None, 1 << 40], ids=str)
def test_an_effect_with_a_delay_that_cannot_be_is_refused(latency: object) -> None:
    """Before any memory is taken for it."""
    with pytest.raises(PluginError, match="effect tested raised"):
        GuardedEffect("tested", Effect(halve, latency), (2, 64))  # type: ignore[arg-type]


@given(values=st.lists(st.floats(0, 1e6, width=32), max_size=30))
def test_measures_are_the_newest_that_there_is_room_for(values: list[float]) -> None:
    """What was taken is not taken again."""
    measures = Samples(10)
    for value in values:
        measures.add(value)

    assert sorted(measures.take().tolist()) == sorted(values[-10:])
    assert measures.take().size == 0
