"""The sinks, opened when the format is known, and opened again when a device was gone."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

import numpy as np

from soundsage.shared.contracts import Sink, SinkRecord
from soundsage.shared.errors import DeviceError, PluginError
from soundsage.shared.plugins import Guard, guarded, installed_plugins
from soundsage.shared.spec import options_of, parse_spec

__all__ = ["Output"]

RETRY_S = 0.5


class Output:
    """One sink as the user named it.

    Parameters
    ----------
    text : str
        `NAME[:TARGET][?OPTION=VALUE]`.

    Attributes
    ----------
    missing : str
        Why the device is not there now; empty when it is.
    """

    def __init__(self, text: str) -> None:
        spec = parse_spec(text)
        self.text = text
        self.missing = ""
        self._guard = Guard(f"sink {text}")
        self._record = installed_plugins().find("sinks", SinkRecord, spec.name)
        self._target = spec.target
        self._options = options_of(spec, self._record.options)
        self._sink: Sink | None = None
        self._format = (0, 0)
        self._retry_s = 0.0

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
        self._try()

    def write(self, samples: np.ndarray) -> None:
        """Hand a block to it."""
        if self._sink is None:
            if time.monotonic() < self._retry_s:
                return
            self._try()
        if self._sink is not None:
            with self._missing_after_failure():
                guarded(self._guard.what, _write, self._sink, samples)

    def close(self) -> None:
        """Play or write what is left, and give the device back."""
        sink, self._sink = self._sink, None
        if sink is not None:
            guarded(self._guard.what, sink.close)

    def _try(self) -> None:
        with self._missing_after_failure():
            self._sink = guarded(self._guard.what, self._record.open, self._target, self._options, *self._format)
            self.missing = ""

    @contextlib.contextmanager
    def _missing_after_failure(self) -> Iterator[None]:
        """Try again later after a failure; a plugin that raises what it must not has three strikes."""
        try:
            yield
        except (DeviceError, PluginError) as error:
            self.missing = str(error)
            self._retry_s = time.monotonic() + RETRY_S
            with contextlib.suppress(DeviceError, PluginError):
                self.close()
            if isinstance(error, PluginError):
                self._count(error)

    def _count(self, error: PluginError) -> None:
        strike = self._guard.strike(str(error))
        if self._guard.is_quarantined:
            raise strike from error


def _write(sink: Sink, samples: np.ndarray) -> None:
    """Write, and find out here whether it is a sink: the meter reads both later."""
    sink.write(samples)
    if not (sink.underruns >= 0 and 0 <= sink.buffer_ms < math.inf):
        raise ValueError(f"underruns and buffer_ms must be numbers, got {sink.underruns} and {sink.buffer_ms}")
