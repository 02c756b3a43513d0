"""A sink on its way back, while the sound goes on at the others."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections import deque
from collections.abc import Callable, Iterator

from soundsage.shared.contracts import Sink
from soundsage.shared.errors import DeviceError, PluginError, SoundSageError
from soundsage.shared.plugins import Guard, guarded

__all__ = ["Reopening", "give_back", "must_go_on", "turn"]

RETRY_S = 0.5
TURN_S = 2.0
# A sink may take 2 s to close, or to wait for its turn, and its thread a little to see that it is over.
JOIN_S = 2.5

# Two sinks of one library must not be opened at the same time: PortAudio is started anew before it looks for a device.
_turn = threading.Lock()


class Reopening:
    """Closes a sink that failed and opens it again every 0.5 s until it is there, in a thread of its own.

    The one who takes the sink never waits: it lies in a slot, and whoever takes it out of there has to close it.

    Parameters
    ----------
    open_sink : callable
        Returns the sink; runs in the thread.
    guard : Guard
        Counts what the plugin raised that it must not; until the sink is taken only the thread counts.
    failed : Sink or None
        What is to be closed first.
    error : SoundSageError
        Why.

    Attributes
    ----------
    reason : str
        Why the device is not there, as of the latest attempt.
    """

    def __init__(self, open_sink: Callable[[], Sink], guard: Guard, failed: Sink | None, error: SoundSageError) -> None:
        self.reason = str(error)
        self._open_sink = open_sink
        self._failed = failed
        self._guard = guard
        self._slot: deque[Sink | SoundSageError] = deque()  # its append and pop are atomic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reopening", daemon=True)
        self._thread.start()

    def take(self) -> Sink | None:
        """Return the sink when it is there; never waits.

        Raises
        ------
        SoundSageError
            If it never will be.
        """
        if not self._slot:
            return None
        found = self._slot.pop()
        if isinstance(found, SoundSageError):
            raise found
        return found

    def close(self) -> None:
        """End the thread, and close the sink that nobody took."""
        self._stop.set()
        self._thread.join(JOIN_S)
        self._discard()

    def _run(self) -> None:
        try:
            if self._failed is not None:
                give_back(self._guard, self._failed)
                self._failed = None
            while not self._stop.wait(RETRY_S):
                sink = self._attempt()
                # Sinks and their libraries are cycles, and the renderer's collector is off, lest it runs in the midst
                # of a block. What was loaded is frozen, so this holds the interpreter, which the sound needs too, for
                # less than a millisecond.
                gc.collect()
                if sink is not None:
                    self._slot.append(sink)
                    break
        except SoundSageError as error:
            self._slot.append(error)
        if self._stop.is_set():  # whoever closes may have given up on us
            self._discard()

    def _attempt(self) -> Sink | None:
        try:
            return self._open_sink()
        except (DeviceError, PluginError) as error:
            self.reason = str(error)
            must_go_on(self._guard, error)
            return None

    def _discard(self) -> None:
        with contextlib.suppress(IndexError):
            found = self._slot.pop()
            if not isinstance(found, SoundSageError):
                give_back(self._guard, found)


@contextlib.contextmanager
def turn(what: str) -> Iterator[None]:
    """Have a sink opened while no other one is.

    Raises
    ------
    DeviceError
        If another one takes too long.
    """
    if not _turn.acquire(timeout=TURN_S):
        raise DeviceError(f"{what} waits for another sink that does not open; is its device stuck?")
    try:
        yield
    finally:
        _turn.release()


def give_back(guard: Guard, sink: Sink) -> None:
    """Close a sink that failed already, or that nobody wants."""
    with contextlib.suppress(DeviceError, PluginError):
        guarded(guard.what, sink.close)


def must_go_on(guard: Guard, error: SoundSageError) -> None:
    """Count what a plugin raised that it must not.

    Raises
    ------
    PluginError
        At the third strike, after which the sink is not tried again.
    """
    if isinstance(error, PluginError):
        strike = guard.strike(str(error))
        if guard.is_quarantined:
            raise strike from error
