"""Frames between threads over real sockets."""

from __future__ import annotations

import contextlib
import logging
import os
import socket as sockets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import examples
import pytest
import zmq
from wiring import AGAIN_S, TIMEOUT_S, Stage, next_of

from soundsage.shared import requests, transport
from soundsage.shared.endpoints import Endpoints
from soundsage.shared.errors import InputError, MeshError, RequestError
from soundsage.shared.messages import AudioBlock, Error, GenrePosterior, StreamEnded
from soundsage.shared.transport import Client, Context, EventProxy, Inbox, Publisher, Server, wait


@contextlib.contextmanager
def audio_plane(
    context: Context, endpoints: Endpoints, *topics: str, queue: int = 256
) -> Iterator[tuple[Publisher, Inbox]]:
    """Yield a bound publisher and an inbox that hears it."""
    with (
        Publisher(context, endpoints.audio, source="capture", epoch=1, bind=True) as publisher,
        Inbox(context, endpoints.audio, topics, queue=queue) as inbox,
    ):
        assert publisher.await_receivers(len(topics), TIMEOUT_S)
        yield publisher, inbox


def send_raw(publisher: Publisher, *frames: bytes) -> None:
    """Send frames that the publisher would never make."""
    publisher.socket.send_multipart(frames)


def answering(context: Context, endpoint: str, answer: Callable[[str, dict[str, Any]], object]) -> Any:
    """Return a context manager that runs a server in a thread and yields it."""

    @contextlib.contextmanager
    def run() -> Iterator[Server]:
        stop = threading.Event()
        with Server(context, endpoint) as server:

            def serve() -> None:
                while not stop.is_set():
                    wait((server,), AGAIN_S)
                    server.serve(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield server
            finally:
                stop.set()
                thread.join()

    return run()


def test_blocks_arrive_in_order_as_they_were_sent(context: Context, endpoints: Endpoints) -> None:
    """What was sent to a receiver that was there is received, with its sequence and its stamps."""
    with audio_plane(context, endpoints, "audio_block/main") as (publisher, inbox):
        for start in range(0, 10 * 256, 256):
            publisher.send(examples.block(start), t_capture_ns=start)
        heard = [next_of(inbox, AudioBlock)[0] for _ in range(10)]

    assert [each.envelope.seq for each in heard] == list(range(10))
    assert [each.envelope.t_capture_ns for each in heard] == list(range(0, 2560, 256))
    assert {each.topic for each in heard} == {"audio_block/main"}
    assert (inbox.lost, inbox.stale, inbox.malformed) == (0, 0, 0)


def test_each_topic_has_its_own_sequence(context: Context, endpoints: Endpoints) -> None:
    """Numbers without gaps are what a receiver of one topic counts with."""
    with audio_plane(context, endpoints, "audio_block/main", "stream_ended/main") as (publisher, inbox):
        publisher.send(examples.block())
        publisher.send(examples.block(256))
        publisher.send(StreamEnded(stream="main", start=512))

        assert next_of(inbox, StreamEnded)[0].envelope.seq == 0


def test_a_stream_whose_name_begins_like_another_is_another(context: Context, endpoints: Endpoints) -> None:
    """Who listens to room1 hears nothing of room10."""
    with audio_plane(context, endpoints, "genre_posterior/room1") as (publisher, inbox):
        publisher.send(examples.posterior(stream="room10"))
        publisher.send(examples.posterior(stream="room1"))
        heard = next_of(inbox, GenrePosterior)[1]

        assert heard.stream == "room1"
        assert inbox.next() is None


def test_a_kind_without_a_stream_is_heard_of_all_streams(context: Context, endpoints: Endpoints) -> None:
    """Topics name a kind, or a kind and a stream."""
    with audio_plane(context, endpoints, "genre_posterior") as (publisher, inbox):
        publisher.send(examples.proposal())
        for stream in ("room1", "room10"):
            publisher.send(examples.posterior(stream=stream))

        assert [next_of(inbox, GenrePosterior)[1].stream for _ in range(2)] == ["room1", "room10"]


def test_what_belongs_to_no_stream_goes_by_its_service() -> None:
    """The second part of a topic is the stream, or the service."""
    assert examples.posterior(stream="room1").topic == "genre_posterior/room1"
    assert Error(service="capture", code="DeviceError", text="").topic == "error/capture"


def test_what_is_older_than_its_lifespan_is_dropped_and_counted(context: Context, endpoints: Endpoints) -> None:
    """A block that waited for more than 500 ms is not received, is counted as stale, and is not lost."""
    with audio_plane(context, endpoints, "audio_block/main") as (publisher, inbox):
        old_ns = time.monotonic_ns() - 501_000_000
        stamps = {"source": "capture", "epoch": 1, "t_capture_ns": old_ns}
        for seq, t_publish_ns in ((0, old_ns), (1, old_ns), (2, time.monotonic_ns())):
            frames = examples.frames_of(examples.block(), **stamps, seq=seq, t_publish_ns=t_publish_ns)
            send_raw(publisher, b"audio_block/main/", *frames)

        assert next_of(inbox, AudioBlock)[0].envelope.seq == 2
        assert (inbox.lost, inbox.stale, inbox.malformed) == (0, 2, 0)


def test_what_never_came_is_counted(context: Context, endpoints: Endpoints) -> None:
    """A receiver knows how many messages are missing in front of one that came."""
    with audio_plane(context, endpoints, "audio_block/main") as (publisher, inbox):
        for seq in (0, 3):
            stamps = {"seq": seq, "t_publish_ns": time.monotonic_ns()}
            send_raw(publisher, b"audio_block/main/", *examples.frames_of(examples.block(), **stamps))
            next_of(inbox, AudioBlock)

        assert (inbox.lost, inbox.stale, inbox.malformed) == (2, 0, 0)


@pytest.mark.parametrize(
    "frames",
    [
        (b"audio_block/main/",),
        (b"audio_block/main/", b""),
        (b"audio_block/main/", b"\xc1"),
        (b"audio_block/main/\nfake log line", b"\xc1"),
        (b"audio_block/main/" + b"x" * 100_000, b"\xc1"),
        (b"audio_block/main/", *examples.frames_of(examples.block())[:1]),
        (b"audio_block/main/", *examples.frames_of(examples.block()), *[b""] * 7),
        (b"audio_block/main/", examples.frames_of(examples.block())[0].replace(b"/v1", b"/v9")),
        (b"audio_block/main/\xff\xfe", b"\x91" * 10_000),
    ],
    ids=["no frame", "empty", "junk", "line end", "long topic", "no samples", "frames", "version", "bomb"],
)
def test_what_is_no_message_gives_one_counted_line_and_nothing_else(
    context: Context, endpoints: Endpoints, caplog: pytest.LogCaptureFixture, frames: tuple[bytes, ...]
) -> None:
    """Malformed frames are counted, logged on one short line, and what comes after them is received."""
    with caplog.at_level(logging.DEBUG), audio_plane(context, endpoints, "audio_block/main") as (publisher, inbox):
        for _ in range(5):
            send_raw(publisher, *frames)
        publisher.send(examples.block())
        next_of(inbox, AudioBlock)

        assert (inbox.lost, inbox.stale, inbox.malformed) == (0, 0, 5)
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 1000
    assert "refused=1" in record.getMessage()


def test_a_frame_above_the_limit_is_counted_by_who_listens(context: Context, endpoints: Endpoints) -> None:
    """A receiver refuses 5 MiB as it refuses all junk, and hears what comes next."""
    with audio_plane(context, endpoints, "audio_block/main") as (publisher, inbox):
        send_raw(publisher, b"audio_block/main/", bytes(5 << 20))
        publisher.send(examples.block())
        next_of(inbox, AudioBlock)

        assert inbox.malformed == 1


def test_a_peer_that_sends_a_frame_above_the_limit_is_cut_off_and_may_come_back(stage: Stage) -> None:
    """The bus lets nothing of 5 MiB through, everybody else is heard, and its sender too once it behaves."""
    send_raw(stage.events, b"genre_posterior/main/", bytes(5 << 20))

    assert stage.answer(examples.posterior(), GenrePosterior)
    assert stage.heard.malformed == 0


def test_a_request_above_the_limit_costs_only_its_client(context: Context, endpoints: Endpoints) -> None:
    """A request of 2 MiB is not answered, and all others are."""
    endpoint = endpoints.requests("renderer")
    with answering(context, endpoint, lambda *_: "alive"), Client(context, endpoint, "renderer") as client:
        with pytest.raises(RequestError):
            client.call("set", 0.05, value="x" * (2 << 20))
        with Client(context, endpoint, "renderer") as other:
            assert other.call("get", TIMEOUT_S) == "alive"
        assert client.call("get", TIMEOUT_S) == "alive"


def test_a_receiver_that_stopped_holds_nobody_up(context: Context, endpoints: Endpoints) -> None:
    """With one receiver that never reads, all is sent, the other loses nothing, and the first counts its gap."""
    n_blocks = 2000
    with (
        audio_plane(context, endpoints, "audio_block/main") as (publisher, inbox),
        Inbox(context, endpoints.audio, ["audio_block/main"], queue=64) as stopped,
    ):
        assert publisher.await_receivers(2, TIMEOUT_S)
        slowest_s = 0.0
        for i in range(n_blocks):
            begin_s = time.monotonic()
            publisher.send(examples.block(n_samples=1))
            slowest_s = max(slowest_s, time.monotonic() - begin_s)
            assert next_of(inbox, AudioBlock)[0].envelope.seq == i
        seqs: list[int] = []
        while not seqs or seqs[-1] < n_blocks:
            publisher.send(examples.block(n_samples=1))
            wait((stopped,), AGAIN_S)
            seqs += [each.envelope.seq for each in stopped.pending()]

    assert inbox.lost == 0
    assert stopped.lost > n_blocks / 2
    assert len(seqs) + stopped.lost + stopped.stale == seqs[-1] + 1
    assert slowest_s < 1.0


def test_waiting_for_receivers_ends_with_its_time(context: Context, endpoints: Endpoints) -> None:
    """Who waits for two receivers and gets one is told so when the time is over."""
    with audio_plane(context, endpoints, "audio_block/main") as (publisher, _):
        begin_s = time.monotonic()

        assert not publisher.await_receivers(2, 0.05)
        assert 0.05 <= time.monotonic() - begin_s < 5.0


def test_a_socket_that_cannot_be_bound_is_one_line_and_leaves_nothing_open(context: Context) -> None:
    """Publisher, server and bus in a folder that does not exist give MeshError, and the context ends."""
    nowhere = Endpoints(Path("/nonexistent"))
    for make in (
        lambda: Publisher(context, nowhere.audio, source="capture", epoch=1, bind=True),
        lambda: Server(context, nowhere.requests("bus")),
        lambda: EventProxy(context, nowhere),
    ):
        with pytest.raises(MeshError, match=r"ipc:///nonexistent/[\w-]+\.sock cannot be bound"):
            make()


def test_a_bus_that_is_half_bound_leaves_nothing_open(context: Context, run_dir: Path) -> None:
    """When the second of three addresses cannot be bound, the first is given back."""
    (run_dir / "events-out.sock").mkdir()
    with pytest.raises(MeshError, match="events-out"):
        EventProxy(context, Endpoints(run_dir))


def test_the_bus_brings_events_to_who_asked_for_them(stage: Stage) -> None:
    """A receiver of one kind hears that kind."""
    inbox = stage.inbox(stage.endpoints.events_out, "genre_posterior/main")
    heard = stage.until(lambda: stage.events.send(examples.posterior()), inbox.next)
    stage.events.send(examples.proposal())
    stage.events.send(examples.posterior())

    assert isinstance(heard.message, GenrePosterior)
    assert next_of(inbox, GenrePosterior)[1].genre == "jazz"
    assert inbox.malformed == 0


def test_the_tap_sees_what_nobody_asked_for(stage: Stage) -> None:
    """Without any receiver, every event is on the tap, in order and complete."""
    for i in range(100):
        stage.events.send(examples.posterior(time_s=float(i)))
    times_s = [next_of(stage.heard, GenrePosterior)[1].time_s for _ in range(100)]

    assert times_s == list(map(float, range(100)))
    assert stage.heard.lost == 0


def test_receivers_that_come_and_go_are_no_messages_on_the_tap(stage: Stage) -> None:
    """What receivers ask for is not mirrored as an event, and the tap sees everything also after the last one left."""
    for _ in range(3):
        inbox = stage.inbox(stage.endpoints.events_out, "genre_posterior/main", "")
        stage.until(lambda: stage.events.send(examples.posterior()), inbox.next)
        inbox.close()
    later = examples.posterior(time_s=9.0)

    assert stage.answer(later, GenrePosterior, lambda each: each.time_s == 9.0)
    assert stage.heard.malformed == 0


def test_the_bus_counts_what_comes_in(context: Context, endpoints: Endpoints) -> None:
    """Frames and bytes of events only grow."""
    with (
        EventProxy(context, endpoints) as proxy,
        Publisher(context, endpoints.events_in, source="tester", epoch=1) as publisher,
    ):
        assert publisher.await_receivers(1, TIMEOUT_S)
        before = proxy.received()
        publisher.send(examples.posterior())
        end_s = time.monotonic() + TIMEOUT_S
        while (after := proxy.received()) == before and time.monotonic() < end_s:
            pass

        assert after[0] == before[0] + 2
        assert after[1] > before[1] + 100


def test_a_closed_bus_leaves_no_thread(context: Context, endpoints: Endpoints) -> None:
    """Closing the bus ends its forwarding, and another can take its place."""
    for _ in range(3):
        with EventProxy(context, endpoints):
            assert any(thread.name == "event-proxy" for thread in threading.enumerate())

        assert not any(thread.name == "event-proxy" for thread in threading.enumerate())


def test_a_publisher_outlives_the_bus(context: Context, endpoints: Endpoints) -> None:
    """Who speaks and who listens find the next bus by themselves."""
    with (
        Publisher(context, endpoints.events_in, source="tester", epoch=1) as publisher,
        Inbox(context, endpoints.events_out, [""]) as inbox,
    ):
        for _ in range(2):
            with EventProxy(context, endpoints):
                end_s = time.monotonic() + TIMEOUT_S
                while (heard := inbox.next()) is None and time.monotonic() < end_s:
                    publisher.send(examples.posterior())
                    wait((inbox,), AGAIN_S)

                assert heard is not None


def test_a_request_is_answered(context: Context, endpoints: Endpoints) -> None:
    """The answer is what the server's function returns for command and arguments."""
    endpoint = endpoints.requests("renderer")
    with answering(context, endpoint, lambda *asked: list(asked)), Client(context, endpoint, "renderer") as client:
        assert client.call("set", key="gain_db", value=-3.5) == ["set", {"key": "gain_db", "value": -3.5}]
        assert client.call("get") == ["get", {}]


def test_what_the_server_refuses_is_an_error_with_its_words(context: Context, endpoints: Endpoints) -> None:
    """An error of the service becomes the client's."""

    def refuse(command: str, _arguments: dict[str, Any]) -> object:
        raise InputError(f"command must be one of none, got {command!r}")

    endpoint = endpoints.requests("renderer")
    with answering(context, endpoint, refuse), Client(context, endpoint, "renderer") as client:
        for _ in range(2):
            with pytest.raises(InputError, match="got 'dance'"):
                client.call("dance")


def test_what_the_server_cannot_do_is_another_error(context: Context, endpoints: Endpoints) -> None:
    """A failure of the service is none of who asked."""

    def fail(_command: str, _arguments: dict[str, Any]) -> object:
        raise MeshError("setting cannot be kept: No space left on device")

    endpoint = endpoints.requests("renderer")
    with answering(context, endpoint, fail), Client(context, endpoint, "renderer") as client:  # noqa: SIM117
        with pytest.raises(RequestError, match="No space left"):
            client.call("set")


def test_a_service_that_does_not_answer_costs_its_deadline(context: Context, endpoints: Endpoints) -> None:
    """Without a server the client gives up in time, by name, also after more requests than its queue holds."""
    with Client(context, endpoints.requests("renderer"), "renderer") as client:
        begin_s = time.monotonic()
        for _ in range(transport.EVENT_QUEUE + 5):
            with pytest.raises(RequestError, match=r"renderer did not answer within 0\.001 s"):
                client.call("get", 0.001)

        assert time.monotonic() - begin_s < 10.0


def test_a_request_past_its_deadline_is_not_carried_out(context: Context, endpoints: Endpoints) -> None:
    """What nobody waits for any more is neither done nor answered; what comes later is."""
    done: list[str] = []
    endpoint = endpoints.requests("renderer")
    with Client(context, endpoint, "renderer") as client:
        with pytest.raises(RequestError):
            client.call("too late", 0.001)
        with answering(context, endpoint, lambda command, _: done.append(command)):
            assert client.call("in time", TIMEOUT_S) is None

    assert done == ["in time"]


def test_an_answer_to_an_earlier_request_is_not_taken_for_this_one(context: Context, endpoints: Endpoints) -> None:
    """A client that gave up does not mistake the late answer."""
    endpoint = endpoints.requests("renderer")
    late = threading.Event()
    asked = threading.Event()

    def answer(command: str, _arguments: dict[str, Any]) -> object:
        if command == "slow":
            asked.set()
            late.wait(TIMEOUT_S)
        return command

    with answering(context, endpoint, answer), Client(context, endpoint, "renderer") as client:
        while not asked.is_set():
            with pytest.raises(RequestError):
                client.call("slow", 0.2)
        late.set()

        assert client.call("next", TIMEOUT_S) == "next"


def test_a_server_survives_junk(context: Context, endpoints: Endpoints, caplog: pytest.LogCaptureFixture) -> None:
    """Junk from peers is counted, logged once in a while, and the next real request is answered."""
    endpoint = endpoints.requests("renderer")
    junk = [b"", b"\xc1", b"\x91" * 100_000, requests.encode(requests.Reply(1)), os.urandom(1000)]
    with (
        caplog.at_level(logging.WARNING),
        answering(context, endpoint, lambda *_: "alive") as server,
        Client(context, endpoint, "renderer") as client,
    ):
        for _ in range(20):
            for data in junk:
                client.socket.send(data)
                client.socket.send_multipart([data] * 3)

        assert client.call("get", TIMEOUT_S) == "alive"
        assert server.malformed == 20 * 2 * len(junk)
    assert len(caplog.records) < 20
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_a_server_survives_what_is_no_zeromq(context: Context, endpoints: Endpoints) -> None:
    """Bytes of another protocol on the socket file keep nobody from asking."""
    endpoint = endpoints.requests("renderer")
    with answering(context, endpoint, lambda *_: "alive"), Client(context, endpoint, "renderer") as client:
        for data in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(10_000), b"\xff" + bytes(8) + b"\x7f" + bytes(1000)):
            with sockets.socket(sockets.AF_UNIX) as raw, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                raw.connect(endpoint.removeprefix("ipc://"))
                raw.sendall(data)

        assert client.call("get", TIMEOUT_S) == "alive"


