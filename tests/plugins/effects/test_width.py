"""What the effect `width` does to a stereo sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.plugins.effects.width import FADE_S, Width

SAMPLE_RATE = 48_000
N_SAMPLES = 4096


@pytest.fixture
def samples() -> np.ndarray:
    """Return two channels of noise."""
    return np.random.default_rng(440).standard_normal((2, N_SAMPLES)).astype(np.float32)


def processed(samples: np.ndarray, width: float, cuts: list[int]) -> np.ndarray:
    """Return the samples after the effect, which gets them in blocks cut there."""
    effect = Width(SAMPLE_RATE, samples.shape[0], N_SAMPLES)
    effect.set_params(width=width)
    blocks = [block.copy() for block in np.split(samples, cuts, axis=1)]
    for block in blocks:
        effect.process(block)
    return np.concatenate(blocks, axis=1)


def test_width_1_changes_no_bit(samples: np.ndarray) -> None:
    """Width 1 changes no bit."""
    assert np.array_equal(processed(samples, 1.0, []), samples)


def test_width_0_makes_both_channels_the_same_after_the_fade(samples: np.ndarray) -> None:
    """Width 0 makes both channels the same after the fade."""
    left, right = processed(samples, 0.0, [])[:, round(FADE_S * SAMPLE_RATE) :]
    assert np.array_equal(left, right)


def test_width_2_doubles_the_difference_and_keeps_the_sum(samples: np.ndarray) -> None:
    """Width 2 doubles the difference and keeps the sum."""
    after = processed(samples, 2.0, [])[:, round(FADE_S * SAMPLE_RATE) :]
    before = samples[:, round(FADE_S * SAMPLE_RATE) :]
    np.testing.assert_allclose(after[0] - after[1], 2 * (before[0] - before[1]), atol=2e-6)
    np.testing.assert_allclose(after.sum(axis=0), before.sum(axis=0), atol=2e-6)


@given(st.lists(st.integers(1, N_SAMPLES - 1), max_size=6).map(sorted))
def test_the_cutting_into_blocks_does_not_matter(cuts: list[int]) -> None:
    """The cutting into blocks does not matter, up to the rounding of the glide."""
    noise = np.random.default_rng(440).standard_normal((2, N_SAMPLES)).astype(np.float32)
    np.testing.assert_allclose(processed(noise, 0.25, cuts), processed(noise, 0.25, []), atol=1e-5)


def test_a_mono_sound_passes_untouched() -> None:
    """A mono sound passes untouched."""
    mono = np.random.default_rng(440).standard_normal((1, N_SAMPLES)).astype(np.float32)
    assert np.array_equal(processed(mono, 0.0, []), mono)


def test_a_width_out_of_range_is_refused() -> None:
    """A width out of range is refused."""
    with pytest.raises(ValueError, match=r"width must lie in \[0, 2\], got 3"):
        Width(SAMPLE_RATE, 2, N_SAMPLES).set_params(width=3.0)
