"""Hear what the services say, on the tap of the bus and on the audio plane, without being heard.

Conventions
-----------
A topic is `kind` or `kind/stream`. Audio blocks and the end of a stream travel on the audio plane, all else on the tap.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import click
import msgspec

from soundsage.shared.config import MeshConfig
from soundsage.shared.endpoints import Endpoints
from soundsage.shared.errors import InputError, MeshError, WireError
from soundsage.shared.messages import MESSAGE_TYPES, AudioBlock, StreamEnded, kind_of
from soundsage.shared.transport import Context, Inbox, wait
from soundsage.shared.wire import Envelope, peek

from .options import mesh_option

__all__ = ["Listener", "Overheard", "checked_topic", "listening", "running_endpoints", "until_enough"]

AUDIO_KINDS = frozenset({kind_of(AudioBlock), kind_of(StreamEnded)})
KINDS = tuple(map(kind_of, MESSAGE_TYPES.values()))
QUEUE = 4096
POLL_S = 0.1

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Overheard:
    """A message as it came.

    Attributes
    ----------
    topic : str
    envelope : Envelope
    frames : list of bytes
        The envelope first, without the topic.
    t_ns : int
        Monotonic clock when it was here.
    """

    topic: str
    envelope: Envelope[msgspec.Raw]
    frames: list[bytes]
    t_ns: int

    @property
    def n_bytes(self) -> int:
        """Size of all frames."""
        return sum(map(len, self.frames))


class Listener:
    """Hears topics of one mesh.

    Parameters
    ----------
    endpoints : Endpoints
    topics : sequence of str
        An empty string is everything on both planes.

    Attributes
    ----------
    malformed : int
        What came and was no message.
    """

    def __init__(self, endpoints: Endpoints, topics: Sequence[str]) -> None:
        self.malformed = 0
        self._context: Context = Context()
        self._inboxes = [
            Inbox(self._context, endpoint, chosen, queue=QUEUE)
            for endpoint, chosen in ((endpoints.tap, _events(topics)), (endpoints.audio, _audio(topics)))
            if chosen
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for inbox in self._inboxes:
            inbox.close()
        self._context.term()

    def heard(self, duration_s: float | None = None) -> Iterator[Overheard]:
        """Yield messages as they come, until the time is over; without one for ever."""
        end_s = math.inf if duration_s is None else time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            if wait(self._inboxes, min(left_s, POLL_S)):
                yield from self._waiting()

    def seconds(self, duration_s: float | None = None) -> Iterator[list[Overheard]]:
        """Yield what came in each second, until the time is over; without one for ever."""
        end_s = math.inf if duration_s is None else time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            yield list(self.heard(min(left_s, 1.0)))

    def _waiting(self) -> Iterator[Overheard]:
        """Yield at most one message of each plane, so that a flood on one cannot hide the other or the time."""
        for inbox in self._inboxes:
            waiting = inbox.frames()
            if waiting is None:
                continue
            topic, frames = waiting
            try:
                yield Overheard(topic, peek(frames), frames, time.monotonic_ns())
            except WireError:
                self.malformed += 1


def _events(topics: Sequence[str]) -> list[str]:
    return [topic for topic in topics if topic.partition("/")[0] not in AUDIO_KINDS]


def _audio(topics: Sequence[str]) -> list[str]:
    return [topic for topic in topics if not topic or topic.partition("/")[0] in AUDIO_KINDS]


def checked_topic(_context: click.Context, _parameter: click.Parameter, topic: str) -> str:
    """Return the topic without a trailing slash.

    Raises
    ------
    InputError
        If nothing of its kind is ever said.
    """
    kind = topic.partition("/")[0]
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(KINDS)}"
        raise InputError(f"topic must be KIND or KIND/STREAM, got {topic!r}; {hint}")
    return topic.rstrip("/")


def running_endpoints(mesh: MeshConfig) -> Endpoints:
    """Return the endpoints of the mesh that runs here.

    Raises
    ------
    MeshError
        If none does.
    """
    if not Path(mesh.endpoints.tap.removeprefix("ipc://")).exists():
        raise MeshError("no mesh runs here; start one with `soundsage up`")
    return mesh.endpoints


def listening(default_s: float | None = None) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of all commands that listen.

    Parameters
    ----------
    default_s : float or None
        How long they listen when the user does not say; None until Ctrl-C.
    """
    add_duration = click.option(
        "--duration",
        "duration_s",
        type=click.FloatRange(min=0, min_open=True),
        default=default_s,
        metavar="SECONDS",
        help=f"{default_s:g} without." if default_s else "Until Ctrl-C without.",
    )
    return lambda command: mesh_option(add_duration(command))


@contextlib.contextmanager
def until_enough() -> Iterator[None]:
    """Let Ctrl-C, and a reader that has seen enough, end a command without a word."""
    try:
        yield
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # What is still buffered must have somewhere to go at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
