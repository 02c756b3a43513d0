"""Sink `null`: nothing is heard."""

from __future__ import annotations

import msgspec
import numpy as np

from soundsage.shared.contracts import SinkRecord
from soundsage.shared.errors import InputError
from soundsage.shared.hookspecs import hookimpl

__all__ = ["soundsage_sinks"]


class NullSink:
    """A sink that forgets."""

    underruns = 0
    buffer_ms = 0.0

    def write(self, samples: np.ndarray) -> None:
        """Forget the samples."""

    def close(self) -> None:
        """Do nothing."""


def _open(target: str, options: msgspec.Struct, sample_rate: int, n_channels: int) -> NullSink:  # noqa: ARG001  any format
    return NullSink()


def _check(target: str, options: msgspec.Struct) -> None:  # noqa: ARG001  has none
    if target:
        raise InputError(f"null sink must have no target, got {target}; write null")


@hookimpl
def soundsage_sinks() -> list[SinkRecord]:
    """Return this sink."""
    return [SinkRecord(name="null", summary="nothing is heard", open=_open, check=_check)]
