"""Rules for feature extractors."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from soundsage.shared.contracts import ExtractorRecord, WindowFeatures
from soundsage.shared.messages import FeatureVector

from .examples import SAMPLE_RATE, SEED, signals
from .rules import Subject, require, rule

DURATION_S = 4
N_CHANNELS = 2
BLOCK_SIZE = 256
MAX_NAME = 64
RATES = (SAMPLE_RATE, 44_100)


@rule("feature_extractors")
def its_features_have_names(subject: Subject[ExtractorRecord]) -> None:
    """Its features have names, no two the same, and its feature set has one."""
    names = subject.record.feature_names
    require(names and all(names), "got a feature without a name")
    require(len(set(names)) == len(names), "got the same name twice")
    require(0 < len(subject.record.feature_set) <= MAX_NAME, f"got {subject.record.feature_set!r}")


@rule("feature_extractors")
def whatever_it_hears_it_answers_with_numbers(subject: Subject[ExtractorRecord]) -> None:
    """Silence, noise, full scale and beyond give as many finite float32 features as there are names."""
    for sample_rate in RATES:
        for name, samples in signals(N_CHANNELS, DURATION_S * sample_rate).items():
            windows = _windows(subject.record, sample_rate, [samples])
            require(windows, f"{name} at {sample_rate} Hz: no window in {DURATION_S} s")
            for window in (windows[0], windows[-1]):
                _check_window(subject.record, window, f"{name} at {sample_rate} Hz")


@rule("feature_extractors")
def it_does_not_matter_how_the_stream_is_cut(subject: Subject[ExtractorRecord]) -> None:
    """However the stream is cut into blocks, the features are the same, bit for bit."""
    for sample_rate in RATES:
        samples = signals(N_CHANNELS, DURATION_S * sample_rate)["noise"]
        even = _windows(subject.record, sample_rate, _cut(samples, range(BLOCK_SIZE, samples.shape[1], BLOCK_SIZE)))
        cuts = np.random.default_rng(SEED).choice(np.arange(1, samples.shape[1]), 200, replace=False)
        uneven = _windows(subject.record, sample_rate, _cut(samples, sorted(map(int, cuts))))
        require(len(even) == len(uneven), f"{len(even)} windows in even blocks, {len(uneven)} in uneven ones")
        for a, b in zip(even, uneven, strict=True):
            same = np.array_equal(a.features, b.features) and np.array_equal(a.bands_db, b.bands_db)
            require(same and a.end_s == b.end_s, f"the window that ends at {a.end_s:.3f} s differs")


@rule("feature_extractors")
def its_windows_follow_each_other(subject: Subject[ExtractorRecord]) -> None:
    """Each window ends later than the one before it and no later than the stream."""
    samples = signals(N_CHANNELS, DURATION_S * SAMPLE_RATE)["noise"]
    ends_s = [window.end_s for window in _windows(subject.record, SAMPLE_RATE, [samples])]
    require(all(a < b for a, b in itertools.pairwise(ends_s)), "got an earlier one")
    require(ends_s[-1] <= DURATION_S, f"got {ends_s[-1]:.3f} s in a stream of {DURATION_S} s")


@rule("feature_extractors")
def it_does_not_write_to_what_it_hears(subject: Subject[ExtractorRecord]) -> None:
    """The samples are the same after it as before."""
    samples = signals(N_CHANNELS, DURATION_S * SAMPLE_RATE)["noise"]
    before = samples.copy()
    _windows(subject.record, SAMPLE_RATE, [samples])
    require(np.array_equal(samples, before), "they changed")


def _windows(record: ExtractorRecord, sample_rate: int, blocks: Iterable[np.ndarray]) -> list[WindowFeatures]:
    extractor = record.make(sample_rate)
    windows = [window for block in blocks for window in extractor.process(block)]
    return [*windows, *extractor.flush()]


def _cut(samples: np.ndarray, cuts: Iterable[int]) -> list[np.ndarray]:
    return [np.ascontiguousarray(block) for block in np.split(samples, list(cuts), axis=1)]


def _check_window(record: ExtractorRecord, window: WindowFeatures, where: str) -> None:
    expected = (len(record.feature_names),)
    require(
        window.features.shape == expected, f"{where}: features must have shape {expected}, got {window.features.shape}"
    )
    for name, array in (("features", window.features), ("bands_db", window.bands_db)):
        require(array.dtype == np.float32, f"{where}: {name} must be float32, got {array.dtype}")
    require(np.isfinite(window.level_db), f"{where}: level_db must be finite, got {window.level_db}")
    FeatureVector(
        stream="main",
        time_s=window.end_s,
        feature_set=record.feature_set,
        features=window.features,
        bands_db=window.bands_db,
        level_db=float(window.level_db),
        compute_ms=0.0,
        hop_compute_ms=0.0,
    )
