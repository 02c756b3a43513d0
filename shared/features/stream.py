"""Blocks of samples to windows of features, the same numbers however the stream is cut.

Conventions
-----------
Samples have shape ``(n_channels, n_samples)``, float32, full scale 1.0. Channels are averaged, the average is resampled
to `SAMPLE_RATE` by a filter that keeps its state, and frames follow each other every `HOP_LENGTH` samples. There is no
padding: the first frame begins with the first sample, a window is complete after `WINDOW_S` seconds, and nothing looks
ahead. Each frame is analysed once; each window is a pure function of its `WINDOW_FRAMES` rows.

Notes
-----
Samples wait at two places: mixed but not resampled, and resampled. Together they last at most as long as the resampler
may keep a sample, a frame, a hop and a piece of a block, which is what the rings hold. What waits is resampled once a
hop, and by the block before the one that completes it if blocks are of one length: that one finds its samples there.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soxr

from .filterbanks import HOP_LENGTH, N_FFT, SAMPLE_RATE
from .statistics import WindowSummary

if TYPE_CHECKING:
    from .filterbanks import Matrix

    Samples = npt.NDArray[np.float32]

WINDOW_S = 3.0
"""Length of a window in seconds."""
WINDOW_FRAMES = (round(WINDOW_S * SAMPLE_RATE) - N_FFT) // HOP_LENGTH + 1
"""Frames that fit wholly into a window."""
MIN_SAMPLE_RATE = 8000
"""Lowest sample rate of a source in Hz: telephony."""
RESAMPLER_S, RESAMPLER_SAMPLES = 0.045, 1000
"""The longest that the resampler keeps a sample: so many s, or so many samples of a slow source."""

_FLOAT32 = np.dtype(np.float32)
_PIECE_S = 0.1  # a longer block is taken in pieces of this length
_RING_SAMPLES = 8192  # 372 ms: the piece, 125 ms for 1000 samples at 8 kHz, 93 ms for a frame, 23 ms for a hop


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
        # Here, so that who only reads names and settings loads no compiler.
        from .analyser import Analyser
        from .kernel import mix

        self.sample_rate = sample_rate
        self._is_resampled = sample_rate != SAMPLE_RATE
        self._delay = math.ceil(max(RESAMPLER_S * sample_rate, RESAMPLER_SAMPLES)) if self._is_resampled else 0
        self._n_piece = int(_PIECE_S * sample_rate)
        self._mix = mix
        self._analyser = Analyser(WINDOW_FRAMES)
        self._ring = np.zeros(_RING_SAMPLES)
        self._mixed: Matrix = np.zeros(_mixed_ring_samples(sample_rate)) if self._is_resampled else self._ring
        self.reset()
        self._warm_up()

    def reset(self) -> None:
        """Begin a new stream: forget all samples, stream time is 0 again."""
        self._resampler = _resampler(self.sample_rate)
        self._analyser.reset()
        self._n_taken = self._n_mixed = self._n_there = self._n_frames = 0
        self._frame_end = N_FFT
        self._due_at = self._samples_until_due()

    def process(self, samples: Samples) -> list[WindowFeatures]:
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
        # The compiled code refuses other types by itself, but can take one order of bytes for the other.
        if samples.dtype != _FLOAT32:
            raise ValueError(_refused(samples))
        try:
            n_samples: int = self._mix(samples, self._mixed, self._n_mixed, self._n_piece)
        except TypeError:  # it takes two dimensions and no others
            raise ValueError(_refused(samples)) from None
        if n_samples < 0:
            return self._process_otherwise(samples)
        self._n_taken += n_samples
        self._n_mixed += n_samples
        if not self._is_resampled:
            self._n_there = self._n_mixed
        elif self._n_taken < self._due_at <= self._n_taken + n_samples:  # the next block completes a hop
            self._resample()
        windows: list[WindowFeatures] = []
        while self._n_taken >= self._due_at and self._is_next_frame_there():
            self._add_frame(windows)
        return windows

    def flush(self) -> list[WindowFeatures]:
        """End the stream: return the windows that the resampler's last samples complete, and reset."""
        windows: list[WindowFeatures] = []
        self._resample(last=True)
        while self._is_next_frame_there():
            self._add_frame(windows)
        self.reset()
        return windows

    def _process_otherwise(self, samples: Samples) -> list[WindowFeatures]:
        """Take a block in pieces if it is just too long, else say what is wrong with it."""
        n_channels, n_samples = samples.shape
        if n_channels == 0:
            raise ValueError(_refused(samples))
        if not np.isfinite(samples).all():
            raise ValueError("samples must be finite, got NaN or infinity")
        begins = range(0, n_samples, self._n_piece)
        return [window for n in begins for window in self.process(samples[:, n : n + self._n_piece])]

    def _warm_up(self) -> None:
        """Run what the first block would otherwise be the first to load."""
        silence = np.zeros((1, 2 * self._n_piece), np.float32)
        silence.flags.writeable = False  # as that of a message
        self.process(silence)
        self.reset()

    def _resample(self, *, last: bool = False) -> None:
        if self._resampler is None:
            return
        samples = self._resampler.resample_chunk(self._mixed[: self._n_mixed], last)
        begin = self._n_there % _RING_SAMPLES
        n_first = min(len(samples), _RING_SAMPLES - begin)
        self._ring[begin : begin + n_first] = samples[:n_first]
        self._ring[: len(samples) - n_first] = samples[n_first:]
        self._n_there += len(samples)
        self._n_mixed = 0

    def _samples_until_due(self) -> int:
        """Return after how many samples of the source the next frame is due.

        The resampler hands out more than a hop at once, and then nothing for a while. Its frames are analysed when
        the latest of them would have come, one by one, so that no hop waits for another.
        """
        return -(-self._frame_end * self.sample_rate // SAMPLE_RATE) + self._delay

    def _is_next_frame_there(self) -> bool:
        if self._n_there < self._frame_end and self._n_mixed:
            self._resample()
        return self._n_there >= self._frame_end

    def _add_frame(self, windows: list[WindowFeatures]) -> None:
        """Describe the next frame, and add the window that it completes, if it does."""
        end = self._frame_end
        summary = self._analyser.hop(self._ring, end - N_FFT, self._n_frames % WINDOW_FRAMES)
        self._n_frames += 1
        if self._n_frames >= WINDOW_FRAMES:
            windows.append(WindowFeatures(*summary, end / SAMPLE_RATE))
        self._frame_end = end + HOP_LENGTH
        self._due_at = self._samples_until_due()


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


def _mixed_ring_samples(sample_rate: int) -> int:
    """Return the power of two that lasts at least as long at the rate of the source as the ring does."""
    return 1 << math.ceil(math.log2(_RING_SAMPLES * sample_rate / SAMPLE_RATE))


def _refused(samples: Samples) -> str:
    return f"samples must be float32 of shape (n_channels, n_samples), got {samples.dtype} of shape {samples.shape}"
