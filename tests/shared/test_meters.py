"""Levels over time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.shared.features import LEVEL_FLOOR_DB
from soundsage.shared.meters import LevelMeter

RATE = 48_000


def sine(amplitude: float) -> np.ndarray:
    """Return 0.1 s of 1 kHz."""
    return (amplitude * np.sin(2 * np.pi * 1000 * np.arange(RATE // 10) / RATE)).astype(np.float32)


def test_a_full_scale_sine_has_minus_3_dbfs() -> None:
    """RMS of a sine is its peak less 3.01 dB, for each channel by itself."""
    meter = LevelMeter(10.0)
    meter.add(np.stack([sine(1.0), sine(0.1)]), RATE)
    level_db, peak_db = meter.take()

    assert level_db == pytest.approx((-3.01, -23.01), abs=0.01)
    assert peak_db == pytest.approx((0.0, -20.0), abs=0.01)


def test_the_lowest_sample_is_a_peak_too() -> None:
    """A peak is the farthest from zero on either side."""
    meter = LevelMeter(10.0)
    meter.add(np.array([[0.1, -0.5]], np.float32), RATE)

    assert meter.take()[1] == pytest.approx((-6.02,), abs=0.01)


def test_silence_has_the_lowest_level() -> None:
    """Zeros, and nothing at all, are finite."""
    meter = LevelMeter(10.0)
    meter.add(np.zeros((2, 100), np.float32), RATE)

    assert meter.take() == ((LEVEL_FLOOR_DB,) * 2,) * 2
    assert meter.take() == ((LEVEL_FLOOR_DB,) * 2,) * 2
    assert LevelMeter(10.0).take() == ((), ())


@given(cuts=st.lists(st.integers(0, 4800), max_size=5))
def test_the_level_does_not_depend_on_the_blocks(cuts: list[int]) -> None:
    """Cut anyhow, also into empty blocks, the sound has one level, and it is due after its time."""
    samples = np.random.default_rng(440).standard_normal((2, 4800)).astype(np.float32)
    whole, cut = LevelMeter(10.0), LevelMeter(10.0)

    assert whole.add(samples, RATE)
    due = [cut.add(part, RATE) for part in np.split(samples, sorted(cuts), axis=1)]
    assert due[-1]
    assert np.allclose(whole.take(), cut.take())


def test_levels_are_due_as_often_as_they_were_asked_for() -> None:
    """At 10 Hz they are due each 0.1 s of sound, at any rate."""
    for rate in (8_000, 44_100, 192_000):
        meter = LevelMeter(10.0)
        block = np.zeros((1, rate // 100), np.float32)
        due = []
        for _ in range(50):
            due.append(meter.add(block, rate))
            if due[-1]:
                meter.take()

        assert sum(due) == 5


def test_another_number_of_channels_begins_anew() -> None:
    """Channels that are no longer there leave nothing behind."""
    meter = LevelMeter(10.0)
    meter.add(np.ones((2, 10), np.float32), RATE)
    meter.add(np.zeros((1, 10), np.float32), RATE)

    assert meter.take() == ((LEVEL_FLOOR_DB,), (LEVEL_FLOOR_DB,))


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_block_that_is_not_finite_has_no_level(odd: float) -> None:
    """It is left out, and the levels stay those of the rest."""
    meter = LevelMeter(10.0)
    meter.add(sine(1.0)[np.newaxis], RATE)
    meter.add(np.array([[odd, 0.0]], np.float32), RATE)

    assert meter.take()[0] == pytest.approx((-3.01,), abs=0.01)
