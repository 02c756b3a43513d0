"""Give the blocks of a source their place in the stream."""

from __future__ import annotations

import numpy as np

from soundsage.shared.messages import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, AudioBlock, StreamEnded
from soundsage.shared.wire import MAX_FRAME_BYTES

__all__ = ["Stream"]


class Stream:
    """Counts samples; a source that was opened again goes on in the same stream.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.start = 0

    def block(self, samples: np.ndarray, sample_rate: int) -> AudioBlock:
        """Return the next block.

        Parameters
        ----------
        samples : ndarray of shape (n_channels, n_samples), float32
        sample_rate : int
            Hz.

        Raises
        ------
        ValueError
            If they are no block that others would take.
        """
        if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
            raise ValueError(f"sample_rate must lie in [{MIN_SAMPLE_RATE}, {MAX_SAMPLE_RATE}] Hz, got {sample_rate}")
        if samples.nbytes > MAX_FRAME_BYTES:
            raise ValueError(f"samples must have at most {MAX_FRAME_BYTES} bytes, got {samples.nbytes}")
        block = AudioBlock(stream=self.name, sample_rate=int(sample_rate), start=self.start, samples=samples)
        self.start += samples.shape[1]
        return block

    def end(self) -> StreamEnded:
        """Return the message behind the last block."""
        return StreamEnded(stream=self.name, start=self.start)
