"""Carry frames between processes; the only module that knows ZeroMQ.

Conventions
-----------
The audio plane is a bound PUB that receivers connect to, with nobody in between. The event plane is the bus:
publishers connect to its XSUB, receivers to its XPUB, and its tap mirrors all of it. Requests go from a DEALER to a
ROUTER. A topic is `kind/stream`; on the wire it ends in a further slash, so that `room1` is not also `room10`. A socket
belongs to the thread that made it. Nothing here waits for a slow peer: what does not fit into its queue is dropped, and
the receiver counts the gap.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

import zmq

from . import requests, wire
from .endpoints import Endpoints
from .errors import InputError, MeshError, RequestError, SoundSageError, WireError
from .gaps import GapCounter
from .messages import Message

__all__ = ["Client", "Context", "EventProxy", "Inbox", "Publisher", "Server", "Waiter", "wait"]

Context = zmq.Context[zmq.Socket[bytes]]

RECONNECT_MS = 10
RECONNECT_MAX_MS = 100
LOG_INTERVAL_S = 1.0
AUDIO_QUEUE = 64
EVENT_QUEUE = 256
TAP_QUEUE = 1000
MAX_SERVED = 32
SUBSCRIPTIONS = (b"\x00", b"\x01")  # how a receiver's wishes begin, which the bus mirrors to its tap as well

log = logging.getLogger(__name__)


class Waiter:
    """Waits for any of several sockets, which are named once.

    Parameters
    ----------
    sockets : iterable of Inbox or Server
    """

    def __init__(self, sockets: Iterable[Inbox | Server]) -> None:
        self._poller = zmq.Poller()
        for each in sockets:
            self._poller.register(each.socket, zmq.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Return whether any of them has something to read before the time is over."""
        return bool(self._poller.poll(round(timeout_s * 1000)))


def wait(sockets: Iterable[Inbox | Server], timeout_s: float) -> bool:
    """Return whether any of them has something to read before the time is over."""
    return Waiter(sockets).wait(timeout_s)


def _socket(context: Context, kind: int, queue: int) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, queue)
    socket.setsockopt(zmq.RCVHWM, queue)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    return socket


def _is_readable(socket: zmq.Socket[bytes]) -> bool:
    """Return whether a message waits; asking costs a tenth of the exception that a vain attempt would raise."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def _bind(socket: zmq.Socket[bytes], endpoint: str, max_frame_bytes: int = wire.MAX_FRAME_BYTES) -> None:
    """Bind a socket, which cuts off peers that send more than it takes.

    A socket that connects has no such limit: it would never connect again. What it receives is refused when decoded.
    """
    socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise MeshError(f"{endpoint} cannot be bound: {error.strerror}; is another mesh running?") from error


class _Due:
    """Says yes at most once in a while: a peer that talks nonsense fills no log."""

    def __init__(self) -> None:
        self._last_s = -LOG_INTERVAL_S

    def __call__(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._last_s < LOG_INTERVAL_S:
            return False
        self._last_s = now_s
        return True


class _Closing:
    """A socket that is closed at the end of a `with`."""

    socket: zmq.Socket[bytes]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; what is under way is dropped."""
        self.socket.close()


class Publisher(_Closing):
    """Sends messages to whoever listens.

    Parameters
    ----------
    context : Context
    endpoint : str
    source : str
        The service that speaks.
    epoch : int
        When its process began, ns.
    bind : bool
        True on the audio plane; events connect to the bus.
    """

    def __init__(self, context: Context, endpoint: str, *, source: str, epoch: int, bind: bool = False) -> None:
        self.socket = _socket(context, zmq.XPUB, AUDIO_QUEUE if bind else EVENT_QUEUE)
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # one subscription a receiver, so that they can be counted
        self._n_receivers = 0
        self._gained = False
        self._source = source
        self._epoch = epoch
        self._seq: dict[str, int] = {}
        if bind:
            _bind(self.socket, endpoint)
        else:
            self.socket.connect(endpoint)

    def send(self, message: Message, t_capture_ns: int | None = None) -> None:
        """Send a message that follows from sound captured at `t_capture_ns`, or from nothing but now."""
        topic = message.topic
        seq = self._seq.get(topic, 0)
        now_ns = time.monotonic_ns()
        frames = wire.encode(
            message,
            source=self._source,
            epoch=self._epoch,
            seq=seq,
            t_capture_ns=now_ns if t_capture_ns is None else t_capture_ns,
            t_publish_ns=now_ns,
        )
        self._seq[topic] = seq + 1
        self.socket.send_multipart([f"{topic}/".encode(), *frames])
        self._count_receivers()

    def gained_receivers(self) -> bool:
        """Return whether anybody subscribed since this was last asked."""
        self._count_receivers()
        gained, self._gained = self._gained, False
        return gained

    def await_receivers(self, n_receivers: int, timeout_s: float) -> bool:
        """Return whether so many subscriptions come before the time is over; what is sent earlier is lost to them."""
        deadline_s = time.monotonic() + timeout_s
        while self._n_receivers < n_receivers:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not self.socket.poll(math.ceil(left_s * 1000)):
                return False
            self._count_receivers()
        return True

    def _count_receivers(self) -> None:
        """Read who came and went, which would pile up otherwise."""
        while _is_readable(self.socket):
            came = self.socket.recv().startswith(b"\x01")
            self._n_receivers += 1 if came else -1
            self._gained = self._gained or came


