"""Sink `device[:NAME]`: a loudspeaker.

NAME is a node of PulseAudio or PipeWire, or a device of PortAudio by its name or index; without it the default is
taken, and where the source `system` made itself the default, the one that it stands before.
"""

from __future__ import annotations

import threading
import uuid
from typing import Annotated, Any, cast

import msgspec
import numpy as np

from soundsage.plugins.portaudio import Place, devices, find, open_stream
from soundsage.plugins.ring import JitterBuffer
from soundsage.plugins.watch import Watch
from soundsage.shared.contracts import DeviceInfo, SinkRecord
from soundsage.shared.errors import DeviceError, InputError
from soundsage.shared.hookspecs import hookimpl

__all__ = ["DeviceOptions", "DeviceSink", "on_channels", "soundsage_sinks"]

# One period is a callback, and the length of every fade.
PERIODS_PER_S = 100
CAPACITY_S = 4
# What PortAudio calls high for PulseAudio; a callback in Python may be late by as much on a busy machine.
MIN_LATENCY_S = 0.035
# PortAudio throws away what the device still buffers when a stream ends, so silence goes behind the last sample.
SILENT_LATENCIES = 2
CLOSE_TIMEOUT_S = 2.0


class DeviceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to render.

    Attributes
    ----------
    buffer_ms : float
        Sound that waits in front of the device, lest it runs dry, at least two blocks and a period; and once more in
        the device, at least 35 ms.
    """

    buffer_ms: Annotated[float, msgspec.Meta(ge=0.0, le=500.0)] = 40.0


class DeviceSink:
    """A device that plays.

    Attributes
    ----------
    underruns : int
        How often it ran dry.
    overruns : int
        How often samples were dropped, since the device's clock is the slower one.
    buffer_ms : float
        Sound that waited at the last block, ms.
    """

    def __init__(self, place: Place, options: DeviceOptions, sample_rate: int, n_channels: int) -> None:
        self.underruns = 0
        self.overruns = 0
        self.buffer_ms = 0.0
        self._place = place
        self._sample_rate = sample_rate
        # A mono stream would be heard on the left only.
        self._n_out = min(max(n_channels, 2), place.n_channels)
        period = sample_rate // PERIODS_PER_S
        target = round(options.buffer_ms * sample_rate / 1e3)
        self._buffer = JitterBuffer(self._n_out, period, target, CAPACITY_S * sample_rate)
        self._n_device_underruns = 0
        self._n_silent = round(SILENT_LATENCIES * max(options.buffer_ms / 1e3, MIN_LATENCY_S) * PERIODS_PER_S) + 2
        self._fault: str | None = None
        self._ended = threading.Event()
        self._stop = _callback_stop()
        self._is_closed = False
        mark = uuid.uuid4().hex
        self._stream = open_stream(
            place,
            mark,
            sample_rate=sample_rate,
            n_channels=self._n_out,
            block_size=period,
            latency=max(options.buffer_ms / 1e3, MIN_LATENCY_S),
            callback=self._play,
            finished=self._ended.set,
        )
        self._watch = (
            Watch("sink", mark, place.node, self._take_fault, is_default=place.is_default) if place.node else None
        )

    def write(self, samples: np.ndarray) -> None:
        """Take a block, shape (n_channels, n_samples).

        Raises
        ------
        DeviceError
            If the device is gone.
        """
        if self._fault is not None:
            raise DeviceError(self._fault)
        if self._ended.is_set():
            raise DeviceError(f"sink {self._place.label} stopped; is it plugged in?")
        self._buffer.write(on_channels(samples, self._n_out).T)
        self.underruns = self._buffer.underruns + self._n_device_underruns
        self.overruns = self._buffer.overruns
        self.buffer_ms = 1e3 * self._buffer.n_waiting / self._sample_rate

    def close(self) -> None:
        """Play what is left, fading out, and give the device back."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._fault is None:
            self._buffer.drain()
            self._ended.wait(CLOSE_TIMEOUT_S)
        if self._watch is not None:
            self._watch.close()
        self._stream.close()

    def _play(self, frames: np.ndarray, _n_samples: int, _time: object, status: Any) -> None:
        """Fill one period; PortAudio's thread, and its memory."""
        self._buffer.read(frames)
        self._n_device_underruns += status.output_underflow
        if self._buffer.is_drained:
            self._n_silent -= 1
            if self._n_silent < 0:
                raise self._stop

    def _take_fault(self, fault: str) -> None:
        self._fault = fault


def on_channels(samples: np.ndarray, n_channels: int) -> np.ndarray:
    """Return samples on the channels of a device.

    Parameters
    ----------
    samples : ndarray of shape (n_in, n_samples), float32
    n_channels : int

    Returns
    -------
    ndarray of shape (n_channels, n_samples), float32
        Mono on every channel; with more channels than the device has, the mean of every n-th, which cannot clip.
    """
    n_in = len(samples)
    if n_in == n_channels:
        return samples
    if n_in == 1:
        return np.broadcast_to(samples, (n_channels, samples.shape[1]))
    if n_in < n_channels:
        raise ValueError(f"samples must have 1 or {n_channels} channels or more, got {n_in}")
    return np.stack([samples[channel::n_channels].mean(axis=0) for channel in range(n_channels)])


def _callback_stop() -> type[Exception]:
    """Return what a callback raises to end its stream; PortAudio plays what it has before."""
    import sounddevice

    return sounddevice.CallbackStop  # type: ignore[no-any-return]


def _open(target: str, options: msgspec.Struct, sample_rate: int, n_channels: int) -> DeviceSink:
    try:
        place = find("sink", target)
    except InputError as error:
        raise DeviceError(str(error)) from error
    return DeviceSink(place, cast("DeviceOptions", options), sample_rate, n_channels)


def _check(target: str, options: msgspec.Struct) -> None:  # noqa: ARG001  any will do
    find("sink", target)


def _devices() -> list[DeviceInfo]:
    return devices("sink")


@hookimpl
def soundsage_sinks() -> list[SinkRecord]:
    """Return this sink."""
    return [
        SinkRecord(
            name="device",
            summary="a loudspeaker: device:NAME; ?buffer_ms=40",
            open=_open,
            check=_check,
            options=DeviceOptions,
            devices=_devices,
        )
    ]
