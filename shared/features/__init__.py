"""The one feature kernel of training, files and live input: samples in, 80 level-independent features every 23.2 ms.

>>> import numpy as np
>>> from soundsage.shared.features import FEATURE_NAMES, FeatureStream
>>> stream = FeatureStream(sample_rate=44100)
>>> noise = np.random.default_rng(440).standard_normal((2, 44100 * 4)).astype(np.float32)
>>> windows = stream.process(0.1 * noise)
>>> windows[0].features.shape == (len(FEATURE_NAMES),) == (80,)
True
"""

from __future__ import annotations

from .filterbanks import BAND_FREQUENCIES_HZ, FMAX_HZ, HOP_LENGTH, N_FFT, SAMPLE_RATE
from .levels import LEVEL_FLOOR_DB, levels_of, peak_db, rms_db
from .statistics import FEATURE_NAMES, FEATURE_SET, FEATURE_TABLE
from .stream import MIN_SAMPLE_RATE, WINDOW_FRAMES, WINDOW_S, FeatureStream, WindowFeatures, windows_of

__all__ = [  # noqa: RUF022 - in the order of reading: the stream, its settings, its names, meters
    "FeatureStream",
    "WindowFeatures",
    "windows_of",
    "SAMPLE_RATE",
    "MIN_SAMPLE_RATE",
    "N_FFT",
    "HOP_LENGTH",
    "FMAX_HZ",
    "WINDOW_S",
    "WINDOW_FRAMES",
    "FEATURE_SET",
    "FEATURE_NAMES",
    "FEATURE_TABLE",
    "BAND_FREQUENCIES_HZ",
    "LEVEL_FLOOR_DB",
    "levels_of",
    "rms_db",
    "peak_db",
]
