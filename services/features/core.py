"""Measure a stream hop by hop, whatever the blocks it comes in."""

from __future__ import annotations

import math

import numpy as np

from soundsage.shared.contracts import Extractor, ExtractorRecord, WindowFeatures
from soundsage.shared.messages import AudioBlock, FeatureVector
from soundsage.shared.units import samples_to_s

__all__ = ["Measuring", "vector_of"]


class Measuring:
    """One extractor for one stream, begun anew where the stream has a gap or changes its rate.

    Parameters
    ----------
    record : ExtractorRecord
    """

    def __init__(self, record: ExtractorRecord) -> None:
        self.feature_set = record.feature_set
        self._make = record.make
        self._extractor: Extractor | None = None
        self._begin_s = 0.0
        self._next: tuple[int, int] = (0, 0)

    def process(self, block: AudioBlock) -> list[tuple[float, WindowFeatures]]:
        """Return the windows that the block completes, each with the stream time of its end in s.

        A block with a sample that is not finite is a gap.
        """
        if not math.isfinite(np.vdot(block.samples, block.samples)):  # costs half of asking each sample
            return []
        if self._extractor is None or self._next != (block.sample_rate, block.start):
            self._extractor = self._make(block.sample_rate)
            self._begin_s = samples_to_s(block.start, block.sample_rate)
        extractor, self._extractor = self._extractor, None  # one that fails is not asked again
        windows = [(self._begin_s + window.end_s, window) for window in extractor.process(block.samples)]
        self._extractor = extractor
        self._next = (block.sample_rate, block.start + block.samples.shape[1])
        return windows

    def flush(self) -> list[tuple[float, WindowFeatures]]:
        """Return the windows that the end of the stream completes."""
        windows = self._extractor.flush() if self._extractor is not None else []
        return [(self._begin_s + window.end_s, window) for window in windows]


def vector_of(  # noqa: PLR0917  the message's fields in their order
    stream: str, feature_set: str, time_s: float, window: WindowFeatures, compute_ms: float, hop_compute_ms: float
) -> FeatureVector:
    """Return the message for a window."""
    return FeatureVector(
        stream=stream,
        time_s=time_s,
        feature_set=feature_set,
        features=window.features,
        bands_db=window.bands_db,
        level_db=float(window.level_db),
        compute_ms=compute_ms,
        hop_compute_ms=hop_compute_ms,
    )
