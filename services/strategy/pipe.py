"""What the strategy service and the child that runs the plugin say to each other."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from soundsage.shared import wire
from soundsage.shared.contracts import Decision, StrategyContext
from soundsage.shared.dsp import EqBand
from soundsage.shared.messages import EqProposal, FeatureVector, GenrePosterior, Message

__all__ = ["MAX_BYTES", "Answer", "context_of", "decode_answer", "encode_answer", "frames_of"]

MAX_BYTES = 1 << 20


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


_encode_frames = msgspec.msgpack.Encoder().encode
_decode_frames = msgspec.msgpack.Decoder(list[list[bytes]]).decode
encode_answer = msgspec.msgpack.Encoder(enc_hook=_number).encode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def frames_of(context: StrategyContext) -> bytes:
    """Return the bytes that carry a context."""
    messages = (context.posterior, context.features, context.proposal)
    return _encode_frames([_frames(message) for message in messages if message is not None])


def context_of(data: bytes) -> StrategyContext:
    """Return the context that the bytes carry."""
    found: dict[type[Message], Message] = {}
    for frames in _decode_frames(data):
        message = wire.decode("", frames).message
        found[type(message)] = message
    posterior, features, proposal = (found.get(kind) for kind in (GenrePosterior, FeatureVector, EqProposal))
    if not isinstance(posterior, GenrePosterior):
        raise TypeError(f"context must hold a posterior, got {[kind.__name__ for kind in found]}")
    return StrategyContext(
        posterior,
        features if isinstance(features, FeatureVector) else None,
        proposal if isinstance(proposal, EqProposal) else None,
    )


def _frames(message: Message) -> list[bytes]:
    return wire.encode(message, source="strategy", epoch=0, seq=0, t_capture_ns=0, t_publish_ns=0)
