"""Turn messages into frames and frames into messages, without ever touching a socket.

Conventions
-----------
A message is a list of frames: one MessagePack map (the envelope, which holds the message's own fields as `body`),
then one raw C-order little-endian frame per array. In the body an array is replaced by `[frame, dtype, shape]`, where
`frame` counts from 0 at the first raw frame. Any MessagePack library can read the envelope; nothing is ever pickled.

A peer's bytes give a `Received` or a `WireError`, and nothing else.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from .errors import WireError
from .messages import MESSAGE_TYPES, Message

__all__ = ["MAX_FRAMES", "MAX_FRAME_BYTES", "Envelope", "Received", "decode", "encode", "peek"]

MAX_FRAMES = 8
MAX_FRAME_BYTES = 4 << 20
MAX_DIMENSIONS = 2
ITEM_BYTES = {"<f4": 4, "<f2": 2, "<i4": 4, "<i2": 2}

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Reference = tuple[Count, str, list[Count]]


class Envelope(msgspec.Struct, frozen=True):
    """What the transport knows of a message.

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
    body : msgspec.Raw
        The message's own fields, a MessagePack map.
    """

    schema: Name
    source: Name
    epoch: Count
    seq: Count
    t_capture_ns: Count
    t_publish_ns: Count
    lifespan_ms: Annotated[int, Meta(ge=0, le=86_400_000)]
    body: msgspec.Raw

    def age_ms(self, now_ns: int) -> float:
        """Return the time since publication in ms."""
        return (now_ns - self.t_publish_ns) / 1e6

    def latency_ms(self, now_ns: int) -> float:
        """Return the time since the capture of the newest sound behind the message in ms."""
        return (now_ns - self.t_capture_ns) / 1e6


class Received(msgspec.Struct, frozen=True, eq=False):
    """A message and the envelope it came in."""

    topic: str
    envelope: Envelope
    message: Message


_encode_envelope = msgspec.msgpack.Encoder().encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode


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
        if value.dtype.str not in ITEM_BYTES or value.ndim > MAX_DIMENSIONS:
            raise ValueError(f"array must be one of {sorted(ITEM_BYTES)} with at most 2 axes, got {value.dtype.str}")
        if value.nbytes > MAX_FRAME_BYTES:
            raise ValueError(f"array must have at most {MAX_FRAME_BYTES} bytes, got {value.nbytes}")
        arrays.append(value.tobytes())
        return len(arrays) - 1, value.dtype.str, value.shape

    envelope = Envelope(
        schema=message.schema,
        source=source,
        epoch=epoch,
        seq=seq,
        t_capture_ns=t_capture_ns,
        t_publish_ns=t_publish_ns,
        lifespan_ms=message.lifespan_ms,
        body=msgspec.Raw(msgspec.msgpack.encode(message, enc_hook=reference)),
    )
    return [_encode_envelope(envelope), *arrays]


def peek(frames: list[bytes]) -> Envelope:
    """Return the envelope alone.

    Raises
    ------
    WireError
        If the frames are too many, too large, or the first is no envelope.
    """
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"message must have 1 to {MAX_FRAMES} frames, got {len(frames)}")
    largest = max(map(len, frames))
    if largest > MAX_FRAME_BYTES:
        raise WireError(f"frame must have at most {MAX_FRAME_BYTES} bytes, got {largest}")
    try:
        return _decode_envelope(frames[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"envelope must be readable, got {frames[0][:16].hex()}: {_line(error)}") from error


def decode(topic: str, frames: list[bytes]) -> Received:
    """Return the message that the frames carry; its arrays are read-only views of them.

    Raises
    ------
    WireError
        If the frames are malformed, truncated, oversized or of a schema or version unknown here.
    """
    envelope = peek(frames)
    message_type = MESSAGE_TYPES.get(envelope.schema)
    if message_type is None:
        raise WireError(f"schema must be one of {', '.join(MESSAGE_TYPES)}, got {envelope.schema!r}")

    def array(_type: type, value: Any) -> np.ndarray:
        return _array_of(value, frames)

    try:
        message = msgspec.msgpack.decode(envelope.body, type=message_type, dec_hook=array)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(
            f"{envelope.schema} must be readable, got {bytes(envelope.body)[:16].hex()}: {_line(error)}"
        ) from error
    return Received(topic, envelope, message)


def _array_of(value: Any, frames: list[bytes]) -> np.ndarray:
    """Return the array that a body's `[frame, dtype, shape]` stands for; ValueError becomes msgspec's own error."""
    index, dtype, shape = msgspec.convert(value, Reference)
    if dtype not in ITEM_BYTES or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"array must be one of {sorted(ITEM_BYTES)} with at most 2 axes, got {dtype} {shape}")
    if index + 1 >= len(frames):
        raise ValueError(f"array frame must be below {len(frames) - 1}, got {index}")
    frame = frames[index + 1]
    if len(frame) != math.prod(shape) * ITEM_BYTES[dtype]:
        raise ValueError(f"array frame must fit {dtype} {shape}, got {len(frame)} bytes")
    return np.frombuffer(frame, dtype).reshape(shape)


def _line(error: Exception) -> str:
    """Return what went wrong without what a peer may have smuggled into it: line ends, escapes, megabytes."""
    return str(error)[:200].encode("unicode_escape").decode()
