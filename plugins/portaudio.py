"""Find devices for PortAudio, and open streams on them.

PortAudio as distributions ship it knows nothing of PulseAudio or PipeWire; their nodes are reached through the ALSA PCM
`pulse`, which takes the node from the environment at the moment when a stream is opened.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from soundsage.plugins.pulse import STREAM_MARK, Kind, Node, Nodes, connected, feedback_at, nodes
from soundsage.shared.contracts import DeviceInfo
from soundsage.shared.errors import DeviceError, InputError

if TYPE_CHECKING:
    import types

    import sounddevice

__all__ = ["Place", "devices", "find", "open_stream"]

PULSE_PCM = "pulse"
# ALSA's names for whatever is the sound server's default.
DEFAULT_PCMS = frozenset({"default", "pipewire", "pulse", "sysdefault"})
N_NEAREST = 3

_environment_lock = threading.Lock()
# A stream that is forgotten while it runs would take the process with it: its callback is gone, its thread is not.
_streams: set[Any] = set()


@dataclass(frozen=True)
class Place:
    """Where a stream is opened.

    Attributes
    ----------
    kind : {"source", "sink"}
    device : int
        PortAudio's index.
    label : str
        For people.
    sample_rate : int
        Its own, Hz.
    n_channels : int
        As many as it has.
    node : str or None
        The node of the sound server, if it is one.
    is_default : bool
        Whether it was chosen because it is the default.
    """

    kind: Kind
    device: int
    label: str
    sample_rate: int
    n_channels: int
    node: str | None = None
    is_default: bool = False


def find(kind: Kind, target: str) -> Place:
    """Return the device or node of a name, an index, or the default for an empty target.

    Where there is a sound server, a device of PortAudio that only stands for its default is that node: `PULSE_PCM`
    itself would render into our own sink where that is the default.

    Raises
    ------
    InputError
        If there is none now.
    """
    server = nodes()
    if server is not None:
        name = target or server.default_of(kind)
        node = server.of(kind).get(name or "")
        if node is not None:
            return _at_node(kind, node, is_default=not target)
    place = _at_device(kind, target)
    return _at_default(kind, server) if server is not None and place.label in DEFAULT_PCMS else place


def devices(kind: Kind) -> list[DeviceInfo]:
    """Return the nodes and PortAudio's devices that could be opened now, the default marked."""
    server = nodes()
    default_node = server.default_of(kind) if server else None
    found = [
        DeviceInfo(
            f"device:{node.name}", node.description, node.n_channels, node.sample_rate, node.name == default_node
        )
        for node in (server.of(kind).values() if server else ())
    ]
    default = None if server else _default_index(kind)
    for index, device in _portaudio_devices(kind).items():
        description = f"{device['name']} (PortAudio)"
        n_channels, sample_rate = device[_channels_key(kind)], round(device["default_samplerate"])
        found.append(DeviceInfo(f"device:{device['name']}", description, n_channels, sample_rate, index == default))
    return found


def open_stream(
    place: Place,
    mark: str,
    *,
    sample_rate: int,
    n_channels: int,
    block_size: int,
    latency: float | str,
    callback: Callable[..., None],
    finished: Callable[[], None],
) -> sounddevice.InputStream | sounddevice.OutputStream:
    """Open and start a stream.

    Parameters
    ----------
    place : Place
    mark : str
        The `STREAM_MARK` that the sound server will know it by.
    sample_rate : int
        Hz.
    n_channels : int
    block_size : int
        Samples per callback, all of which are float32 of shape (n_samples, n_channels).
    latency : float or str
        What the device shall buffer, s, or PortAudio's `low` or `high`.
    callback : callable
        As sounddevice has it.
    finished : callable
        Called when the stream ended, for whatever reason.

    Raises
    ------
    DeviceError
        If that fails, or another stream of ours would hear this one, or be heard by it.
    """
    sounddevice = _sounddevice()
    _refuse_feedback(place)
    make = sounddevice.InputStream if place.kind == "source" else sounddevice.OutputStream
    try:
        with _environment(place, mark):
            stream = make(
                device=place.device,
                samplerate=sample_rate,
                channels=n_channels,
                blocksize=block_size,
                dtype="float32",
                latency=latency,
                callback=callback,
                finished_callback=finished,
            )
            _streams.add(stream)
            _start(stream)
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"{place.kind} {place.label} cannot be opened: {error}") from error
    return stream


