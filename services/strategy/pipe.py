"""What the strategy service and the child that runs the plugin say to each other: one packet a message.

Each message is passed on as it comes, so that the child has read it, and has its own code at hand, when the posterior
of the hop asks for a decision.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from soundsage.shared.contracts import Decision
from soundsage.shared.dsp import EqBand
from soundsage.shared.messages import EqProposal, FeatureVector, GenrePosterior

__all__ = ["MAX_BYTES", "Answer", "Told", "decode_answer", "decode_told", "encode_answer", "encode_told"]

MAX_BYTES = 1 << 17  # what a packet may have by Linux's default, and more than any decision needs

Told = FeatureVector | EqProposal | GenrePosterior


class Answer(msgspec.Struct, frozen=True):
    """The child's answer: a decision and the time that it took, or the reason why there is none."""

    bands: Annotated[tuple[EqBand, ...], Meta(max_length=16)] = ()
    cause: Annotated[str, Meta(max_length=1000)] = ""
    compute_ms: Annotated[float, Meta(ge=0)] = 0.0
    error: str | None = None

    @property
    def decision(self) -> Decision:
        """The answer as a strategy gave it."""
        return Decision(self.bands, self.cause)


def _number(value: object) -> float:
    """Return a number of numpy's as one of Python's: a strategy computes its gains with it."""
    if isinstance(value, np.floating | np.integer):
        return float(value)
    raise TypeError(f"decision must be made of numbers and texts, got {type(value).__name__}")


def _bytes(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    raise TypeError(f"message must be made of numbers, texts and arrays, got {type(value).__name__}")


def _array(_type: type, value: bytes) -> np.ndarray:
    return np.frombuffer(value, np.float32)


_KINDS: dict[type[Told], bytes] = {FeatureVector: b"f", EqProposal: b"e", GenrePosterior: b"g"}
_encode = msgspec.msgpack.Encoder(enc_hook=_bytes).encode
_decoders = {mark: msgspec.msgpack.Decoder(kind, dec_hook=_array) for kind, mark in _KINDS.items()}
encode_answer = msgspec.msgpack.Encoder(enc_hook=_number).encode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def encode_told(message: Told) -> bytes:
    """Return a message as one packet."""
    return _KINDS[type(message)] + _encode(message)


def decode_told(packet: bytes) -> Told:
    """Return the message that a packet of the service holds."""
    message: Told = _decoders[packet[:1]].decode(packet[1:])
    return message
