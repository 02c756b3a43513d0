"""Turn messages into frames and frames into messages, without ever touching a socket.

Conventions
-----------
A message is a list of frames: one MessagePack map (the envelope, which holds the message's own fields as `body`),
then one raw C-order little-endian frame per array. In the body an array is replaced by `[frame, dtype, shape]`, where
`frame` counts from 0 at the first raw frame. Any MessagePack library can read the envelope; nothing is ever pickled.

A peer's bytes give a `Received` or a `WireError`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from .errors import WireError
from .messages import MESSAGE_TYPES, Message, kind_of, owner_of

__all__ = ["MAX_FRAMES", "MAX_FRAME_BYTES", "Decoder", "Envelope", "Received", "encode", "peek"]

MAX_FRAMES = 8
MAX_FRAME_BYTES = 4 << 20
MAX_DIMENSIONS = 2
DTYPES = {name: np.dtype(name) for name in ("<f4", "<f2", "<i4", "<i2")}

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Body = TypeVar("Body")


class Envelope(msgspec.Struct, Generic[Body], frozen=True):
    """What the transport knows of a message, and the message.

    Attributes
    ----------
    schema : str
        Kind and version of the body, such as `audio_block/v1`.
    source : str
        The service that publishes.
    epoch : int
        When that process began, ns of the monotonic clock: a restarted source has a larger epoch.
    seq : int
        Counts the messages of this source and topic from 0; a jump is a loss.
    t_capture_ns, t_publish_ns : int
        Monotonic clock of the machine, ns: when the newest sound behind this message was captured, and when it was
        sent.
    lifespan_ms : int
        The age since publication, ms, past which a receiver must drop it.
    body : Message or msgspec.Raw
        The message; as bytes, where only the rest was asked for.
    """

    schema: Name
    source: Name
    epoch: Count
    seq: Count
    t_capture_ns: Count
    t_publish_ns: Count
    lifespan_ms: Annotated[int, Meta(ge=0, le=86_400_000)]
    body: Body

    def age_ms(self, now_ns: int) -> float:
        """Return the time since publication in ms."""
        return (now_ns - self.t_publish_ns) / 1e6

    def latency_ms(self, now_ns: int) -> float:
        """Return the time since the capture of the newest sound behind the message in ms."""
        return (now_ns - self.t_capture_ns) / 1e6


class Received(msgspec.Struct, frozen=True, eq=False):
    """A message in the envelope it came in."""

    topic: str
    envelope: Envelope[Message]

    @property
    def message(self) -> Message:
        """What was said."""
        return self.envelope.body


_peek = msgspec.msgpack.Decoder(Envelope[msgspec.Raw]).decode


def encode(message: Message, *, source: str, epoch: int, seq: int, t_capture_ns: int, t_publish_ns: int) -> list[bytes]:
    """Return the frames of a message, without its topic.

    Raises
    ------
    ValueError
        If an array has a dtype, a number of dimensions or a size that the wire does not carry.
    """
    arrays: list[bytes] = []

    def reference(value: object) -> tuple[int, str, tuple[int, ...]]:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"value must be an array, got {type(value).__name__}")
        if value.dtype.str not in DTYPES or value.ndim > MAX_DIMENSIONS:
            raise ValueError(f"array must be one of {sorted(DTYPES)} with at most 2 axes, got {value.dtype.str}")
        if value.nbytes > MAX_FRAME_BYTES:
            raise ValueError(f"array must have at most {MAX_FRAME_BYTES} bytes, got {value.nbytes}")
        arrays.append(value.tobytes())
        return len(arrays) - 1, value.dtype.str, value.shape

    envelope = Envelope(message.schema, source, epoch, seq, t_capture_ns, t_publish_ns, message.lifespan_ms, message)
    return [msgspec.msgpack.encode(envelope, enc_hook=reference), *arrays]


def peek(frames: list[bytes]) -> Envelope[msgspec.Raw]:
    """Return the envelope alone.

    Raises
    ------
    WireError
        If the frames are too many, too large, or the first is no envelope.
    """
    _require_limits(frames)
    try:
        return _peek(frames[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"envelope must be readable, got {frames[0][:16].hex()}: {_line(error)}") from error


class Decoder:
    """Turns frames into messages, envelope and body at one go; belongs to one thread."""

    def __init__(self) -> None:
        self._frames: Sequence[bytes] = ()
        self._kinds = {kind_of(each): (self._decoder_of(each), owner_of(each)) for each in MESSAGE_TYPES.values()}

    def decode(self, topic: str, frames: list[bytes]) -> Received:
        """Return the message that the frames carry; its arrays are read-only views of them.

        Raises
        ------
        WireError
            If the frames are malformed, truncated, oversized, of a schema or version unknown here, or of another topic.
        """
        _require_limits(frames)
        kind, _, name = topic.partition("/")
        if kind not in self._kinds:
            raise WireError(f"topic must begin with one of {', '.join(self._kinds)}, got {_line(topic)}")
        decoder, owner = self._kinds[kind]
        self._frames = frames
        try:
            envelope = decoder.decode(frames[0])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            schema = peek(frames).schema
            _require_known(schema)
            raise WireError(f"{schema} must be readable, got {frames[0][:16].hex()}: {_line(error)}") from error
        finally:
            self._frames = ()
        message = envelope.body
        if envelope.schema != message.schema:
            _require_known(envelope.schema)
            raise WireError(f"topic must fit the message, {envelope.schema}, got {_line(topic)}")
        if getattr(message, owner) != name:
            raise WireError(f"topic must be {message.topic} for this message, got {_line(topic)}")
        return Received(topic, envelope)

    def _decoder_of(self, message_type: type[Message]) -> msgspec.msgpack.Decoder[Envelope[Message]]:
        return msgspec.msgpack.Decoder(Envelope[message_type], dec_hook=self._array)  # type: ignore[valid-type]  # a variable

    def _array(self, _type: type, value: Any) -> np.ndarray:
        """Return the array that a body's `[frame, dtype, shape]` stands for; ValueError becomes msgspec's own error."""
        index, dtype, shape = value
        if type(dtype) is not str or dtype not in DTYPES or type(shape) is not list or len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"array must be one of {sorted(DTYPES)} with at most 2 axes, got {dtype} {shape}")
        if type(index) is not int or not 0 <= index < len(self._frames) - 1:
            raise ValueError(f"array frame must lie in [0, {len(self._frames) - 2}], got {index}")
        n_bytes = DTYPES[dtype].itemsize
        for length in shape:
            if type(length) is not int or length < 0:
                raise ValueError(f"array shape must be counts, got {shape}")
            n_bytes *= length
        frame = self._frames[index + 1]
        if len(frame) != n_bytes:
            raise ValueError(f"array frame must fit {dtype} {shape}, got {len(frame)} bytes")
        return np.ndarray(shape, DTYPES[dtype], frame)


def _require_limits(frames: list[bytes]) -> None:
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"message must have 1 to {MAX_FRAMES} frames, got {len(frames)}")
    largest = max(map(len, frames))
    if largest > MAX_FRAME_BYTES:
        raise WireError(f"frame must have at most {MAX_FRAME_BYTES} bytes, got {largest}")


def _require_known(schema: str) -> None:
    if schema not in MESSAGE_TYPES:
        raise WireError(f"schema must be one of {', '.join(MESSAGE_TYPES)}, got {schema!r}")


def _line(error: object) -> str:
    """Return what went wrong without what a peer may have smuggled into it: line ends, escapes, megabytes."""
    return str(error)[:200].encode("unicode_escape").decode()
