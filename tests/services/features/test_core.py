"""Measuring a stream, whatever the blocks it comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import examples
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.services.features.core import Measuring, vector_of
from soundsage.shared.contracts import ExtractorRecord

HOP = 100


@dataclass(frozen=True)
class Window:
    """A window of 100 samples, whose first feature is their mean."""

    features: np.ndarray
    bands_db: np.ndarray
    level_db: float
    end_s: float


class Counting:
    """An extractor with a window each 100 samples."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._n = 0
        self._rest = np.zeros(0, np.float32)

    def process(self, samples: np.ndarray) -> list[Any]:
        """Return the windows that the samples complete; a sample of 99 is a failure."""
        if 99.0 in samples:
            raise ValueError("99")
        self._rest = np.concatenate((self._rest, samples.mean(axis=0)))
        windows = []
        while self._rest.size >= HOP:
            mean, self._rest = self._rest[:HOP].mean(keepdims=True), self._rest[HOP:]
            self._n += HOP
            windows.append(Window(mean, np.zeros(2, np.float32), -20.0, self._n / self._sample_rate))
        return windows

    def flush(self) -> list[Any]:
        """Return nothing more."""
        return []


def measuring() -> Measuring:
    """Return what measures with that extractor."""
    record = ExtractorRecord(
        name="counting", summary="for tests", feature_set="counting/1", feature_names=("mean",), make=Counting
    )
    return Measuring(record)


@given(cuts=st.lists(st.integers(0, 1000), max_size=10))
def test_windows_do_not_depend_on_the_blocks(cuts: list[int]) -> None:
    """Cut anyhow, a stream has the same windows at the same times."""
    whole = examples.block(n_samples=1000)
    parts = np.split(whole.samples, sorted(cuts), axis=1)
    starts = np.cumsum([0, *(part.shape[1] for part in parts)])
    blocks = [msgspec.structs.replace(whole, start=int(s), samples=p) for s, p in zip(starts, parts, strict=False)]
    each = measuring()
    windows = [window for block in blocks for window in each.process(block)]
    expected = measuring().process(whole)

    assert [time_s for time_s, _ in windows] == [time_s for time_s, _ in expected]
    assert [w.features[0] for _, w in windows] == [w.features[0] for _, w in expected]


def test_time_counts_from_the_first_sample_of_the_stream() -> None:
    """Who begins to listen in the middle measures at the stream's times."""
    times_s = [time_s for time_s, _ in measuring().process(examples.block(start=48_000, n_samples=200))]

    assert times_s == pytest.approx([1.0 + 100 / 48_000, 1.0 + 200 / 48_000])


def test_a_gap_begins_a_new_window() -> None:
    """What was before the gap is in no window after it."""
    each = measuring()
    each.process(examples.block(start=0, n_samples=90))
    (window,) = each.process(examples.block(start=91, n_samples=100))

    assert window[0] == pytest.approx(191 / 48_000)
    assert window[1].features[0] == pytest.approx(examples.block(start=91, n_samples=100).samples.mean(), abs=1e-6)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_block_that_is_not_finite_is_a_gap(odd: float) -> None:
    """It is not measured, and neither is what it interrupts."""
    each = measuring()
    each.process(examples.block(start=0, n_samples=90))
    bad = examples.block(start=90, n_samples=10)
    bad.samples[1, 3] = odd

    assert each.process(bad) == []
    assert each.process(examples.block(start=100, n_samples=99)) == []
    assert len(each.process(examples.block(start=199, n_samples=1))) == 1


def test_another_rate_begins_a_new_window() -> None:
    """Also where the samples follow on each other."""
    each = measuring()
    each.process(examples.block(start=0, n_samples=90))

    assert each.process(examples.block(start=90, n_samples=99, sample_rate=44_100)) == []


def test_after_a_failure_the_window_begins_anew() -> None:
    """An extractor that raised is not asked again; its successor measures what comes."""
    each = measuring()
    each.process(examples.block(start=0, n_samples=90))
    bad = examples.block(start=90, n_samples=10)
    bad.samples[0, 0] = 99.0
    with pytest.raises(ValueError, match="99"):
        each.process(bad)

    assert each.process(examples.block(start=100, n_samples=99)) == []
    assert len(each.process(examples.block(start=199, n_samples=1))) == 1


def test_a_vector_holds_what_was_measured() -> None:
    """Features, bands, level and times are those of the window."""
    window = Window(np.array([1.5], np.float32), np.array([0.5, -0.5], np.float32), -20.0, 9.0)
    vector = vector_of("main", "counting/1", 3.0, window, 0.1, 0.2)

    assert (vector.stream, vector.feature_set, vector.time_s, vector.level_db) == ("main", "counting/1", 3.0, -20.0)
    assert (vector.compute_ms, vector.hop_compute_ms) == (0.1, 0.2)
    assert vector.features.tolist() == [1.5]
    assert vector.bands_db.tolist() == [0.5, -0.5]
