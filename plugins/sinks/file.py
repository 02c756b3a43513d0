"""Sink `file:PATH`: what would be heard, in a file.

The extension says the format: wav (32-bit float; also without an extension), flac, ogg, opus or mp3. A writer thread
of its own does the encoding, so that a slow disk holds nobody up. When the disk is full, what was written so far is
kept if it can be played, and removed if it cannot.

A file of an earlier mesh is overwritten, as the user asked. What this mesh has written is not: when the process was
killed or the format changed, the part before is `NAME-1`, `NAME-2` and so on. A hidden `.NAME.unfinished` beside the
file says that it is being written.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import logging
import os
import queue
import threading
from pathlib import Path

import msgspec
import numpy as np

from soundsage.shared.audiofile import open_audio
from soundsage.shared.contracts import SinkRecord
from soundsage.shared.errors import InputError, MediaError
from soundsage.shared.hookspecs import hookimpl

__all__ = ["soundsage_sinks"]

log = logging.getLogger(__name__)

FORMATS = {
    "": ("WAV", "FLOAT"),
    ".wav": ("WAV", "FLOAT"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
# Enough for a disk that wakes up, and little beside what else is in memory.
MAX_WAITING_S = 10.0
CLOSE_TIMEOUT_S = 2.0
# The sizes in a WAV header have 32 bits; this leaves room for the header itself.
MAX_WAV_BYTES = (1 << 32) - (1 << 16)
# What this process has written, and must not overwrite.
_finished: set[Path] = set()


class FileSink:
    """A file that is being written; `buffer_ms` is what waited for the writer at the last block.

    Parameters
    ----------
    path : Path
    sample_rate : int
        Hz.
    n_channels : int
    """

    underruns = 0
    buffer_ms = 0.0

    def __init__(self, path: Path, sample_rate: int, n_channels: int) -> None:
        import soundfile

        self._path = path
        self._sample_rate = sample_rate
        container, subtype = FORMATS[path.suffix.lower()]
        self._max_samples = MAX_WAV_BYTES // (4 * n_channels) if container == "WAV" else None
        layout = {"samplerate": sample_rate, "channels": n_channels, "format": container, "subtype": subtype}
        self._error = soundfile.SoundFileError
        try:
            # In memory first: the file that stands there is not touched for a format that cannot be.
            soundfile.SoundFile(io.BytesIO(), "w", **layout).close()
        except soundfile.SoundFileError as error:
            raise InputError(
                f"{path} cannot hold {n_channels} channels at {sample_rate} Hz: {error}; write .wav"
            ) from error
        self._mark = path.with_name(f".{path.name}.unfinished")
        if path in _finished or self._mark.exists():
            _move_aside(path)
        self._file = _created(path)
        self._mark.touch()
        try:
            self._sound = soundfile.SoundFile(self._file, "w", closefd=False, **layout)
        except soundfile.SoundFileError as error:
            os.close(self._file)
            path.unlink(missing_ok=True)
            self._mark.unlink(missing_ok=True)
            raise MediaError(f"{path} cannot be written: {error}; is the disk full?") from error
        self._queue: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        self._n_taken = 0
        self._n_written = 0
        self._fault: str | None = None
        self._is_closed = False
        self._writer = threading.Thread(target=self._write_all, name="file-sink", daemon=True)
        self._writer.start()

    def write(self, samples: np.ndarray) -> None:
        """Take a block, shape (n_channels, n_samples).

        Raises
        ------
        MediaError
            If an earlier one could not be written, or the disk is too slow.
        """
        if self._fault is not None:
            raise MediaError(self._fault)
        self._n_taken += samples.shape[1]
        self._queue.put(samples.T.astype(np.float32, order="C"))
        self.buffer_ms = 1e3 * (self._n_taken - self._n_written) / self._sample_rate
        if self.buffer_ms > 1e3 * MAX_WAITING_S:
            raise MediaError(f"{self._path} takes samples too slowly: {MAX_WAITING_S:g} s wait; write to another disk")

    def close(self) -> None:
        """Write what is left and finish the file.

        Raises
        ------
        MediaError
            If that fails or takes more than 2 s.
        """
        if self._is_closed:
            return
        self._is_closed = True
        was_known = self._fault is not None
        self._queue.put(None)
        self._writer.join(CLOSE_TIMEOUT_S)
        if self._writer.is_alive():
            raise MediaError(f"{self._path} was not finished in {CLOSE_TIMEOUT_S:g} s; write to another disk")
        if self._fault is not None and not was_known:
            raise MediaError(self._fault)

    def _write_all(self) -> None:
        try:
            while (frames := self._queue.get()) is not None:
                self._put(frames)
            self._sound.close()
        except (self._error, AssertionError, OSError) as error:  # a short write fails an assertion of soundfile
            fault = f"{self._path} cannot be written further: {self._reason(error)}"
            with contextlib.suppress(self._error):
                self._sound.close()
            self._fault = f"{fault}; what was written before is {'kept' if self._is_kept() else 'no sound and removed'}"
        finally:
            os.close(self._file)
            self._mark.unlink(missing_ok=True)
            _finished.add(self._path)

    def _put(self, frames: np.ndarray) -> None:
        if self._max_samples is not None and self._n_written + len(frames) > self._max_samples:
            raise OSError(errno.EFBIG, "a WAV file holds 4 GiB at most; write .flac")
        self._sound.write(frames)
        self._n_written += len(frames)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return str(error.strerror)
        space = os.fstatvfs(self._file)
        is_full = space.f_bavail * space.f_frsize < 1 << 16
        return "the disk is full; free some space" if is_full else (str(error) or "the disk refused it")

    def _is_kept(self) -> bool:
        try:
            open_audio(self._path, 1).close()
        except InputError:
            self._path.unlink(missing_ok=True)
            return False
        return True


def _move_aside(path: Path) -> None:
    if not path.exists():
        return
    aside = next(name for n in itertools.count(1) if not (name := path.with_stem(f"{path.stem}-{n}")).exists())
    path.rename(aside)
    log.warning("kept what was written before path=%s", aside)


def _created(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error.strerror}; name another file") from error


def _open(target: str, options: msgspec.Struct, sample_rate: int, n_channels: int) -> FileSink:  # noqa: ARG001  has none
    return FileSink(Path(target).expanduser(), sample_rate, n_channels)


def _check(target: str, options: msgspec.Struct) -> None:  # noqa: ARG001  has none
    if not target:
        raise InputError("file sink must name a file, got none; write file:PATH")
    path = Path(target).expanduser()
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(suffix for suffix in FORMATS if suffix)
        raise InputError(f"extension of {path} must be one of {known}, got {path.suffix}")
    if path.exists() and not path.is_file():
        raise InputError(f"file sink must be a regular file, got {path}; name a file in it or another one")
    if not path.parent.is_dir():
        raise InputError(f"directory {path.parent} does not exist; create it or name another one")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{path} cannot be written; name another file")


@hookimpl
def soundsage_sinks() -> list[SinkRecord]:
    """Return this sink."""
    return [SinkRecord(name="file", summary="a file: wav, flac, ogg, opus or mp3", open=_open, check=_check)]
