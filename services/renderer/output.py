"""The sinks, opened when the format is known, and opened again when a device was gone."""

from __future__ import annotations

import math

import numpy as np

from soundsage.shared.contracts import Sink, SinkRecord
from soundsage.shared.errors import DeviceError, PluginError
from soundsage.shared.plugins import Guard, guarded, installed_plugins
from soundsage.shared.spec import options_of, parse_spec

from .reopening import Reopening, give_back, must_go_on, turn

__all__ = ["Output"]


class Output:
    """One sink as the user named it.

    Parameters
    ----------
    text : str
        `NAME[:TARGET][?OPTION=VALUE]`.
    """

    def __init__(self, text: str) -> None:
        spec = parse_spec(text)
        self.text = text
        self._guard = Guard(f"sink {text}")
        self._record = installed_plugins().find("sinks", SinkRecord, spec.name)
        self._target = spec.target
        self._options = options_of(spec, self._record.options)
        self._sink: Sink | None = None
        self._reopening: Reopening | None = None
        self._format = (0, 0)

    @property
    def missing(self) -> str:
        """Why the device is not there now; empty when it is."""
        return self._reopening.reason if self._reopening is not None else ""

    @property
    def underruns(self) -> int:
        """How often it ran dry, since it was opened."""
        return int(self._sink.underruns) if self._sink is not None else 0

    @property
    def buffer_ms(self) -> float:
        """Sound that waits in it."""
        return float(self._sink.buffer_ms) if self._sink is not None else 0.0

    def open(self, sample_rate: int, n_channels: int) -> None:
        """Open it for a format; a device that is not there is tried again while the sound goes on."""
        self.close()
        self._format = (sample_rate, n_channels)
        try:
            self._sink = self._opened()
        except (DeviceError, PluginError) as error:
            self._miss(error)

    def write(self, samples: np.ndarray) -> None:
        """Hand a block to it; while the device is missing, the block is dropped."""
        if self._reopening is not None:
            self._sink = self._reopening.take()
            if self._sink is None:
                return
            self._reopening = None
        if self._sink is not None:
            try:
                guarded(self._guard.what, _write, self._sink, samples)
            except (DeviceError, PluginError) as error:
                self._miss(error)

    def close(self) -> None:
        """Play or write what is left, and give the device back."""
        sink, self._sink = self._sink, None
        reopening, self._reopening = self._reopening, None
        if reopening is not None:
            reopening.close()
        if sink is not None:
            guarded(self._guard.what, sink.close)

    def _opened(self) -> Sink:
        with turn(self._guard.what):
            return guarded(self._guard.what, self._record.open, self._target, self._options, *self._format)

    def _miss(self, error: DeviceError | PluginError) -> None:
        """Leave it to another thread: giving a device back and asking for it take longer than a block lasts."""
        failed, self._sink = self._sink, None
        try:
            must_go_on(self._guard, error)
        except PluginError:
            if failed is not None:
                give_back(self._guard, failed)
            raise
        self._reopening = Reopening(self._opened, self._guard, failed, error)


def _write(sink: Sink, samples: np.ndarray) -> None:
    """Write, and find out here whether it is a sink: the meter reads both later."""
    sink.write(samples)
    if not (sink.underruns >= 0 and 0 <= sink.buffer_ms < math.inf):
        raise ValueError(f"underruns and buffer_ms must be numbers, got {sink.underruns} and {sink.buffer_ms}")
