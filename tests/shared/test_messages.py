"""What messages are, and what is no message."""

from __future__ import annotations

import math
from typing import Any

import examples
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.shared.errors import WireError
from soundsage.shared.messages import MESSAGE_TYPES, AudioBlock, FeatureVector, Message, RenderMeter, kind_of

KINDS = pytest.mark.parametrize("message_type", MESSAGE_TYPES.values(), ids=kind_of)


def same(a: object, b: object) -> bool:
    """Return whether two fields hold the same, arrays by type and value."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


def read_with(message: Message, **changes: Any) -> Message:
    """Return the message as a peer reads it, whose sender put other things into its fields."""
    envelope, *arrays = examples.frames_of(message)
    told = msgspec.msgpack.decode(envelope)
    told["body"] = {**told["body"], **changes}
    return examples.received([msgspec.msgpack.encode(told), *arrays]).message


@KINDS
@settings(max_examples=50)
@given(data=st.data())
def test_what_is_decoded_is_what_was_encoded(message_type: type[Message], data: st.DataObject) -> None:
    """decode(encode(m)) is m, for any message of any kind."""
    message = data.draw(examples.any_of(message_type))
    received = examples.received(examples.frames_of(message)).message

    assert type(received) is message_type
    for name, value in msgspec.structs.asdict(message).items():
        assert same(getattr(received, name), value), name


def test_there_are_messages_to_test() -> None:
    """All nine kinds and the end of a stream are found by introspection."""
    assert {kind_of(each) for each in MESSAGE_TYPES.values()} == {
        "audio_block", "stream_ended", "feature_vector", "meter", "genre_posterior", "eq_proposal", "eq_curve",
        "render_meter", "service_state", "error",
    }  # fmt: skip


@KINDS
def test_a_kind_says_its_version_and_how_long_it_lives(message_type: type[Message]) -> None:
    """The schema is kind and version, and nothing lives longer than 10 s."""
    kind, _, version = message_type.schema.partition("/")

    assert kind.isidentifier()
    assert version == "v1"
    assert 0 < message_type.lifespan_ms <= 10_000


@KINDS
@settings(max_examples=20)
@given(data=st.data())
def test_no_number_from_a_peer_is_nan(message_type: type[Message], data: st.DataObject) -> None:
    """NaN in the place of any number of any message is refused, but in samples."""
    message = data.draw(examples.any_of(message_type))
    for name, value in msgspec.structs.asdict(message).items():
        if isinstance(value, float):
            with pytest.raises(WireError):
                read_with(message, **{name: math.nan})
        if isinstance(value, tuple) and value and isinstance(value[0], float):
            with pytest.raises(WireError):
                read_with(message, **{name: (math.nan, *value[1:])})


@pytest.mark.parametrize("time_s", [math.inf, -math.inf, -1.0])
def test_a_time_from_a_peer_is_finite_and_not_negative(time_s: float) -> None:
    """Stream time begins at 0 and is a number that can be subtracted."""
    with pytest.raises(WireError, match="time_s"):
        read_with(examples.posterior(), time_s=time_s)


def test_samples_may_be_anything_float32() -> None:
    """NaN and infinity in samples arrive as they are: who renders or measures decides."""
    odd = np.array([[np.nan, np.inf, -np.inf, 0.0]], np.float32)
    message = AudioBlock(stream="main", sample_rate=48_000, start=0, samples=odd)
    received = examples.received(examples.frames_of(message)).message

    assert isinstance(received, AudioBlock)
    np.testing.assert_array_equal(received.samples, odd)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(4, np.float32), np.zeros((2, 4)), np.zeros((0, 4), np.float32), np.zeros((65, 4), np.float32)],
    ids=["one axis", "float64", "no channel", "65 channels"],
)
def test_samples_that_are_no_block_are_refused(samples: np.ndarray) -> None:
    """A block has two axes of float32 and 1 to 64 channels."""
    with pytest.raises(ValueError, match="samples must"):
        AudioBlock(stream="main", sample_rate=48_000, start=0, samples=samples)


@pytest.mark.parametrize(
    "features",
    [np.array([np.nan], np.float32), np.array([np.inf], np.float32), np.zeros((1, 1), np.float32), np.zeros(1)],
    ids=["NaN", "infinity", "two axes", "float64"],
)
def test_features_that_no_model_could_take_are_refused(features: np.ndarray) -> None:
    """Features are a row of finite float32."""
    with pytest.raises(ValueError, match="features must"):
        examples.vector(features=features)
    with pytest.raises(ValueError, match="bands_db must"):
        examples.vector(bands_db=features)


def test_features_from_a_peer_are_float32() -> None:
    """Halves on the wire are no features, though the wire could carry them."""
    envelope, _features, bands = examples.frames_of(examples.vector())
    told = msgspec.msgpack.decode(envelope)
    told["body"]["features"] = [0, "<f2", [1]]

    with pytest.raises(WireError, match="features must be finite float32"):
        examples.received([msgspec.msgpack.encode(told), b"\x00\x00", bands])


@settings(max_examples=5)
@given(data=st.data())
def test_latencies_are_rows_of_numbers(data: st.DataObject) -> None:
    """A render meter with a table or NaN for its latencies is refused."""
    fields = msgspec.structs.asdict(data.draw(examples.any_of(RenderMeter)))
    with pytest.raises(ValueError, match="render_latency_ms must"):
        RenderMeter(**{**fields, "render_latency_ms": np.zeros((1, 1), np.float32)})
    with pytest.raises(ValueError, match="curve_latency_ms must"):
        RenderMeter(**{**fields, "curve_latency_ms": np.array([np.nan], np.float32)})


def test_a_genre_comes_only_with_its_state() -> None:
    """A posterior that is uncertain speaks of no genre, and one that is certain names it."""
    with pytest.raises(ValueError, match="genre must"):
        examples.posterior(state="uncertain")
    with pytest.raises(ValueError, match="genre must"):
        examples.posterior(genre=None)


def test_a_posterior_has_one_probability_a_label() -> None:
    """Two labels have two probabilities."""
    with pytest.raises(ValueError, match="posterior must have 2 values, got 1"):
        examples.posterior(posterior=(1.0,))


@pytest.mark.parametrize(
    "changes",
    [
        {"posterior": (0.5, 1.5)},
        {"confidence": -0.1},
        {"stream": ""},
        {"stream": "x" * 65},
        {"state": "unheard-of"},
        {"skipped": -1},
        {"labels": "ab"},
    ],
    ids=str,
)
def test_a_posterior_from_a_peer_is_checked_field_by_field(changes: dict[str, Any]) -> None:
    """What is out of its range, or no member of its kind, is refused."""
    with pytest.raises(WireError, match=next(iter(changes))):
        read_with(examples.posterior(), **changes)


@pytest.mark.parametrize("preamp_db", [0.1, -24.1])
def test_a_curve_from_a_peer_makes_nothing_louder_by_its_preamp(preamp_db: float) -> None:
    """The preamp is headroom: it lies between -24 and 0 dB."""
    with pytest.raises(WireError, match="preamp_db"):
        read_with(examples.curve(), preamp_db=preamp_db)


def test_a_curve_from_a_peer_fits_the_rack() -> None:
    """A curve of 17 bands is refused."""
    with pytest.raises(WireError, match="bands"):
        read_with(examples.curve(), bands=[msgspec.to_builtins(examples.curve().bands[0])] * 17)


def test_fields_that_we_do_not_know_are_passed_over() -> None:
    """A newer peer may say more."""
    received = read_with(examples.vector(), mood="blue")

    assert isinstance(received, FeatureVector)
