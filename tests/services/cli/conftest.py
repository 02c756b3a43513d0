"""A mesh without services for the commands that listen."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from soundsage.shared import wire
from soundsage.shared.endpoints import Endpoints
from soundsage.shared.messages import Message
from soundsage.shared.transport import Context, EventProxy, Publisher

PERIOD_S = 0.01


@dataclass
class Mesh:
    """A bus and an audio plane on which the test speaks."""

    endpoints: Endpoints
    config: Path
    open: ExitStack

    def say(self, make: Callable[[int], Message], *, audio: bool = False, lag_ns: int = 0, every: int = 1) -> None:
        """Say `make(seq)` each 10 ms until the test is over, with only every so many numbers."""

        def next_frames(n: int) -> list[Any]:
            now_ns = time.monotonic_ns()
            message = make(n * every)
            stamps = {"t_capture_ns": now_ns - lag_ns, "t_publish_ns": now_ns}
            frames = wire.encode(message, source="tester", epoch=1, seq=n * every, **stamps)
            return [f"{message.topic}/".encode(), *frames]

        self.send(next_frames, audio=audio)

    def send(self, next_frames: Callable[[int], list[Any]], *, audio: bool = False) -> None:
        """Send `next_frames(n)` each 10 ms until the test is over."""
        stop = threading.Event()
        endpoint = self.endpoints.audio if audio else self.endpoints.events_in

        def run() -> None:
            context: Context = Context()
            with Publisher(context, endpoint, source="tester", epoch=1, bind=audio) as publisher:
                n = 0
                while not stop.wait(PERIOD_S):
                    publisher.socket.send_multipart(next_frames(n))
                    n += 1
            context.term()

        thread = threading.Thread(target=run)
        thread.start()
        self.open.callback(thread.join)
        self.open.callback(stop.set)

    def run(self, command: click.Command, *arguments: str) -> Result:
        """Return how a command ended on this mesh."""
        return CliRunner().invoke(command, [*arguments, "--config", str(self.config)])


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """Yield a mesh in a directory whose path is short enough for sockets; its context must end."""
    with tempfile.TemporaryDirectory(prefix="ss") as folder, ExitStack() as stack:
        config = Path(folder) / "soundsage.toml"
        config.write_text(f'[mesh]\nrun_dir = "{folder}"\n', encoding="utf-8")
        context: Context = Context()
        stack.callback(context.term)
        stack.enter_context(EventProxy(context, Endpoints(Path(folder))))
        yield Mesh(Endpoints(Path(folder)), config, stack)
