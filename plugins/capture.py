"""Capture a device through PortAudio, and know when it is gone."""

from __future__ import annotations

import queue
import time
import uuid
from typing import Any

import numpy as np

from soundsage.plugins.portaudio import Place, open_stream
from soundsage.plugins.watch import Watch
from soundsage.shared.contracts import SourceBlock
from soundsage.shared.errors import DeviceError

__all__ = ["DeviceSource"]

# A reader that stalls for longer has lost the thread; what it missed is dropped and counted rather than hoarded.
MAX_WAITING_S = 2.0
# A null sink that was idle has rendered up to two seconds ahead, and PortAudio gives up on its monitor before that.
MAX_RESTARTS = 5

_ENDED = "ended"


class DeviceSource:
    """A device that is being captured.

    Attributes
    ----------
    overruns : int
        How often samples were lost, since the device or the reader did not keep up.
    """

    def __init__(self, place: Place, block_size: int) -> None:
        self.sample_rate = place.sample_rate
        self.n_channels = place.n_channels
        self.overruns = 0
        self._place = place
        self._max_waiting = max(4, round(MAX_WAITING_S * place.sample_rate / block_size))
        self._queue: queue.SimpleQueue[SourceBlock | str] = queue.SimpleQueue()
        self._fault: str | None = None
        self._is_closed = False
        self._has_begun = False
        self._n_restarts = 0
        mark = uuid.uuid4().hex
        self._stream = open_stream(
            place,
            mark,
            sample_rate=self.sample_rate,
            n_channels=self.n_channels,
            block_size=block_size,
            latency="low",
            callback=self._take,
            finished=self._tell_end,
        )
        self._watch = (
            Watch("source", mark, place.node, self._queue.put, is_default=place.is_default) if place.node else None
        )

    def read(self, timeout_s: float) -> SourceBlock | None:
        """Return the next block.

        Raises
        ------
        DeviceError
            If the device is gone.
        """
        if self._fault is None:
            try:
                taken = self._queue.get(timeout=timeout_s)
            except queue.Empty:
                return None
            if isinstance(taken, SourceBlock):
                return taken
            if taken == _ENDED and self._restarted():
                return None
            self._fault = f"source {self._place.label} stopped; is it plugged in?" if taken == _ENDED else taken
        raise DeviceError(self._fault)

    def close(self) -> None:
        """Give the device back."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._watch is not None:
            self._watch.close()
        self._stream.close()

    def _take(self, frames: np.ndarray, _n_samples: int, _time: object, status: Any) -> None:
        """Pass a block on; PortAudio's thread, and its memory."""
        now_ns = time.monotonic_ns()
        self._has_begun = True
        if status.input_overflow:
            self.overruns += 1
        if self._queue.qsize() < self._max_waiting:
            self._queue.put(SourceBlock(frames.T.copy(), now_ns))
        else:
            self.overruns += 1

    def _tell_end(self) -> None:
        if not self._is_closed:
            self._queue.put(_ENDED)

    def _restarted(self) -> bool:
        """Start the stream again if it never began, and return whether that was so."""
        if self._has_begun or self._n_restarts >= MAX_RESTARTS:
            return False
        self._n_restarts += 1
        self._stream.stop()
        self._stream.start()
        return True