def _start(stream: sounddevice.InputStream | sounddevice.OutputStream) -> None:
    try:
        stream.start()
    except BaseException:
        stream.close()
        raise


def _refuse_feedback(place: Place) -> None:
    if place.node is None:
        return
    with connected() as pulse:
        fault = feedback_at(pulse, place.kind, place.node)
    if fault is not None:
        raise DeviceError(fault)


@contextlib.contextmanager
def _environment(place: Place, mark: str) -> Iterator[None]:
    """Have libpulse, which looks when a stream is opened, find the node and the mark of the stream."""
    variables = {"PULSE_PROP": f"application.id=soundsage {STREAM_MARK}={mark}"}
    if place.node is not None:
        variables["PULSE_SOURCE" if place.kind == "source" else "PULSE_SINK"] = place.node
    with _environment_lock:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _sounddevice() -> types.ModuleType:
    try:
        import sounddevice
    except OSError as error:
        raise InputError(f"PortAudio cannot be loaded: {error}; apt-get install libportaudio2") from error
    return cast("types.ModuleType", sounddevice)


def _portaudio_devices(kind: Kind) -> dict[int, dict[str, Any]]:
    """Return PortAudio's devices by index; it lists them when it starts, so it is started anew unless it is in use."""
    sounddevice = _sounddevice()
    _streams.difference_update([stream for stream in _streams if stream.closed])
    if not _streams:
        sounddevice._terminate()  # noqa: SLF001  no public way to list again
        sounddevice._initialize()  # noqa: SLF001
    return {int(device["index"]): device for device in sounddevice.query_devices() if device[_channels_key(kind)] > 0}


def _at_node(kind: Kind, node: Node, *, is_default: bool) -> Place:
    for index, device in _portaudio_devices(kind).items():
        if device["name"] == PULSE_PCM:
            n_channels = min(node.n_channels, device[_channels_key(kind)])
            return Place(kind, index, node.name, node.sample_rate, n_channels, node.name, is_default)
    raise InputError(f"{kind} {node.name} needs the ALSA plugin of PulseAudio: apt-get install libasound2-plugins")


def _at_default(kind: Kind, server: Nodes) -> Place:
    node = server.of(kind).get(server.default_of(kind) or "")
    if node is None:
        raise InputError(f"the sound server has no default {kind}; plug in a device")
    return _at_node(kind, node, is_default=True)


def _at_device(kind: Kind, target: str) -> Place:
    found = _portaudio_devices(kind)
    if not found:
        raise InputError(f"no sound {kind} is there; start PulseAudio or PipeWire, or plug in a device")
    index = _matching(found, target) if target else _default_index(kind)
    if index is None or index not in found:
        raise InputError(f"{kind} {target or 'default'} does not exist{_nearest(kind, target)}")
    device = found[index]
    return Place(kind, index, device["name"], round(device["default_samplerate"]), min(2, device[_channels_key(kind)]))


def _matching(found: dict[int, dict[str, Any]], target: str) -> int | None:
    if target.isdecimal():
        return int(target)
    exact = [index for index, device in found.items() if device["name"] == target]
    partial = [index for index, device in found.items() if target.casefold() in str(device["name"]).casefold()]
    if exact:
        return exact[0]
    return partial[0] if len(partial) == 1 else None


def _nearest(kind: Kind, target: str) -> str:
    names = [info.spec.removeprefix("device:") for info in devices(kind)]
    near = difflib.get_close_matches(target, names, N_NEAREST, cutoff=0.3) or names[:N_NEAREST]
    return f"; nearest are {', '.join(near)}; see `soundsage devices`" if near else "; there is none at all"


def _default_index(kind: Kind) -> int | None:
    sounddevice = _sounddevice()
    index = sounddevice.default.device[0 if kind == "source" else 1]
    if index >= 0:
        return int(index)
    hosts = sounddevice.query_hostapis()
    return next((int(found) for host in hosts if (found := host[_default_key(kind)]) >= 0), None)


def _default_key(kind: Kind) -> str:
    return "default_input_device" if kind == "source" else "default_output_device"


def _channels_key(kind: Kind) -> str:
    return "max_input_channels" if kind == "source" else "max_output_channels"
