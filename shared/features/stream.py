"""Blocks of samples to windows of features, the same numbers however the stream is cut.

Conventions
-----------
Samples have shape ``(n_channels, n_samples)``, float32, full scale 1.0. Channels are averaged, the average is resampled
to `SAMPLE_RATE` by a filter that keeps its state, and frames follow each other every `HOP_LENGTH` samples. There is no
padding: the first frame begins with the first sample, a window is complete after `WINDOW_S` seconds, and nothing looks
ahead. Each frame is analysed once; each window is a pure function of its `WINDOW_FRAMES` rows.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soxr

from .descriptors import ROW_LENGTH, FrameAnalyser
from .filterbanks import HOP_LENGTH, N_FFT, SAMPLE_RATE
from .statistics import WindowSummary, summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .filterbanks import Matrix

WINDOW_S = 3.0
"""Length of a window in seconds."""
WINDOW_FRAMES = (round(WINDOW_S * SAMPLE_RATE) - N_FFT) // HOP_LENGTH + 1
"""Frames that fit wholly into a window."""
MIN_SAMPLE_RATE = 8000
"""Lowest sample rate of a source in Hz: telephony."""
RESAMPLER_S, RESAMPLER_SAMPLES = 0.045, 1000
"""The longest that the resampler keeps a sample: so many s, or so many samples of a slow source."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class WindowFeatures(WindowSummary):
    """What one window of a stream sounds like, and when. Arrays are read-only."""

    end_s: float
    """Stream time of the window's end in seconds, counted in samples."""


class FeatureStream:
    """Turns one source into a window of features every hop, 23.2 ms.

    Not thread-safe; one stream per source.

    Parameters
    ----------
    sample_rate : int
        Of the source in Hz.

    Raises
    ------
    ValueError
        If the sample rate is lower than `MIN_SAMPLE_RATE`.
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate < MIN_SAMPLE_RATE:
            msg = f"sample_rate must be at least {MIN_SAMPLE_RATE} Hz, got {sample_rate}"
            raise ValueError(msg)
        self.sample_rate = sample_rate
        self._analyser = FrameAnalyser()
        # Every row is written twice, WINDOW_FRAMES apart: a window is then one slice, in time order.
        self._rows = np.zeros((2 * WINDOW_FRAMES, ROW_LENGTH))
        self.reset()

    def reset(self) -> None:
        """Begin a new stream: forget all samples, stream time is 0 again."""
        self._resampler = _resampler(self.sample_rate)
        self._analyser.reset()
        self._pending = np.empty(0)
        self._n_frames = 0
        self._n_taken = 0

    def process(self, samples: npt.NDArray[np.float32]) -> list[WindowFeatures]:
        """Take the next block and return the windows that it completes, oldest first.

        Parameters
        ----------
        samples : ndarray of shape (n_channels, n_samples), float32
            Any number of samples, full scale 1.0.

        Returns
        -------
        list of WindowFeatures
            Empty until the stream is `WINDOW_S` long, and whenever a block completes no hop.

        Raises
        ------
        ValueError
            If the shape or type is another one or a sample is not finite; the stream is then as it was before.
        """
        mono = _mono(samples)
        self._n_taken += len(mono)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono)
        self._pending = np.concatenate((self._pending, mono))
        return list(self._windows(self._n_due()))

    def flush(self) -> list[WindowFeatures]:
        """End the stream: return the windows that the resampler's last samples complete, and reset."""
        if self._resampler is not None:
            self._pending = np.concatenate((self._pending, self._resampler.resample_chunk(np.empty(0), last=True)))
        windows = list(self._windows(sys.maxsize))
        self.reset()
        return windows

    def _n_due(self) -> int:
        """Return how many frames of the stream are due.

        The resampler hands out more than a hop at once, and then nothing for a while. Its frames are analysed when
        the latest of them would have come, one by one, so that no hop waits for another.
        """
        delay_s = 0.0 if self._resampler is None else max(RESAMPLER_S, RESAMPLER_SAMPLES / self.sample_rate)
        n_samples = int((self._n_taken / self.sample_rate - delay_s) * SAMPLE_RATE)
        return (n_samples - N_FFT) // HOP_LENGTH + 1

    def _windows(self, n_due: int) -> Iterator[WindowFeatures]:
        """Yield the windows that end with the frames up to those due, as far as there are samples for them."""
        n_there = (len(self._pending) - N_FFT) // HOP_LENGTH + 1
        n_frames = max(0, min(n_there, n_due - self._n_frames))
        pending, self._pending = self._pending, self._pending[n_frames * HOP_LENGTH :].copy()
        for start in range(0, n_frames * HOP_LENGTH, HOP_LENGTH):
            self._add_frame(pending[start : start + N_FFT])
            if self._n_frames >= WINDOW_FRAMES:
                yield self._window()

    def _add_frame(self, frame: Matrix) -> None:
        place = self._n_frames % WINDOW_FRAMES
        self._analyser.describe(frame, self._rows[place])
        self._rows[place + WINDOW_FRAMES] = self._rows[place]
        self._n_frames += 1

    def _window(self) -> WindowFeatures:
        oldest = self._n_frames % WINDOW_FRAMES
        summary = summary_of(self._rows[oldest : oldest + WINDOW_FRAMES])
        return WindowFeatures(
            features=summary.features,
            bands_db=summary.bands_db,
            level_db=summary.level_db,
            end_s=((self._n_frames - 1) * HOP_LENGTH + N_FFT) / SAMPLE_RATE,
        )


def windows_of(samples: npt.NDArray[np.float32], sample_rate: int) -> list[WindowFeatures]:
    """Return all windows of a whole recording, as a live stream of it would.

    Parameters
    ----------
    samples : ndarray of shape (n_channels, n_samples), float32
    sample_rate : int
        In Hz.

    Returns
    -------
    list of WindowFeatures
        One every hop; empty if the recording is shorter than `WINDOW_S`.
    """
    stream = FeatureStream(sample_rate)
    return stream.process(samples) + stream.flush()


def _resampler(sample_rate: int) -> soxr.ResampleStream | None:
    if sample_rate == SAMPLE_RATE:
        return None
    return soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float64", quality="HQ")


def _mono(samples: npt.NDArray[np.float32]) -> Matrix:
    """Return the average of the channels, float64.

    Channels are added one after the other: a reduction may add in an order that depends on the block size.
    """
    if samples.ndim != 2 or samples.shape[0] == 0 or samples.dtype != np.float32:  # noqa: PLR2004 - channels and time
        msg = f"samples must be float32 of shape (n_channels, n_samples), got {samples.dtype} of shape {samples.shape}"
        raise ValueError(msg)
    mono: Matrix = samples[0].astype(np.float64)
    for channel in samples[1:]:
        mono += channel
    if not math.isfinite(mono.sum()):
        msg = "samples must be finite, got NaN or infinity"
        raise ValueError(msg)
    mono /= len(samples)
    return mono
