"""Going round the effects: without a click, bit for bit, and the same however the stream is cut."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.services.renderer.chain import effects_of
from soundsage.services.renderer.core import GuardedEffect, Rendering
from soundsage.shared.dsp import EqBand
from soundsage.shared.messages import EqCurve

SAMPLE_RATE = 48_000
MAX_BLOCK = 1024
N_SAMPLES = 6000
N_FADE = 960
ON, OFF = 2000, 4000


class Delay:
    """An effect that is late by 37 samples and halves what it hears."""

    def __init__(self) -> None:
        self.held = np.zeros((2, 37), np.float32)

    def process(self, samples: np.ndarray) -> None:
        """Give back what was held."""
        both = np.concatenate([self.held, 0.5 * samples], axis=1)
        samples[:] = both[:, : samples.shape[1]]
        self.held = both[:, samples.shape[1] :]

    def set_params(self, **_params: float) -> None:
        """Take none."""

    def latency(self) -> int:
        """Return 37 samples."""
        return 37

    def reset(self) -> None:
        """Forget."""


def mono() -> Rendering:
    """Return a rendering with the chain `mono`."""
    return Rendering(SAMPLE_RATE, 2, MAX_BLOCK, 60.0, effects_of("mono", SAMPLE_RATE, 2, MAX_BLOCK))


def late() -> Rendering:
    """Return a rendering with an effect that is late."""
    return Rendering(SAMPLE_RATE, 2, MAX_BLOCK, 60.0, (GuardedEffect("delay", Delay(), (2, MAX_BLOCK)),))


def noise() -> np.ndarray:
    """Return noise, shape (2, n_samples)."""
    return 0.2 * np.random.default_rng(440).standard_normal((2, N_SAMPLES)).astype(np.float32)


def rendered(
    rendering: Rendering, samples: np.ndarray, cuts: Sequence[int] = (), changes: Sequence[int] = (ON, OFF)
) -> np.ndarray:
    """Return the output of a stream, cut where something changes, where it must be, and where the test wants it."""
    edges = sorted({0, N_SAMPLES, *range(0, N_SAMPLES, MAX_BLOCK), *changes, *cuts})
    blocks, is_on = [], False
    for start, stop in itertools.pairwise(edges):
        is_on ^= start in changes
        rendering.command(bypass=is_on, gain_db=0.0)
        blocks.append(rendering.render(samples[:, start:stop]).copy())
    assert not rendering.failures
    return np.concatenate(blocks, axis=1)


def largest_step(samples: np.ndarray) -> float:
    """Return the largest difference between neighbours."""
    return float(np.abs(np.diff(samples, axis=1)).max())


@pytest.mark.parametrize("changes", [(ON, OFF), (ON, ON + 300), (ON, ON + 1, ON + 200, ON + 700)])
def test_a_bypass_of_effects_does_not_click(changes: tuple[int, ...]) -> None:
    """No step is larger than 1.1 times those of the sine itself, also when it is switched back at once."""
    phase = 2 * np.pi * 200.0 * np.arange(N_SAMPLES) / SAMPLE_RATE
    samples = 0.5 * np.stack([np.sin(phase), np.cos(phase)]).astype(np.float32)

    # The effect's own start is not ours.
    output = rendered(mono(), samples, changes=changes)[:, N_FADE:]

    assert largest_step(output) <= 1.1 * largest_step(samples)


def test_a_bypass_of_effects_is_the_input_bit_for_bit_after_the_fade() -> None:
    """After 20 ms every sample is that of the input, and 20 ms after its end every one that of the chain."""
    samples = noise()

    output = rendered(mono(), samples)

    assert np.array_equal(output[:, ON + N_FADE : OFF], samples[:, ON + N_FADE : OFF])
    assert not np.array_equal(output[0, OFF:], samples[0, OFF:])
    unbypassed = rendered(mono(), samples, changes=())
    assert np.array_equal(output[:, :ON], unbypassed[:, :ON])
    assert np.array_equal(output[:, OFF + N_FADE :], unbypassed[:, OFF + N_FADE :])


def test_a_bypass_of_late_effects_is_the_input_as_late() -> None:
    """The input comes out 37 samples later, as it does through the effect."""
    samples = noise()

    output = rendered(late(), samples)

    assert np.array_equal(output[:, ON + N_FADE : OFF], samples[:, ON + N_FADE - 37 : OFF - 37])
    assert np.array_equal(output[:, OFF + N_FADE :], 0.5 * samples[:, OFF + N_FADE - 37 : -37])


@given(cuts=st.lists(st.integers(1, N_SAMPLES - 1), max_size=20))
@pytest.mark.parametrize("make", [mono, late])
def test_how_the_stream_is_cut_does_not_change_a_bypass(make: Callable[[], Rendering], cuts: list[int]) -> None:
    """The same switches at the same samples give the same output, up to what the effect itself rounds."""
    samples = noise()

    difference = np.abs(rendered(make(), samples, cuts) - rendered(make(), samples)).max()

    assert difference <= (1e-6 if make is mono else 0.0)


def test_a_bypass_of_effects_leaves_the_curve_and_the_gain_out() -> None:
    """Neither the equaliser nor the gain is in what the bypass plays."""
    rendering, samples = mono(), noise()
    rendering.follow(
        EqCurve(
            stream="main",
            time_s=0.0,
            strategy="a",
            cause="a",
            automatic=True,
            bands=(EqBand("peaking", 1000.0, 6.0, 1.0),),
            preamp_db=-6.0,
            compute_ms=0.0,
        )
    )
    rendering.command(bypass=True, gain_db=-12.0)
    rendering.settle()

    assert np.array_equal(rendering.render(samples[:, :MAX_BLOCK]), samples[:, :MAX_BLOCK])


def test_a_bypass_of_effects_passes_no_sample_that_is_not_finite() -> None:
    """NaN and infinity are 0 in it, and are counted once."""
    rendering, samples = mono(), noise()[:, :100]
    samples[0, 3], samples[1, 5] = np.nan, np.inf
    rendering.command(bypass=True, gain_db=0.0)
    rendering.settle()

    output = rendering.render(samples)

    assert (output[0, 3], output[1, 5], rendering.n_refused) == (0.0, 0.0, 2)
    assert np.isfinite(output).all()
