"""The EQ model `soundsage-eq`; its card says what it is worth."""

from __future__ import annotations

from pathlib import Path

from soundsage.shared.contracts import EqModelRecord
from soundsage.shared.hookspecs import hookimpl

__all__ = ["soundsage_eq_models"]


@hookimpl
def soundsage_eq_models() -> list[EqModelRecord]:
    """Return the model."""
    return [
        EqModelRecord(
            name="soundsage-eq",
            summary="gains of ten octaves that undo a wrong equalisation; shy, trained without labels",
            manifest=Path(__file__).with_name("manifest.json"),
        )
    ]
