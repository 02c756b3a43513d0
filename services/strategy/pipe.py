"""What the strategy service and the child that runs the plugin say to each other."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from soundsage.shared.contracts import Decision, StrategyContext
from soundsage.shared.dsp import EqBand

__all__ = ["MAX_BYTES", "Answer", "decode_answer", "decode_context", "encode_answer", "encode_context"]

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


def _bytes(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        return value.astype("<f4").tobytes()
    raise TypeError(f"context must be made of messages, got {type(value).__name__}")


def _array(_type: type, value: bytes) -> np.ndarray:
    return np.frombuffer(value, "<f4")


# In one piece, and not as the frames of three messages: the child may be cold, and each step costs it a lot.
encode_context = msgspec.msgpack.Encoder(enc_hook=_bytes).encode
decode_context = msgspec.msgpack.Decoder(StrategyContext, dec_hook=_array).decode
encode_answer = msgspec.msgpack.Encoder(enc_hook=_number).encode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
