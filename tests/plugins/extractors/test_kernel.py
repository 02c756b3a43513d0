"""The extractor `soundsage-80`."""

from __future__ import annotations

import numpy as np

from soundsage.plugins.extractors.kernel import soundsage_feature_extractors
from soundsage.shared.contracts import WindowFeatures
from soundsage.shared.features import windows_of


def test_the_plugin_gives_the_numbers_of_the_kernel() -> None:
    """An extractor made by the record says what training would compute, and as many as it has names."""
    (record,) = soundsage_feature_extractors()
    samples = 0.1 * np.random.default_rng(440).standard_normal((2, 4 * 44100)).astype(np.float32)
    extractor = record.make(44100)
    windows = extractor.process(samples) + extractor.flush()

    assert all(isinstance(window, WindowFeatures) for window in windows)
    for window, expected in zip(windows, windows_of(samples, 44100), strict=True):
        np.testing.assert_array_equal(window.features, expected.features)
    assert windows[0].features.shape == (len(record.feature_names),)
