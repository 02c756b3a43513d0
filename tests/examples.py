"""Messages for tests: one of each kind, and any that a kind allows."""

from __future__ import annotations

import contextlib
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soundsage.shared import wire
from soundsage.shared.dsp import EqBand, graphic_bands
from soundsage.shared.features import BAND_FREQUENCIES_HZ, FEATURE_NAMES, FEATURE_SET
from soundsage.shared.messages import (
    MESSAGE_TYPES,
    AudioBlock,
    EqCurve,
    EqProposal,
    FeatureVector,
    GenrePosterior,
    Message,
)

__all__ = ["any_message", "any_of", "block", "curve", "frames_of", "posterior", "proposal", "received", "vector"]

STAMPS = {"source": "tester", "epoch": 1, "seq": 0, "t_capture_ns": 1, "t_publish_ns": 2}
GOOD_FLOAT = {"allow_nan": False, "allow_infinity": False}
LABELS = ("rock", "jazz")


def received(frames: list[bytes]) -> wire.Received:
    """Return what frames hold that come under the topic which they claim.

    Raises
    ------
    WireError
        If they hold no message.
    """
    envelope, body = wire.peek(frames), {}
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = msgspec.msgpack.decode(envelope.body, type=dict[str, Any])
    name = body.get("stream") or body.get("service") or "main"
    return wire.Decoder().decode(f"{envelope.schema.partition('/')[0]}/{name}", frames)


def frames_of(message: Message, **stamps: Any) -> list[bytes]:
    """Return the frames of a message; what is not said of its envelope does not matter."""
    return wire.encode(message, **{**STAMPS, **stamps})


def block(start: int = 0, n_samples: int = 256, n_channels: int = 2, sample_rate: int = 48_000) -> AudioBlock:
    """Return noise at -20 dBFS, the same for the same place in the stream."""
    noise = np.random.default_rng(440 + start).standard_normal((n_channels, n_samples))
    return AudioBlock(stream="main", sample_rate=sample_rate, start=start, samples=(0.1 * noise).astype(np.float32))


def vector(time_s: float = 3.0, stream: str = "main", **changes: Any) -> FeatureVector:
    """Return features as the extractor names them, all 0."""
    fields: dict[str, Any] = {
        "stream": stream,
        "time_s": time_s,
        "feature_set": FEATURE_SET,
        "features": np.zeros(len(FEATURE_NAMES), np.float32),
        "bands_db": np.zeros(len(BAND_FREQUENCIES_HZ), np.float32),
        "level_db": -20.0,
        "compute_ms": 0.1,
        "hop_compute_ms": 0.2,
    }
    return FeatureVector(**{**fields, **changes})


def posterior(time_s: float = 3.0, stream: str = "main", **changes: Any) -> GenrePosterior:
    """Return a posterior that is sure of jazz."""
    fields: dict[str, Any] = {
        "stream": stream,
        "time_s": time_s,
        "model": "stand-in",
        "backend": "none",
        "labels": LABELS,
        "posterior": (0.1, 0.9),
        "state": "genre",
        "genre": "jazz",
        "confidence": 0.9,
        "skipped": 0,
        "compute_ms": 0.1,
        "hop_compute_ms": 0.2,
    }
    return GenrePosterior(**{**fields, **changes})


def proposal(time_s: float = 3.0, stream: str = "main") -> EqProposal:
    """Return a proposal of one band."""
    return EqProposal(stream=stream, time_s=time_s, model="stand-in", frequencies_hz=(1000.0,), gains_db=(2.0,))


def curve(gain_db: float = 6.0, *, automatic: bool = False, preamp_db: float = -6.0) -> EqCurve:
    """Return a graphic curve with one gain at 1 kHz."""
    gains_db = [gain_db if i == 5 else 0.0 for i in range(10)]
    return EqCurve(
        stream="main",
        time_s=1.0,
        strategy="stand-in",
        cause="a test",
        automatic=automatic,
        bands=graphic_bands(gains_db),
        preamp_db=preamp_db,
        compute_ms=0.1,
    )


def any_message() -> st.SearchStrategy[Message]:
    """Return a strategy for messages of all kinds."""
    return st.one_of([any_of(message_type) for message_type in MESSAGE_TYPES.values()])


def any_of(message_type: type[Message]) -> st.SearchStrategy[Message]:
    """Return a strategy for messages of a kind, made from the types of its fields."""
    hints = get_type_hints(message_type, include_extras=True)
    fields = {name: _values(message_type, name, hints[name]) for name in message_type.__struct_fields__}
    return st.fixed_dictionaries(fields).map(lambda chosen: message_type(**_fitting(chosen)))


def _fitting(fields: dict[str, Any]) -> dict[str, Any]:
    """Make fields fit each other, as no type can say."""
    if "genre" in fields:
        fields["genre"] = (fields["genre"] or "jazz") if fields["state"] == "genre" else None
    for rows, heads in (("posterior", "labels"), ("gains_db", "frequencies_hz")):
        if rows in fields:
            n = min(len(fields[rows]), len(fields[heads]))
            fields[rows], fields[heads] = fields[rows][:n], fields[heads][:n]
    return fields


def _values(message_type: type[Message], name: str, hint: Any) -> st.SearchStrategy[Any]:
    if hint is np.ndarray:
        return _samples() if message_type is AudioBlock else _rows()
    return _plain_values(name, hint, msgspec.Meta())


def _samples() -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 4), st.integers(0, 32))
    return arrays.arrays(np.float32, shapes, elements=st.floats(width=32))


def _rows() -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(np.float32, st.integers(0, 32), elements=st.floats(width=32, **GOOD_FLOAT))


def _plain_values(name: str, hint: Any, meta: msgspec.Meta) -> st.SearchStrategy[Any]:
    match get_origin(hint), get_args(hint):
        case origin, (inner, found) if origin is Annotated:
            return _plain_values(name, inner, found)
        case origin, choices if origin is Literal:
            return st.sampled_from(choices)
        case origin, choices if origin in {Union, types.UnionType}:
            return st.one_of([_plain_values(name, choice, meta) for choice in choices])
        case origin, (inner, _) if origin is tuple:
            return st.lists(_plain_values(name, inner, msgspec.Meta()), max_size=min(meta.max_length, 8)).map(tuple)
        case origin, (key, value) if origin is dict:
            return st.dictionaries(
                _plain_values(name, key, msgspec.Meta()), _plain_values(name, value, msgspec.Meta()), max_size=4
            )
    return _scalars(hint, meta)


def _scalars(hint: Any, meta: msgspec.Meta) -> st.SearchStrategy[Any]:
    made: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(meta.ge if meta.ge is not None else -(2**63), meta.le if meta.le is not None else 2**63 - 1),
        float: st.floats(meta.ge, meta.le, allow_nan=False),
        str: st.text(min_size=meta.min_length or 0, max_size=min(meta.max_length or 64, 64)),
        type(None): st.none(),
        EqBand: st.builds(
            EqBand,
            st.sampled_from(["peaking", "low_shelf", "high_shelf"]),
            st.floats(10, 24_000),
            st.floats(-24, 24),
            st.floats(0.1, 20),
        ),
    }
    return made[hint]
