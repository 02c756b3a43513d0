"""Source `null`: silence, at the pace of a sound card."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
import numpy as np

from soundsage.plugins.pacing import Pacer
from soundsage.shared.contracts import SourceBlock, SourceRecord
from soundsage.shared.errors import InputError
from soundsage.shared.hookspecs import hookimpl

__all__ = ["NullOptions", "soundsage_sources"]


class NullOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The format of the silence.

    Attributes
    ----------
    sample_rate : int
        Hz.
    n_channels : int
    """

    sample_rate: Annotated[int, msgspec.Meta(ge=8_000, le=192_000)] = 48_000
    n_channels: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2


class NullSource:
    """Silence."""

    def __init__(self, options: NullOptions, block_size: int) -> None:
        self.sample_rate = options.sample_rate
        self.n_channels = options.n_channels
        self._block_size = block_size
        self._pacer = Pacer(options.sample_rate)

    def read(self, timeout_s: float) -> SourceBlock | None:
        """Return a block of zeros when it is due."""
        t_capture_ns = self._pacer.wait(self._block_size, timeout_s)
        if t_capture_ns is None:
            return None
        return SourceBlock(np.zeros((self.n_channels, self._block_size), np.float32), t_capture_ns)

    def close(self) -> None:
        """End a read that is under way."""
        self._pacer.close()


def _open(target: str, options: msgspec.Struct, block_size: int) -> NullSource:  # noqa: ARG001  checked to be empty
    return NullSource(cast("NullOptions", options), block_size)


def _check(target: str, options: msgspec.Struct, sink: str) -> None:  # noqa: ARG001  silence suits any sink
    if target:
        raise InputError(f"null source must have no target, got {target}; write null")


@hookimpl
def soundsage_sources() -> list[SourceRecord]:
    """Return this source."""
    return [SourceRecord(name="null", summary="silence", open=_open, check=_check, options=NullOptions)]