def test_a_peer_who_asks_without_end_keeps_nobody_from_working(context: Context, endpoints: Endpoints) -> None:
    """One round of serving is bounded, however much waits."""
    answered: list[str] = []
    endpoint = endpoints.requests("renderer")
    with Server(context, endpoint) as server, Client(context, endpoint, "renderer") as client:
        deadline_ns = time.monotonic_ns() + 60_000_000_000
        for i in range(200):
            client.socket.send(requests.encode(requests.Request(i, deadline_ns, "get")))
        rounds = 0
        while len(answered) < 200:
            wait((server,), TIMEOUT_S)
            before = len(answered)
            server.serve(lambda command, _: answered.append(command))
            assert len(answered) - before <= transport.MAX_SERVED
            rounds += 1

    assert rounds >= 200 / transport.MAX_SERVED


def test_a_subscriber_of_another_make_hears_us(context: Context, endpoints: Endpoints) -> None:
    """A bare SUB socket with the topic's bytes gets topic, envelope and samples as frames."""
    with (
        Publisher(context, endpoints.audio, source="capture", epoch=1, bind=True) as publisher,
        context.socket(zmq.SUB) as bare,
    ):
        bare.connect(endpoints.audio)
        bare.subscribe(b"audio_block/main/")
        assert publisher.await_receivers(1, TIMEOUT_S)
        publisher.send(examples.block())

        assert bare.poll(TIMEOUT_S * 1000)
        topic, envelope, samples = bare.recv_multipart()
        assert topic == b"audio_block/main/"
        assert samples == examples.block().samples.tobytes()
        assert b"audio_block/v1" in envelope
