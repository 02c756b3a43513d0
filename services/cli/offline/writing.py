"""Write a sound file beside its name, and give it the name when it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from soundsage.shared.audiofile import AudioFile
from soundsage.shared.errors import InputError, MediaError

from .steady import make_steady

__all__ = ["NewSound", "output_format"]

FORMATS = {
    ".wav": ("WAV", "FLOAT"),
    ".flac": ("FLAC", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".aif": ("AIFF", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""Container of each extension, and what is in it when the input's own samples are of another kind."""

LOSSLESS = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
# The sizes in a WAV or AIFF header have 32 bits; this leaves room for the header itself.
MAX_BYTES = (1 << 32) - (1 << 16)


def output_format(output: Path, source: Path) -> tuple[str, str]:
    """Return container and sample format: by the extension, and as fine as the input where the container can.

    Raises
    ------
    InputError
        If nothing can be written with that extension.
    """
    import soundfile

    if output.suffix.lower() not in FORMATS:
        raise InputError(f"extension of {output} must be one of {', '.join(FORMATS)}, got {output.suffix or 'none'}")
    container, subtype = FORMATS[output.suffix.lower()]
    with contextlib.suppress(soundfile.SoundFileError):
        found = soundfile.info(str(source)).subtype
        if found in LOSSLESS and soundfile.check_format(container, found):
            return container, found
    return container, subtype


class NewSound:
    """A sound file that comes to be, or not: whole under its name, or without a trace.

    Parameters
    ----------
    output : Path
    source : AudioFile
        What it is made from: the same rate and channels, and never the same file.

    Raises
    ------
    InputError
        If the output cannot have that name or hold such sound.
    """

    def __init__(self, output: Path, source: AudioFile) -> None:
        import soundfile

        _check(output, source.path)
        container, subtype = output_format(output, source.path)
        self._output = output
        self._beside = output.with_name(f".{output.name}.{os.getpid()}.part")
        self._error = soundfile.SoundFileError
        self._is_limited = container in ("WAV", "AIFF")
        try:
            self._sound = soundfile.SoundFile(
                self._beside, "x", source.sample_rate, source.n_channels, subtype, format=container
            )
        except soundfile.SoundFileError as error:
            self._beside.unlink(missing_ok=True)
            raise InputError(
                f"{output} cannot hold {source.n_channels} channels at {source.sample_rate} Hz: {error}; write .wav"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            with self._told():
                self._sound.close()
                if error_type is None:
                    make_steady(self._beside)
                    self._beside.replace(self._output)
        finally:
            self._beside.unlink(missing_ok=True)

    def write(self, samples: np.ndarray) -> None:
        """Write a block, shape (n_channels, n_samples), float32.

        Raises
        ------
        MediaError
            If the disk is full or breaks.
        """
        with self._told():
            self._sound.write(samples.T)
            if self._is_limited and self._beside.stat().st_size > MAX_BYTES:
                raise OSError(errno.EFBIG, "such a file holds 4 GiB at most, write .flac")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (self._error, AssertionError, OSError) as error:  # a short write fails an assertion of soundfile
            raise MediaError(f"{self._output} cannot be written: {_reason(error, self._output)}") from error


def _reason(error: Exception, output: Path) -> str:
    space = os.statvfs(output.parent)
    if space.f_bavail * space.f_frsize < 1 << 16:
        return "the disk is full; free some space"
    return (error.strerror if isinstance(error, OSError) else str(error)) or "the disk refused it"


def _check(output: Path, source: Path) -> None:
    if not output.parent.is_dir():
        raise InputError(f"directory {output.parent} does not exist; create it or name another one")
    if output.exists():
        if output.samefile(source):
            raise InputError(f"output must be another file than the input, got {output}")
        if not output.is_file():
            raise InputError(f"output must be a regular file, got {output}; name a file in it or another one")
    if not os.access(output.parent, os.W_OK):
        raise InputError(f"directory {output.parent} cannot be written; name another one")
