"""The sinks, opened when the format is known, and opened again when a device was gone."""

from __future__ import annotations

import time

import numpy as np

from soundsage.shared.contracts import Sink, SinkRecord
from soundsage.shared.errors import DeviceError
from soundsage.shared.plugins import guarded, installed_plugins
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
        self._record = installed_plugins().find("sinks", SinkRecord, spec.name)
        self._target = spec.target
        self._options = options_of(spec, self._record.options)
        self._sink: Sink | None = None
        self._format = (0, 0)
        self._retry_s = 0.0

    @property
    def underruns(self) -> int:
        """How often it ran dry, since it was opened."""
        return self._sink.underruns if self._sink is not None else 0

    @property
    def buffer_ms(self) -> float:
        """Sound that waits in it."""
        return self._sink.buffer_ms if self._sink is not None else 0.0

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
        try:
            if self._sink is not None:
                guarded(f"sink {self.text}", self._sink.write, samples)
        except DeviceError as error:
            self.close()
            self._miss(error)

    def close(self) -> None:
        """Play or write what is left, and give the device back."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _try(self) -> None:
        try:
            self._sink = guarded(
                f"sink {self._record.name}", self._record.open, self._target, self._options, *self._format
            )
            self.missing = ""
        except DeviceError as error:
            self._miss(error)

    def _miss(self, error: DeviceError) -> None:
        self.missing = str(error)
        self._retry_s = time.monotonic() + RETRY_S
