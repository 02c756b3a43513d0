"""Source `file:PATH[?loop=true]`: a sound file, at the pace at which it would be heard."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from soundsage.plugins.pacing import Pacer
from soundsage.shared.audiofile import AudioFile, open_audio
from soundsage.shared.contracts import SourceBlock, SourceRecord
from soundsage.shared.errors import EndOfStream, InputError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.spec import parse_spec

__all__ = ["FileOptions", "soundsage_sources"]


class FileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to play the file.

    Attributes
    ----------
    loop : bool
        Begin again at the end, without a gap.
    """

    loop: bool = False


REST = 0.2  # of a block's length, in which it is played before the next one is decoded


class FileSource:
    """A file that plays."""

    def __init__(self, audio: AudioFile, block_size: int) -> None:
        self.sample_rate = audio.sample_rate
        self.n_channels = audio.n_channels
        self._audio = audio
        self._blocks = iter(audio)
        self._pacer = Pacer(audio.sample_rate)
        self._next: np.ndarray | None = None
        self._rest_s = REST * block_size / audio.sample_rate

    def read(self, timeout_s: float) -> SourceBlock | None:
        """Return the next block when it is due; the one after it is decoded while it is on its way."""
        if self._next is None:
            self._pacer.rest(self._rest_s)
            self._next = next(self._blocks, None)
        if self._next is None:
            raise EndOfStream(f"{self._audio.path} ended")
        t_capture_ns = self._pacer.wait(self._next.shape[1], timeout_s)
        if t_capture_ns is None:
            return None
        samples, self._next = self._next, None
        return SourceBlock(samples, t_capture_ns)

    def close(self) -> None:
        """Close the file."""
        self._pacer.close()
        self._audio.close()


def _open(target: str, options: msgspec.Struct, block_size: int) -> FileSource:
    return FileSource(open_audio(target, block_size, loop=cast("FileOptions", options).loop), block_size)


def _check(target: str, options: msgspec.Struct, sink: str) -> None:  # noqa: ARG001  any will do
    if not target:
        raise InputError("file source must name a file, got none; write file:PATH")
    written = parse_spec(sink)
    if written.name == "file" and Path(written.target).expanduser().resolve() == Path(target).expanduser().resolve():
        raise InputError(f"sink must be another file than the source, got {target} for both")
    open_audio(target, 1).close()


@hookimpl
def soundsage_sources() -> list[SourceRecord]:
    """Return this source."""
    return [
        SourceRecord(
            name="file",
            summary="a sound file in real time: wav, flac, mp3, ogg, opus, m4a and more; ?loop=true",
            open=_open,
            check=_check,
            options=FileOptions,
        )
    ]
