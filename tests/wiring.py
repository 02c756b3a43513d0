"""Real sockets for tests: a place for them, a context that must end, and the bus and audio plane around one service."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from soundsage.shared.config import Config, MeshConfig
from soundsage.shared.endpoints import Endpoints
from soundsage.shared.errors import SoundSageError
from soundsage.shared.messages import Error, Message, ServiceState
from soundsage.shared.transport import Client, Context, EventProxy, Inbox, Publisher, wait
from soundsage.shared.wire import Received

__all__ = ["Stage", "ending_context", "next_of", "short_folder"]

TIMEOUT_S = 20.0
AGAIN_S = 0.01

M = TypeVar("M", bound=Message)


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Yield an empty folder whose path leaves room for the name of a socket."""
    with tempfile.TemporaryDirectory(prefix="ss", dir="/tmp") as folder:
        yield Path(folder)


@contextlib.contextmanager
def ending_context() -> Iterator[Context]:
    """Yield a context, and fail when a socket that is still open keeps it from ending."""
    context: Context = Context()
    yield context
    ender = threading.Thread(target=context.term, daemon=True)
    ender.start()
    ender.join(5.0)
    assert not ender.is_alive(), "a socket is still open"


def next_of(inbox: Inbox, kind: type[M], where: Callable[[M], bool] = lambda _: True) -> tuple[Received, M]:
    """Return the next message of a kind for which something holds; all others are passed over."""
    end_s = time.monotonic() + TIMEOUT_S
    while (left_s := end_s - time.monotonic()) > 0:
        wait((inbox,), left_s)
        for received in inbox.pending():
            if isinstance(received.message, kind) and where(received.message):
                return received, received.message
    raise AssertionError(f"no {kind.__name__} within {TIMEOUT_S:g} s for which it holds")


class Stage:
    """One mesh in which the test plays all services but one.

    Attributes
    ----------
    mesh : MeshConfig
    events : Publisher
        What the test says on the event plane.
    heard : Inbox
        Everything on the event plane.
    """

    def __init__(self, folder: Path, context: Context) -> None:
        self.mesh = MeshConfig(run_dir=str(folder), state_dir=str(folder / "kept"))
        self.endpoints = Endpoints(folder)
        self.errors: list[SoundSageError] = []
        self._open = contextlib.ExitStack()
        self._context = context

    def __enter__(self) -> Self:
        self._make_bus()
        self.events = self._open.enter_context(self._publisher(self.endpoints.events_in, bind=False))
        self.heard = self.inbox(self.endpoints.tap, "")
        assert self.events.await_receivers(1, TIMEOUT_S)
        probe = Error(service="tester", code="probe", text="")
        self.until(lambda: self.events.send(probe), lambda: next(self.heard.pending(), None))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, service: Callable[[Config, threading.Event], None], **tables: Any) -> threading.Event:
        """Run a service in a thread until the test is over, and return what stops it sooner."""
        stop = threading.Event()

        def body() -> None:
            try:
                service(Config(mesh=self.mesh, **tables), stop)
            except SoundSageError as error:
                self.errors.append(error)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(TIMEOUT_S)
            assert not thread.is_alive(), "the service did not stop"

        self._open.callback(end)
        return stop

    def audio(self) -> Publisher:
        """Return the audio plane, on which the test plays capture."""
        return self._open.enter_context(self._publisher(self.endpoints.audio, bind=True))

    def inbox(self, endpoint: str, *topics: str) -> Inbox:
        """Return an inbox that is closed at the end."""
        return self._open.enter_context(Inbox(self._context, endpoint, topics, queue=10_000))

    def ask(self, service: str, command: str, **arguments: object) -> Any:
        """Return the answer of a service to a request."""
        with Client(self._context, self.endpoints.requests(service), service) as client:
            return client.call(command, TIMEOUT_S, **arguments)

    def state(self, state: str, where: Callable[[ServiceState], bool] = lambda _: True) -> ServiceState:
        """Return the next announcement of a state."""
        return next_of(self.heard, ServiceState, lambda each: each.state == state and where(each))[1]

    def until(self, act: Callable[[], object], found: Callable[[], Any]) -> Any:
        """Return what is found, acting again and again until then: a subscription has no other sign of its arrival."""
        end_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end_s:
            act()
            wait((self.heard,), AGAIN_S)
            if (result := found()) is not None:
                return result
        raise AssertionError(f"nothing found within {TIMEOUT_S:g} s")

    def answer(self, message: Message, kind: type[M], where: Callable[[M], bool] = lambda _: True) -> M:
        """Return the first message of a kind that comes while another is said again and again."""

        def found() -> M | None:
            for received in self.heard.pending():
                if isinstance(received.message, kind) and where(received.message):
                    return received.message
            return None

        answer: M = self.until(lambda: self.events.send(message), found)
        return answer

    def _make_bus(self) -> None:
        self._open.enter_context(EventProxy(self._context, self.endpoints))

    def _publisher(self, endpoint: str, *, bind: bool) -> Publisher:
        return Publisher(self._context, endpoint, source="tester", epoch=time.time_ns(), bind=bind)
