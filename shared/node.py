"""One service's place in the mesh: what it publishes, what it hears, what it is asked and what it says of itself."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

import msgspec

from .config import MeshConfig
from .errors import InputError, MeshError, SoundSageError
from .kept import Kept
from .messages import MAX_TEXT, Error, Message, ServiceState, Setting, kind_of
from .transport import AUDIO_QUEUE, EVENT_QUEUE, Context, EventProxy, Inbox, Publisher, Server, Waiter
from .wire import Received

__all__ = ["NoSettings", "Node"]

ANNOUNCE_S = 1.0

Settings = TypeVar("Settings", bound=msgspec.Struct)
State = Literal["starting", "ready", "waiting", "ended", "failed", "stopped"]
Command = Callable[[dict[str, Any]], object]

log = logging.getLogger(__name__)


class NoSettings(msgspec.Struct, frozen=True):
    """The settings of a service that lets the user set nothing."""


class Node(Generic[Settings]):
    """Publishes, receives, answers requests and announces its state; one per process, used by one thread.

    The state is announced on every change and once a second. Requests are `get`, `set {key, value}` and the `commands`
    of the service; they are answered in `receive`, so that a service has no other loop.

    Parameters
    ----------
    service : str
    config : MeshConfig
    stop : Event
        Set when the process is asked to stop.
    defaults : struct
        What the user may set, and what holds until then.
    accept : callable
        Raises `InputError` for settings that the service could not follow; asked before they are kept.
    commands : dict of callable
        Further requests: arguments to answer.

    Attributes
    ----------
    shown : dict
        What is worth showing beside the settings.
    """

    def __init__(
        self,
        service: str,
        config: MeshConfig,
        stop: threading.Event,
        defaults: Settings,
        *,
        accept: Callable[[Settings], None] = lambda _: None,
        commands: dict[str, Command] | None = None,
    ) -> None:
        self.service = service
        self.endpoints = config.endpoints
        self.epoch = time.monotonic_ns()  # a wall clock may be set back between two starts
        self.shown: dict[str, Setting] = {}
        self._stop = stop
        self._accept = accept
        self._kept = Kept(config.kept_dir / f"{service}.json", defaults)
        self._commands: dict[str, Command] = {"get": self._get, "set": self._set, **(commands or {})}
        self._inboxes: list[Inbox] = []
        self._waiters: dict[tuple[int, ...], Waiter] = {}
        self._state: tuple[State, str] = ("starting", "")
        self._rev = 0
        self._announce_due_s = 0.0
        self._open = contextlib.ExitStack()
        self._context: Context = Context()

    @property
    def settings(self) -> Settings:
        """What the user set, or the defaults."""
        return self._kept.settings

    def __enter__(self) -> Self:
        self._open.callback(self._context.term)
        try:
            self._server = self._open.enter_context(Server(self._context, self.endpoints.requests(self.service)))
            self._events = self._open.enter_context(self._publisher(self.endpoints.events_in, bind=False))
        except MeshError:
            self._open.close()
            raise
        self.announce()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, SoundSageError):
            self._fail(error)
        self._open.close()

    def _fail(self, error: SoundSageError) -> None:
        """Say what went wrong until somebody stops this process: a restart would not help."""
        if not self._stop.is_set():
            self._events.await_receivers(1, ANNOUNCE_S)
        self.report(error)
        while not self._stop.is_set():
            self.receive(())

    def event_proxy(self) -> EventProxy:
        """Return the middle of the event plane; there is one per mesh."""
        return EventProxy(self._context, self.endpoints)

    def audio_publisher(self) -> Publisher:
        """Return the publisher of the audio plane, which is bound: there is one per mesh."""
        return self._open.enter_context(self._publisher(self.endpoints.audio, bind=True))

    def audio(self, *kinds: type[Message], stream: str) -> Inbox:
        """Return an inbox on the audio plane."""
        return self._inbox(self.endpoints.audio, kinds, stream, AUDIO_QUEUE)

    def events(self, *kinds: type[Message], stream: str = "") -> Inbox:
        """Return an inbox on the event plane; without a stream, for all of them."""
        return self._inbox(self.endpoints.events_out, kinds, stream, EVENT_QUEUE)

    def publish(self, message: Message, t_capture_ns: int | None = None) -> None:
        """Send an event that follows from sound captured at `t_capture_ns`."""
        self._events.send(message, t_capture_ns)

    def set_state(self, state: State, text: str = "") -> None:
        """Announce a state, if it is another than before."""
        text = _one_line(text)
        if self._state[0] == "starting":
            gc.freeze()  # what is loaded by now stays, and the collector need not walk through it between two hops
        if (state, text) != self._state:
            self._state = (state, text)
            log.info("became %s %s", state, text)
            self.announce()

    def report(self, error: SoundSageError, state: State = "failed") -> None:
        """Tell everybody what went wrong, and announce the state that it leaves."""
        text = _one_line(str(error))
        log.error("%s: %s", type(error).__name__, text)
        self.publish(Error(service=self.service, code=type(error).__name__, text=text))
        self.set_state(state, text)

    def receive(self, inboxes: Sequence[Inbox], timeout_s: float = 0.1) -> Received | None:
        """Return the next message of the first inbox that has one, None when the time is over.

        Requests are answered and the state is announced on the way.
        """
        self._server.serve(self._answer)
        # A bus that has just come hears at once how everybody is.
        if time.monotonic() >= self._announce_due_s or self._events.gained_receivers():
            self.announce()
        if len(inboxes) == 1:  # a socket that waits by itself wakes sooner; requests wait for at most as long
            return inboxes[0].next(timeout_s)
        received = self._waiting(inboxes)
        if received is None and self._waiter_of(inboxes).wait(timeout_s):
            received = self._waiting(inboxes)
        return received

    def announce(self) -> None:
        """Say how this service is."""
        self._announce_due_s = time.monotonic() + ANNOUNCE_S
        self._rev += 1
        state, text = self._state
        self._events.send(
            ServiceState(
                service=self.service,
                pid=os.getpid(),
                state=state,
                text=text,
                settings={**self.shown, **msgspec.structs.asdict(self.settings)},
                rev=self._rev,
                lost=sum(inbox.lost for inbox in self._inboxes),
                stale=sum(inbox.stale for inbox in self._inboxes),
                malformed=sum(inbox.malformed for inbox in self._inboxes) + self._server.malformed,
            )
        )

    def _waiter_of(self, inboxes: Sequence[Inbox]) -> Waiter:
        key = tuple(map(id, inboxes))
        if key not in self._waiters:
            self._waiters[key] = Waiter((*inboxes, self._server))
        return self._waiters[key]

    def _publisher(self, endpoint: str, *, bind: bool) -> Publisher:
        return Publisher(self._context, endpoint, source=self.service, epoch=self.epoch, bind=bind)

    def _inbox(self, endpoint: str, kinds: tuple[type[Message], ...], stream: str, queue: int) -> Inbox:
        topics = [f"{kind_of(kind)}/{stream}".rstrip("/") for kind in kinds]
        self._inboxes.append(self._open.enter_context(Inbox(self._context, endpoint, topics, queue=queue)))
        return self._inboxes[-1]

    @staticmethod
    def _waiting(inboxes: Sequence[Inbox]) -> Received | None:
        for inbox in inboxes:
            received = inbox.next()
            if received is not None:
                return received
        return None

    def _answer(self, command: str, arguments: dict[str, Any]) -> object:
        if command not in self._commands:
            raise InputError(f"command must be one of {', '.join(self._commands)}, got {command!r}")
        return self._commands[command](arguments)

    def _get(self, _arguments: dict[str, Any]) -> object:
        return {
            "state": self._state[0],
            "text": self._state[1],
            "pid": os.getpid(),
            **msgspec.structs.asdict(self.settings),
        }

    def _set(self, arguments: dict[str, Any]) -> object:
        settings = self._kept.changed(str(arguments.get("key")), arguments.get("value"))
        self._accept(settings)
        self._kept.keep(settings)
        self.announce()
        return msgspec.structs.asdict(settings)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_TEXT]
