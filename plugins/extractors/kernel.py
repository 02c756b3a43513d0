"""The extractor `soundsage-80`: the feature kernel that training uses, as a plugin."""

from __future__ import annotations

from soundsage.shared.contracts import ExtractorRecord
from soundsage.shared.features import FEATURE_NAMES, FEATURE_SET, FeatureStream
from soundsage.shared.hookspecs import hookimpl

__all__ = ["soundsage_feature_extractors"]


@hookimpl
def soundsage_feature_extractors() -> list[ExtractorRecord]:
    """Return the kernel."""
    return [
        ExtractorRecord(
            name="soundsage-80",
            summary="80 level-independent features and 24 third-octave bands of the last 3 s, every 23 ms",
            feature_set=FEATURE_SET,
            feature_names=FEATURE_NAMES,
            make=FeatureStream,
        )
    ]
