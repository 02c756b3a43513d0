"""Decode audio files of every common format, block by block, straight from the disk.

libsndfile reads what it knows; FFmpeg, through PyAV, what libsndfile refuses: m4a, webm, unusual Ogg streams. Both are
loaded when the first file is opened, since most processes never open one.

Conventions
-----------
Blocks are float32 of shape `(n_channels, n_samples)`, full scale 1.0, time last. All have `block_size` samples except
the last one, which may be shorter.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from .errors import InputError, MediaError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

__all__ = ["AudioFile", "open_audio"]

MAX_CHANNELS = 64
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
READ_SAMPLES = 4_096
# The first packets of a stream that was cut out of a longer one may lean on packets that are not there.
MAX_LEADING_FAULTS = 16
# libsndfile says the greatest number there is when a stream does not state its length.
UNSTATED_SAMPLES = 1 << 60


class _UndecodableError(Exception):
    """What a decoder cannot read, in its own words."""


@dataclass(frozen=True)
class _Decoding:
    """What a file holds; `chunks` decodes it from the beginning, `n_samples` is None if nothing states it."""

    sample_rate: int
    n_channels: int
    n_samples: int | None
    chunks: Callable[[], Iterator[np.ndarray]]


class AudioFile:
    """A file that is being decoded, to be iterated once.

    Attributes
    ----------
    path : Path
    sample_rate : int
        Hz.
    n_channels : int
    duration_s : float or None
        What the file says of itself; None when it does not.
    """

    def __init__(self, path: Path, file: BinaryIO, decoding: _Decoding, block_size: int, *, loop: bool) -> None:
        self.path = path
        self.sample_rate = decoding.sample_rate
        self.n_channels = decoding.n_channels
        self.duration_s = None if decoding.n_samples is None else decoding.n_samples / decoding.sample_rate
        self._file = file
        self._block_size = block_size
        self._loop = loop
        self._decoding = decoding
        self._n_decoded = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield blocks of shape (n_channels, n_samples), float32.

        Raises
        ------
        MediaError
            If the file turns out to be damaged on the way.
        """
        return _in_blocks(self._checked(), self._block_size)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _checked(self) -> Iterator[np.ndarray]:
        try:
            for samples in self._passes():
                _refuse_non_finite(samples)
                self._n_decoded += samples.shape[1]
                yield samples
        except (_UndecodableError, OSError) as error:
            raise MediaError(
                f"{self.path} is damaged {self._n_decoded / self.sample_rate:.1f} s after its start: {error}; "
                "use an intact copy"
            ) from error

    def _passes(self) -> Iterator[np.ndarray]:
        yield from self._decoding.chunks()
        while self._loop:
            self._n_decoded = 0
            yield from self._decoding.chunks()


def _refuse_non_finite(samples: np.ndarray) -> None:
    if not np.isfinite(samples).all():
        raise _UndecodableError("it holds samples that are no finite numbers")


def open_audio(path: Path | str, block_size: int, *, loop: bool = False) -> AudioFile:
    """Return an audio file, ready to be read.

    Parameters
    ----------
    path : Path or str
    block_size : int
        Samples per block.
    loop : bool
        Begin again after the last sample, without a gap, for ever.

    Raises
    ------
    InputError
        If it does not exist, is no regular file, is not readable, is empty or holds nothing that can be decoded.
    """
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    path = Path(path).expanduser()
    file = _open_regular(path)
    try:
        return AudioFile(path, file, _decoding_of(path, file), block_size, loop=loop)
    except BaseException:
        file.close()
        raise


def _open_regular(path: Path) -> BinaryIO:
    try:
        # A named pipe would make open wait for its writer.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"audio file must be a regular file, got {path}; name a file in it or another one")
        if not found.st_size:
            raise InputError(f"audio file {path} is empty; name another one")
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise InputError(f"audio file {path} does not exist; check its name") from error
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise InputError(f"audio file {path} cannot be opened: {reason}") from error


def _decoding_of(path: Path, file: BinaryIO) -> _Decoding:
    """Return the first way to read the file that yields samples."""
    faults = []
    for decode in (_with_sndfile, _with_ffmpeg):
        try:
            decoding = decode(file)
            if next(decoding.chunks(), None) is not None:
                return _refuse_odd(path, decoding)
            faults.append("it holds no sound")
        except (_UndecodableError, OSError) as error:
            faults.append(str(error).strip().rstrip(":.") or "unknown format")
    raise InputError(f"audio file {path} cannot be decoded: {faults[-1]}; name a sound file that is intact")