class Inbox(_Closing):
    """Receives messages, and counts what it did not get.

    Parameters
    ----------
    context : Context
    endpoint : str
    topics : sequence of str
        Each a kind, or `kind/stream`; an empty string is everything.
    queue : int
        How many messages may wait.

    Attributes
    ----------
    gaps : GapCounter
        What never came.
    stale, malformed : int
        What came older than its lifespan, and what was no message.
    """

    def __init__(self, context: Context, endpoint: str, topics: Sequence[str], *, queue: int = EVENT_QUEUE) -> None:
        self.socket = _socket(context, zmq.SUB, queue)
        self.gaps = GapCounter()
        self.stale = 0
        self.malformed = 0
        self._timeout_s = 0.0
        self._decoder = wire.Decoder()
        self._log_due = _Due()
        for topic in topics:
            self.socket.setsockopt(zmq.SUBSCRIBE, f"{topic}/".encode() if topic else b"")
        self.socket.connect(endpoint)

    @property
    def lost(self) -> int:
        """Messages that never came."""
        return self.gaps.lost.total()

    def frames(self, timeout_s: float = 0.0) -> tuple[str, list[bytes]] | None:
        """Return topic and frames of the next message as they came, None when nothing comes before the time is over."""
        while self._is_there(timeout_s):
            try:
                topic, *frames = self.socket.recv_multipart()
            except zmq.Again:
                return None
            if frames or topic[:1] not in SUBSCRIPTIONS:
                return topic.decode(errors="replace").rstrip("/"), frames
        return None

    def next(self, timeout_s: float = 0.0) -> wire.Received | None:
        """Return the next message that is well-formed, new and fresh; None when none comes before the time is over.

        After `MAX_SERVED` that are not it returns None as well: a peer who sends junk keeps nobody from working.
        """
        for _ in range(MAX_SERVED):
            waiting = self.frames(timeout_s)
            if waiting is None:
                return None
            received = self._accepted(*waiting)
            if received is not None:
                return received
            timeout_s = 0.0
        return None

    def _is_there(self, timeout_s: float) -> bool:
        """Return whether a receive makes sense; it waits by itself, which costs less than to ask before."""
        if timeout_s == 0.0:
            return _is_readable(self.socket)
        if timeout_s != self._timeout_s:
            self.socket.setsockopt(zmq.RCVTIMEO, math.ceil(timeout_s * 1e3))
            self._timeout_s = timeout_s
        return True

    def pending(self) -> Iterator[wire.Received]:
        """Yield what waits now."""
        while (received := self.next()) is not None:
            yield received

    def _accepted(self, topic: str, frames: list[bytes]) -> wire.Received | None:
        try:
            received = self._decoder.decode(topic, frames)
        except WireError as error:
            self._refuse(topic, error)
            return None
        envelope = received.envelope
        if not self.gaps.accepts(topic, envelope):
            return None
        if envelope.age_ms(time.monotonic_ns()) > envelope.lifespan_ms:
            self.stale += 1
            return None
        return received

    def _refuse(self, topic: str, error: WireError) -> None:
        self.malformed += 1
        if self._log_due():
            log.warning("refused message topic=%.64r refused=%d error=%s", topic, self.malformed, error)


