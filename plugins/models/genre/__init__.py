"""The genre model `soundsage-genre`; its card says what it is worth."""

from __future__ import annotations

from pathlib import Path

from soundsage.shared.contracts import GenreModelRecord
from soundsage.shared.hookspecs import hookimpl

__all__ = ["soundsage_genre_models"]


@hookimpl
def soundsage_genre_models() -> list[GenreModelRecord]:
    """Return the model."""
    return [
        GenreModelRecord(
            name="soundsage-genre",
            summary="eight genres from three seconds; small, trained on freely licensed excerpts",
            manifest=Path(__file__).with_name("manifest.json"),
        )
    ]