def _refuse_odd(path: Path, decoding: _Decoding) -> _Decoding:
    if not MIN_SAMPLE_RATE <= decoding.sample_rate <= MAX_SAMPLE_RATE:
        raise InputError(
            f"sample rate of {path} must lie in [{MIN_SAMPLE_RATE}, {MAX_SAMPLE_RATE}] Hz, got {decoding.sample_rate}"
        )
    if not 1 <= decoding.n_channels <= MAX_CHANNELS:
        raise InputError(f"{path} must have 1 to {MAX_CHANNELS} channels, got {decoding.n_channels}")
    return decoding


def _with_sndfile(file: BinaryIO) -> _Decoding:
    """Read with libsndfile, from the descriptor: it then goes by the content and not by the extension."""
    import soundfile

    class Stream(soundfile.SoundFile):  # type: ignore[misc]  # it comes without types
        """A file that soundfile may not seek in: it would after every read, at which MP3 and Opus lose their state."""

        def seekable(self) -> bool:
            return False

    def chunks() -> Iterator[np.ndarray]:
        try:
            sound.seek(0)
            while len(frames := sound.read(READ_SAMPLES, dtype="float32", always_2d=True)):
                yield np.ascontiguousarray(frames.T)
        except soundfile.SoundFileError as error:
            raise _UndecodableError(str(error) or "libsndfile lost the stream") from error

    file.seek(0)
    try:
        sound = Stream(file.fileno(), closefd=False)
    except soundfile.SoundFileError as error:
        raise _UndecodableError(str(error)) from error
    n_samples = int(sound.frames) if sound.frames < UNSTATED_SAMPLES else None
    return _Decoding(int(sound.samplerate), int(sound.channels), n_samples, chunks)


def _with_ffmpeg(file: BinaryIO) -> _Decoding:
    """Read with FFmpeg, through a file object: a playlist then cannot make it open anything else."""
    import av

    with _container(file) as (container, stream):
        # The first frame tells the true format: AAC with spectral band replication has twice the rate of its header.
        frame = next(_frames(container, stream), None)
        if frame is None:
            raise _UndecodableError("it holds no sound")
        sample_rate, layout = frame.sample_rate, frame.layout
        n_samples, is_exact = _stated_length(container, stream, sample_rate)

    def chunks() -> Iterator[np.ndarray]:
        left = n_samples if is_exact else None
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=sample_rate)
        with _container(file) as (container, stream):
            for frame in _frames(container, stream):
                for part in resampler.resample(frame):
                    samples = part.to_ndarray()[:, :left].astype(np.float32, copy=False)
                    left = None if left is None else left - samples.shape[1]
                    if samples.shape[1]:
                        yield samples

    return _Decoding(sample_rate, len(layout.channels), n_samples, chunks)


@contextmanager
def _container(file: BinaryIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    import av

    file.seek(0)
    try:
        with av.open(file, "r") as container:
            if not container.streams.audio:
                raise _UndecodableError("it has no audio stream")
            yield container, container.streams.audio[0]
    except av.error.FFmpegError as error:
        raise _UndecodableError(error.strerror or "FFmpeg lost the stream") from error


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    import av

    n_faults, has_begun = 0, False
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            n_faults += 1
            if has_begun or n_faults > MAX_LEADING_FAULTS:
                raise
            continue
        has_begun = has_begun or bool(frames)
        yield from frames


def _stated_length(container: InputContainer, stream: AudioStream, sample_rate: int) -> tuple[int | None, bool]:
    """Return the length in samples, and whether it is exact: MP4 alone leaves the padding of the last frame to us."""
    if stream.duration is not None and stream.time_base is not None:
        is_exact = "mp4" in container.format.name and not stream.start_time
        return round(stream.duration * stream.time_base * sample_rate), is_exact
    if container.duration is not None:
        return round(container.duration * sample_rate / 1_000_000), False
    return None, False


def _in_blocks(chunks: Iterator[np.ndarray], block_size: int) -> Iterator[np.ndarray]:
    """Yield the same samples in blocks of one size, the last one as long as what is left."""
    rest: list[np.ndarray] = []
    n_rest = 0
    for chunk in chunks:
        rest.append(chunk)
        n_rest += chunk.shape[1]
        if n_rest < block_size:
            continue
        samples = np.concatenate(rest, axis=1)
        n_whole = n_rest - n_rest % block_size
        for start in range(0, n_whole, block_size):
            yield samples[:, start : start + block_size].copy()
        rest, n_rest = [samples[:, n_whole:]], n_rest - n_whole
    if n_rest:
        yield np.concatenate(rest, axis=1)