class Server(_Closing):
    """Answers requests.

    Parameters
    ----------
    context : Context
    endpoint : str

    Attributes
    ----------
    malformed : int
        Requests that were none.
    """

    def __init__(self, context: Context, endpoint: str) -> None:
        self.socket = _socket(context, zmq.ROUTER, EVENT_QUEUE)
        self.malformed = 0
        self._log_due = _Due()
        _bind(self.socket, endpoint, requests.MAX_REQUEST_BYTES)

    def serve(self, answer: Callable[[str, dict[str, Any]], object]) -> None:
        """Answer requests that wait with what `answer(command, arguments)` returns, or with the error it raises.

        At most `MAX_SERVED` at a time, so that a peer who asks without end keeps nobody from working.
        """
        for _ in range(MAX_SERVED):
            if not _is_readable(self.socket):
                return
            peer, *frames = self.socket.recv_multipart(zmq.NOBLOCK)
            try:
                request = requests.decode_request(b"".join(frames))
            except WireError as error:
                self._refuse(error)
                continue
            if request.deadline_ns >= time.monotonic_ns():
                self.socket.send_multipart([peer, requests.encode(_reply_to(request, answer))])

    def _refuse(self, error: WireError) -> None:
        self.malformed += 1
        if self._log_due():
            log.warning("refused request refused=%d error=%s", self.malformed, error)


def _reply_to(request: requests.Request, answer: Callable[[str, dict[str, Any]], object]) -> requests.Reply:
    try:
        return requests.Reply(request.id, value=answer(request.command, request.arguments))
    except SoundSageError as error:
        return requests.Reply(request.id, error=str(error), code=type(error).__name__)


class Client(_Closing):
    """Asks one service.

    Parameters
    ----------
    context : Context
    endpoint : str
    service : str
        Its name, for the error message.
    """

    def __init__(self, context: Context, endpoint: str, service: str) -> None:
        self.socket = _socket(context, zmq.DEALER, EVENT_QUEUE)
        self.socket.connect(endpoint)
        self._service = service
        self._ids = itertools.count()

    def call(self, command: str, timeout_s: float = 2.0, **arguments: object) -> Any:
        """Return the answer to a command.

        Raises
        ------
        InputError
            If the service refuses what it is asked for.
        RequestError
            If it cannot do it, or does not answer in time.
        """
        deadline_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        request = requests.Request(next(self._ids), deadline_ns, command, arguments)
        with contextlib.suppress(zmq.Again):  # no room: as good as no answer
            self.socket.send(requests.encode(request), zmq.NOBLOCK)
        while (left_ms := (deadline_ns - time.monotonic_ns()) / 1e6) > 0 and self.socket.poll(math.ceil(left_ms)):
            reply = requests.decode_reply(self.socket.recv())
            if reply.id != request.id:
                continue
            if reply.error is not None:
                raise (InputError if reply.code == InputError.__name__ else RequestError)(reply.error)
            return reply.value
        raise RequestError(f"{self._service} did not answer within {timeout_s:g} s; see `soundsage status`")


class EventProxy(_Closing):
    """The event plane's middle: forwards every event, and mirrors it to the tap.

    The forwarding runs in a thread of libzmq's own making, which never holds Python's lock.
    """

    _numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, context: Context, endpoints: Endpoints) -> None:
        with contextlib.ExitStack() as opened:  # what is open when a socket cannot be bound would hold the context
            publishers = opened.enter_context(_socket(context, zmq.XSUB, TAP_QUEUE))
            receivers = opened.enter_context(_socket(context, zmq.XPUB, TAP_QUEUE))
            tap = opened.enter_context(_socket(context, zmq.PUB, TAP_QUEUE))
            control = opened.enter_context(_socket(context, zmq.PAIR, 1))
            self.socket = opened.enter_context(_socket(context, zmq.PAIR, 1))
            _bind(publishers, endpoints.events_in)
            _bind(receivers, endpoints.events_out)
            _bind(tap, endpoints.tap)
            # The name of one that was closed is taken until libzmq's own thread has cleared it away.
            control_endpoint = f"inproc://event-proxy-{next(self._numbers)}"
            control.bind(control_endpoint)
            self.socket.connect(control_endpoint)
            publishers.send(b"\x01")  # everything, so that the tap sees also what nobody asked for
            opened.pop_all()
        self._thread = threading.Thread(
            target=_forward, args=(publishers, receivers, tap, control), name="event-proxy", daemon=True
        )
        self._thread.start()

    def received(self) -> tuple[int, int]:
        """Return how many frames and bytes of events have come in so far."""
        self.socket.send(b"STATISTICS")
        n_frames, n_bytes, *_ = (int.from_bytes(counter, "little") for counter in self.socket.recv_multipart())
        return n_frames, n_bytes

    def close(self) -> None:
        """Stop forwarding."""
        self.socket.send(b"TERMINATE")
        self._thread.join()
        super().close()


def _forward(*sockets: zmq.Socket[bytes]) -> None:
    try:
        zmq.proxy_steerable(*sockets)
    finally:
        for socket in sockets:
            socket.close()
