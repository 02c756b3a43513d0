"""One frame of samples to one row of descriptors.

Conventions
-----------
A frame is `N_FFT` mono samples, float64, full scale 1.0, under a periodic Hann window. A row has the `DESCRIPTOR_NAMES`
first, then the power of the third-octave bands, then the mean square of the frame; `ROW_LENGTH` values, float64.
Logarithms have a fixed floor, `FLOOR_POWER`, and nothing is measured against the maximum of a longer input: a row
depends on its own frame alone, the onset strength also on the frame before.

Every descriptor but the level stays as it is when the signal is turned up or down, as long as its spectrum lies above
the floor. White noise of L dBFS has bins of L + 29 dB, so the floor is a noise of -189 dBFS: the dither of 16 bits,
turned down by 40 dB, stays 50 dB above it. A lower floor would let each digital pause weigh more.

Contrast, centroid, bandwidth and rolloff read the magnitude spectrum; mel, chroma, flatness and bands its square.
"""

from __future__ import annotations

from .filterbanks import BAND_FREQUENCIES_HZ, CONTRAST_EDGES_HZ, N_MFCC

FLOOR_POWER = 1e-16
"""Smallest power of a bin or band that a logarithm sees: -160 dB."""
ROLLOFF_SHARE = 0.85
"""Share of the summed magnitude below the rolloff frequency."""

_PITCH_CLASSES = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")
_SCALARS = (
    "centroid_hz",
    "bandwidth_hz",
    "rolloff_hz",
    "flatness",
    "zero_crossing_rate",
    "onset_db",
    "slope_db_per_octave",
    "level_db",
)

DESCRIPTOR_NAMES: tuple[str, ...] = (
    *(f"mfcc_{n:02d}" for n in range(1, N_MFCC + 1)),
    *(f"chroma_{name}" for name in _PITCH_CLASSES),
    *(f"contrast_{edge}_hz" for edge in CONTRAST_EDGES_HZ),
    *_SCALARS,
)
"""The 40 descriptors of a frame, in the order of the row."""

N_DESCRIPTORS = len(DESCRIPTOR_NAMES)
N_BANDS = len(BAND_FREQUENCIES_HZ)
ROW_LENGTH = N_DESCRIPTORS + N_BANDS + 1
BANDS = slice(N_DESCRIPTORS, N_DESCRIPTORS + N_BANDS)
"""Columns of the third-octave band powers."""
MEAN_SQUARE = ROW_LENGTH - 1
"""Column of the mean square of the frame's samples."""
