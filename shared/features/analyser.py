"""The compiled kernel with its tables and its memory: frames in, the summary of the window that each completes out.

Conventions
-----------
Everything is allocated beforehand. Results are float32 and read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import kernel
from .descriptors import FLOOR_POWER, N_BANDS, ROLLOFF_SHARE, ROW_LENGTH
from .filterbanks import N_FFT, N_MELS, SAMPLE_RATE, kernel_tables
from .levels import LEVEL_FLOOR_DB
from .statistics import FEATURE_NAMES, LEVEL_RANGE_DB

if TYPE_CHECKING:
    from .filterbanks import Matrix

    Result = npt.NDArray[np.float32]
    Place = tuple[Result, Result, Result]  # where the kernel writes, and its two parts, read-only

_N_PLACES = 32


class Analyser:
    """Describes one frame after another and summarises the last ones; remembers a window and the onset's reference.

    Parameters
    ----------
    n_frames : int
        Length of a window.
    """

    def __init__(self, n_frames: int) -> None:
        tables = kernel_tables()
        self.rows: Matrix = np.zeros((n_frames, ROW_LENGTH))
        self._previous_mel_db: Matrix = np.empty(N_MELS)
        self._hop = kernel.hop
        # In the order of the kernel's arguments.
        self._memory = (
            self._previous_mel_db,
            tables.cosines,
            tables.weights,
            tables.filters,
            tables.cosine_rows,
            tables.chroma_bank,
            tables.slope_weights,
            tables.contrast,
            kernel_settings(),
            np.zeros((4, N_FFT // 2)),
        )
        self._places: list[Place] = []
        self.reset()

    def reset(self) -> None:
        """Forget the frame before, from which onsets rise."""
        self._previous_mel_db.fill(np.inf)  # nothing rises from there

    def hop(self, ring: Matrix, begin: int, newest: int) -> tuple[Result, Result, float]:
        """Describe a frame, and return what `WindowSummary` says of all rows, of which this frame's is the newest.

        Parameters
        ----------
        ring : ndarray of shape (n,), float64
            Mono samples, full scale 1.0; n is a power of two and at least N_FFT. Read only.
        begin : int
            Where the frame begins, counted in samples without end; a multiple of N_FFT / 4.
        newest : int
            Row of this frame; the one after it is the oldest.
        """
        if not self._places:
            self._places = _new_places()
        results, features, bands_db = self._places.pop()
        level_db = self._hop(ring, begin, self.rows, newest, *self._memory, results)
        return features, bands_db, level_db


def kernel_settings() -> Matrix:
    """Return the settings of the kernel, shape (N_SETTINGS,)."""
    settings = np.empty(kernel.N_SETTINGS)
    settings[kernel.FLOOR_POWER] = FLOOR_POWER
    settings[kernel.ROLLOFF_SHARE] = ROLLOFF_SHARE
    settings[kernel.BIN_WIDTH_HZ] = SAMPLE_RATE / N_FFT
    settings[kernel.LEVEL_RANGE_DB] = LEVEL_RANGE_DB
    settings[kernel.FLOOR_MEAN_SQUARE] = 10.0 ** (LEVEL_FLOOR_DB / 10.0)
    return settings


def _new_places() -> list[Place]:
    """Return places for results: in a process that sleeps, an array made anew costs a third of a spectrum."""
    results = np.empty((_N_PLACES, len(FEATURE_NAMES) + N_BANDS), dtype=np.float32)
    shown = results.view()
    shown.flags.writeable = False
    features, bands_db = shown[:, : len(FEATURE_NAMES)], shown[:, len(FEATURE_NAMES) :]
    return list(zip(results, features, bands_db, strict=True))
