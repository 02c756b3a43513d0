"""Frames from peers: messages or errors, and nothing else."""

from __future__ import annotations

import contextlib
from typing import Any

import examples
import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsage.shared import requests, wire
from soundsage.shared.errors import WireError
from soundsage.shared.messages import AudioBlock, Message
from soundsage.shared.wire import MAX_FRAME_BYTES, MAX_FRAMES, Received

N_MUTATED = 2000
CLAIMS_OF_4_GB = [bytes([code]) + b"\xff\xff\xff\xff" for code in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF)]


def said(frames: list[bytes]) -> Received | WireError:
    """Return what the frames hold; whatever else they raise fails the test."""
    try:
        return examples.received(frames)
    except WireError as error:
        return error


def told(message: Message) -> dict[str, Any]:
    """Return a message's envelope as plain data."""
    envelope: dict[str, Any] = msgspec.msgpack.decode(examples.frames_of(message)[0])
    return envelope


@given(frames=st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_a_message_or_an_error(frames: list[bytes]) -> None:
    """Whatever comes, peek and decode answer or raise WireError."""
    assert isinstance(said(frames), Received | WireError)


@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_request_or_an_error(data: bytes) -> None:
    """Whatever comes, a server and a client know what it is."""
    for decode in (requests.decode_request, requests.decode_reply):
        with contextlib.suppress(WireError):
            decode(data)


@settings(max_examples=200)
@given(message=examples.any_message(), data=st.data())
def test_any_value_in_the_place_of_a_field_is_a_message_or_an_error(message: Message, data: st.DataObject) -> None:
    """A real message with one field of envelope or body replaced never raises anything else."""
    anything = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
    _, *arrays = examples.frames_of(message)
    envelope = told(message)
    target = data.draw(st.sampled_from([envelope, envelope["body"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(anything)

    assert isinstance(said([msgspec.msgpack.encode(envelope), *arrays]), Received | WireError)


def mutated(frames: list[bytes], generator: np.random.Generator) -> list[bytes]:
    """Return the frames with a few bytes changed, cut off, put in or doubled, or with frames exchanged."""
    changed = [bytearray(frame) for frame in frames]
    for _ in range(generator.integers(1, 5)):
        frame = changed[generator.integers(len(changed))]
        at = int(generator.integers(len(frame) + 1))
        match generator.integers(5):
            case 0 if at < len(frame):
                frame[at] = generator.integers(256)
            case 1:
                del frame[at:]
            case 2:
                frame[at:at] = generator.bytes(int(generator.integers(1, 9)))
            case 3:
                frame[at:at] = CLAIMS_OF_4_GB[generator.integers(len(CLAIMS_OF_4_GB))]
            case 4:
                changed[generator.integers(len(changed))], changed[0] = changed[0], frame
    return [bytes(frame) for frame in changed]


@pytest.mark.parametrize(
    "message",
    [examples.block(), examples.vector(), examples.posterior(), examples.proposal(), examples.curve()],
    ids=lambda message: message.schema,
)
def test_a_damaged_message_is_a_message_or_an_error(message: Message) -> None:
    """Thousands of real messages with bytes changed never raise anything else."""
    generator = np.random.default_rng(440)
    frames = examples.frames_of(message)
    answers = [said(mutated(frames, generator)) for _ in range(N_MUTATED)]

    assert any(isinstance(answer, WireError) for answer in answers)


def test_a_damaged_request_is_a_request_or_an_error() -> None:
    """Thousands of real requests with bytes changed never raise anything else."""
    generator = np.random.default_rng(440)
    data = requests.encode(requests.Request(1, 2, "set", {"key": "gain_db", "value": [1, {"a": None}]}))
    n_refused = 0
    for _ in range(N_MUTATED):
        try:
            requests.decode_request(mutated([data], generator)[0])
        except WireError:
            n_refused += 1

    assert n_refused > 0


@given(message=examples.any_message(), data=st.data())
def test_a_truncated_message_is_an_error(message: Message, data: st.DataObject) -> None:
    """A message that lost the end of any frame is refused."""
    frames = examples.frames_of(message)
    i = data.draw(st.integers(0, len(frames) - 1))
    kept = data.draw(st.integers(0, max(len(frames[i]) - 1, 0)))
    was_empty = not frames[i]
    frames[i] = frames[i][:kept]

    assert was_empty or isinstance(said(frames), WireError)


@pytest.mark.parametrize(
    "bomb", [b"\x91" * 100_000, b"\x81\xa1a" * 100_000, *CLAIMS_OF_4_GB], ids=lambda b: b[:5].hex()
)
def test_a_bomb_is_an_error_wherever_it_lies(bomb: bytes) -> None:
    """Endless nesting and lengths of 4 GB are refused as envelope, as body, in a field and as a request."""
    envelope = told(examples.posterior())
    body = envelope.pop("body")
    head = msgspec.msgpack.encode(envelope)
    as_body = bytes([head[0] + 1]) + head[1:] + b"\xa4body" + bomb
    in_field = bytes([head[0] + 1]) + head[1:] + b"\xa4body" + bytes([0x81]) + msgspec.msgpack.encode("labels") + bomb
    unknown = bytes([head[0] + 2]) + head[1:] + b"\xa4body" + msgspec.msgpack.encode(body) + b"\xa1x" + bomb

    for frame in (bomb, as_body, in_field, unknown):
        assert isinstance(said([frame]), WireError)
    with pytest.raises(WireError):
        requests.decode_request(bomb)
    with pytest.raises(WireError):
        requests.decode_request(b"\x84\xa2id\x01\xabdeadline_ns\x01\xa7command\xa1a\xa9arguments\x81\xa1a" + bomb)


def test_msgpack_reads_our_envelopes() -> None:
    """Any MessagePack library reads envelope and body, and numpy the frames."""
    message = examples.block(start=256)
    envelope, samples = examples.frames_of(message, source="capture", epoch=7, seq=3)
    read = msgpack.unpackb(envelope)

    assert read | {"body": None} == {
        "schema": "audio_block/v1",
        "source": "capture",
        "epoch": 7,
        "seq": 3,
        "t_capture_ns": 1,
        "t_publish_ns": 2,
        "lifespan_ms": 500,
        "body": None,
    }
    index, dtype, shape = read["body"]["samples"]
    assert (index, read["body"]["start"]) == (0, 256)
    np.testing.assert_array_equal(np.frombuffer(samples, dtype).reshape(shape), message.samples)


def test_we_read_what_msgpack_wrote() -> None:
    """A message made by another library, with its fields in another order, is a message."""
    envelope, *arrays = examples.frames_of(examples.vector())
    read = msgpack.unpackb(envelope)
    theirs = msgpack.packb(dict(reversed(read.items())))

    assert isinstance(said([theirs, *arrays]), Received)


def test_an_unknown_version_is_an_error() -> None:
    """Version 2 of a kind that we know is refused by its name."""
    envelope = told(examples.posterior()) | {"schema": "genre_posterior/v2"}
    with pytest.raises(WireError, match="got 'genre_posterior/v2'"):
        examples.received([msgspec.msgpack.encode(envelope)])


def test_too_many_frames_are_an_error() -> None:
    """No message has more than 8 frames, and none has no frame."""
    frames = examples.frames_of(examples.block())
    with pytest.raises(WireError, match="1 to 8 frames, got 9"):
        wire.peek(frames + [b""] * (MAX_FRAMES + 1 - len(frames)))
    with pytest.raises(WireError, match="got 0"):
        wire.peek([])


def test_an_oversized_frame_is_an_error() -> None:
    """A frame above 4 MiB is refused before anybody looks into it."""
    with pytest.raises(WireError, match="at most 4194304 bytes, got 4194305"):
        wire.peek([*examples.frames_of(examples.posterior()), bytes(MAX_FRAME_BYTES + 1)])


def test_an_array_that_no_frame_could_hold_is_not_sent() -> None:
    """Whoever makes a block above 4 MiB is told, and not who receives it."""
    with pytest.raises(ValueError, match="at most 4194304 bytes"):
        examples.frames_of(examples.block(n_samples=MAX_FRAME_BYTES // 8 + 1))


def test_a_frame_that_nothing_refers_to_is_passed_over() -> None:
    """A newer peer may send one more array than we know."""
    assert isinstance(said([*examples.frames_of(examples.vector()), b"new"]), Received)


def test_two_arrays_may_share_a_frame() -> None:
    """Both fields see the same numbers, and neither can change them for the other."""
    envelope = told(examples.vector())
    envelope["body"]["features"] = envelope["body"]["bands_db"] = [0, "<f4", [2]]
    received = said([msgspec.msgpack.encode(envelope), np.array([1, 2], "<f4").tobytes()])

    assert isinstance(received, Received)
    assert received.message.features.tolist() == received.message.bands_db.tolist() == [1.0, 2.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "reference",
    [
        [1, "<f4", [2, 256]],
        [-1, "<f4", [2, 256]],
        [0, "<f4", [2, 255]],
        [0, "<f4", [2, 256, 1]],
        [0, ">f4", [2, 256]],
        [0, "<f8", [2, 128]],
        [0, "O", [2, 128]],
        [0, "<f4", [2**62, 2**62]],
        [0, "<f4", [-2, -256]],
        [0, "<f4"],
        "samples",
        None,
        [[0], "<f4", [2, 256]],
        [0, "<f4", [512]],
        [0, "<i4", [2, 256]],
    ],
    ids=str,
)
def test_a_reference_that_fits_no_frame_is_an_error(reference: object) -> None:
    """Another frame, shape or type than the one that is there is refused."""
    envelope = told(examples.block())
    envelope["body"]["samples"] = reference

    assert isinstance(said([msgspec.msgpack.encode(envelope), bytes(2 * 256 * 4)]), WireError)


@pytest.mark.parametrize("shape", [[0, 2**62], [2**62, 0], [0, 0]])
def test_an_empty_array_of_any_shape_is_a_message_or_an_error(shape: list[int]) -> None:
    """Zero times anything is zero bytes."""
    envelope = told(examples.block())
    envelope["body"]["samples"] = [0, "<f4", shape]

    assert isinstance(said([msgspec.msgpack.encode(envelope), b""]), WireError)


def test_arrays_are_views_that_nobody_can_write_to() -> None:
    """Samples that were received are those of the frame, and read-only."""
    frames = examples.frames_of(examples.block())
    received = said(frames)

    assert isinstance(received, Received)
    assert isinstance(received.message, AudioBlock)
    assert not received.message.samples.flags.writeable
    assert np.shares_memory(received.message.samples, np.frombuffer(frames[1], np.uint8))


def test_samples_in_any_memory_order_arrive_in_theirs() -> None:
    """A transposed or strided view is sent as what it shows."""
    samples = np.arange(24, dtype=np.float32).reshape(6, 4)[::2].T
    message = AudioBlock(stream="main", sample_rate=48_000, start=0, samples=samples)
    received = said(examples.frames_of(message))

    assert isinstance(received, Received)
    np.testing.assert_array_equal(received.message.samples, samples)  # type: ignore[attr-defined]


def test_what_a_peer_smuggles_into_an_error_stays_on_one_short_line() -> None:
    """Line ends, escapes and megabytes in a field are not in the error's text."""
    envelope = told(examples.posterior())
    envelope["body"]["state"] = "genre\n\x1b[31m" + "x" * 1_000_000
    answer = said([msgspec.msgpack.encode(envelope)])

    assert isinstance(answer, WireError)
    assert str(answer).isprintable()
    assert len(str(answer)) < 1000


def test_ages_count_from_publication_and_latencies_from_capture() -> None:
    """Both are in ms of the monotonic clock."""
    frames = examples.frames_of(examples.posterior(), t_capture_ns=1_000_000, t_publish_ns=3_000_000)
    envelope = wire.peek(frames)

    assert envelope.age_ms(5_000_000) == 2.0
    assert envelope.latency_ms(5_000_000) == 4.0
