"""A sink that is gone: who opens and closes it again, and what the sound at the others does meanwhile."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from soundsage.services.renderer import output as output_module
from soundsage.services.renderer import reopening
from soundsage.services.renderer.output import Output
from soundsage.shared.contracts import Sink, SinkRecord
from soundsage.shared.errors import DeviceError, InputError, PluginError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.plugins import Plugins

BLOCK = np.zeros((2, 256), np.float32)
TIMEOUT_S = 10.0


class Loudspeaker:
    """A sink with a plug; it is in a cycle, as those of libraries are."""

    underruns = 0
    buffer_ms = 0.0

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.myself = self

    def write(self, _samples: np.ndarray) -> None:
        """Take a block."""
        if not self.socket.is_plugged:
            raise DeviceError("unplugged")

    def close(self) -> None:
        """Note who closed it."""
        self.socket.closed.append(threading.get_ident())


class Socket:
    """Where the loudspeaker is plugged in; notes which thread asked for it."""

    def __init__(self) -> None:
        self.is_plugged = True
        self.error: BaseException = DeviceError("not there")
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()
        self.came = threading.Event()
        self.sinks: weakref.WeakSet[Loudspeaker] = weakref.WeakSet()

    def open(self, _target: str, _options: msgspec.Struct, _sample_rate: int, _n_channels: int) -> Sink:
        """Open it; while the gate is shut, this takes its time."""
        self.opened.append(threading.get_ident())
        self.asked.set()
        self.gate.wait(TIMEOUT_S)
        if not self.is_plugged:
            raise self.error
        sink = Loudspeaker(self)
        self.sinks.add(sink)
        if len(self.opened) > 1:
            self.came.set()
        return sink

    @hookimpl
    def soundsage_sinks(self) -> list[SinkRecord]:
        """Return the sink."""
        return [SinkRecord(name="plug", summary="a", open=self.open, check=lambda *_: None)]


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Socket]:
    """Return a socket whose sink is installed, tried again often; afterwards no thread may be left."""
    socket = Socket()
    plugins = Plugins(())
    plugins._manager.register(socket, "plug")
    monkeypatch.setattr(output_module, "installed_plugins", lambda: plugins)
    monkeypatch.setattr(reopening, "RETRY_S", 0.01)
    yield socket
    assert "reopening" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def output(socket: Socket) -> Iterator[Output]:
    """Return an output that is open."""
    output = Output("plug")
    output.open(48_000, 2)
    yield output
    socket.gate.set()
    output.close()


def write_until(output: Output, condition: Callable[[], bool]) -> None:
    """Write blocks until something is so."""
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s
        output.write(BLOCK)


def test_a_sink_that_is_gone_is_closed_and_opened_again_by_another_thread(socket: Socket, output: Output) -> None:
    """Who writes opens only the first time, and closes nothing that failed."""
    socket.is_plugged = False
    write_until(output, lambda: len(socket.opened) > 3)
    assert output.missing == "not there"
    socket.is_plugged = True
    write_until(output, lambda: not output.missing)

    us = threading.get_ident()
    assert socket.opened[0] == us
    assert us not in socket.opened[1:]
    assert socket.closed
    assert us not in socket.closed


def test_a_sink_that_takes_long_to_open_holds_no_block_up(socket: Socket, output: Output) -> None:
    """While it is being opened, a block is dropped in less time than it lasts."""
    socket.asked.clear()
    socket.gate.clear()
    socket.is_plugged = False
    write_until(output, socket.asked.is_set)

    begin_s = time.monotonic()
    for _ in range(1000):
        output.write(BLOCK)
    took_s = time.monotonic() - begin_s

    assert took_s < 1000 * 256 / 48_000


def test_a_sink_that_was_never_there_is_opened_when_it_comes(socket: Socket) -> None:
    """Missing at the first opening is missing like any other."""
    socket.is_plugged = False
    output = Output("plug")
    output.open(48_000, 2)
    assert output.missing == "not there"
    socket.is_plugged = True
    write_until(output, lambda: not output.missing)
    output.close()


def test_a_sink_that_came_back_unheard_is_closed(socket: Socket, output: Output) -> None:
    """What was opened and not yet taken when all ends is given back."""
    socket.is_plugged = False
    write_until(output, lambda: bool(output.missing))
    socket.is_plugged = True
    socket.came.wait(TIMEOUT_S)
    output.close()

    assert len(socket.closed) == 2


def test_a_sink_that_opens_too_late_closes_itself(
    socket: Socket, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing does not wait for a device that hangs, and what it returns in the end is given back."""
    monkeypatch.setattr(reopening, "JOIN_S", 0.05)
    socket.asked.clear()
    socket.gate.clear()
    socket.is_plugged = False
    write_until(output, socket.asked.is_set)
    n_closed = len(socket.closed)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "reopening")

    output.close()
    assert thread.is_alive()
    assert thread.daemon
    socket.is_plugged = True
    socket.gate.set()
    thread.join(TIMEOUT_S)

    assert len(socket.closed) == n_closed + 1


def test_three_strikes_end_it_where_the_sound_is(socket: Socket, output: Output) -> None:
    """What a plugin raised in the other thread reaches the one who writes."""
    socket.error = ZeroDivisionError("oh")
    socket.is_plugged = False

    with pytest.raises(PluginError, match=r"sink plug raised ZeroDivisionError: oh \(strike 3 of 3\)"):
        write_until(output, lambda: False)


def test_what_can_never_be_opened_ends_it_too(socket: Socket, output: Output) -> None:
    """An error that no waiting mends is raised, not tried again."""
    socket.error = InputError("plug must be round")
    socket.is_plugged = False

    with pytest.raises(InputError, match="plug must be round"):
        write_until(output, lambda: False)
    assert len(socket.opened) == 2


def test_sinks_that_failed_leave_no_memory_behind(socket: Socket, output: Output) -> None:
    """With the collector off, as the renderer has it, a sink that is a cycle is still let go."""
    gc.disable()
    try:
        (first,) = map(weakref.ref, socket.sinks)
        socket.is_plugged = False
        write_until(output, lambda: first() is None)
    finally:
        gc.enable()


def test_two_sinks_are_never_opened_at_once(socket: Socket, output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is being opened another one waits, but not for ever: it is missing then."""
    monkeypatch.setattr(reopening, "TURN_S", 0.05)
    socket.asked.clear()
    socket.gate.clear()
    socket.is_plugged = False
    write_until(output, socket.asked.is_set)
    n_opened = len(socket.opened)
    second = Output("plug")
    second.open(48_000, 2)

    assert "waits for another sink" in second.missing
    assert len(socket.opened) == n_opened
    second.close()
