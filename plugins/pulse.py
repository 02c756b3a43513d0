"""What PulseAudio, or PipeWire in its place, knows: sinks, sources, the defaults, and who plays or captures where.

Conventions
-----------
A *node* is a sink or a source by its server name, such as `alsa_output.usb-DAC.analog-stereo` or
`soundsage_in.monitor`. `OWN_SINK` is the null sink that the source `system` puts between the players and us; the sink
that was the default before is kept as a property on it, so that everybody knows where to render. Every stream of ours
carries `STREAM_MARK`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from soundsage.shared.errors import DeviceError

if TYPE_CHECKING:
    import pulsectl

__all__ = [
    "FORMER_DEFAULT",
    "OWN_SINK",
    "STREAM_MARK",
    "Kind",
    "Node",
    "Nodes",
    "connected",
    "feedback_at",
    "nodes",
    "nodes_of",
    "own_streams",
    "render_default",
]

Kind = Literal["source", "sink"]

OWN_SINK = "soundsage_in"
FORMER_DEFAULT = "soundsage.former_default"
STREAM_MARK = "soundsage.stream"
# PA_SINK_HARDWARE of pulse/def.h.
HARDWARE_FLAG = 0x0004


@dataclass(frozen=True)
class Node:
    """A sink or source.

    Attributes
    ----------
    name : str
    description : str
        For people.
    sample_rate : int
        Hz.
    n_channels : int
    monitor_of : str or None
        The sink whose sound this source is.
    """

    name: str
    description: str
    sample_rate: int
    n_channels: int
    monitor_of: str | None = None


@dataclass(frozen=True)
class Nodes:
    """What the sound server had when it was asked.

    Attributes
    ----------
    sources, sinks : dict of str to Node
    default_source : str or None
    default_sink : str or None
        Where sound is rendered to by default; never `OWN_SINK`, but what it stands before.
    """

    sources: dict[str, Node]
    sinks: dict[str, Node]
    default_source: str | None
    default_sink: str | None

    def of(self, kind: Kind) -> dict[str, Node]:
        """Return the sources or the sinks by name."""
        return self.sources if kind == "source" else self.sinks

    def default_of(self, kind: Kind) -> str | None:
        """Return the name of the default source or sink."""
        return self.default_source if kind == "source" else self.default_sink


@contextlib.contextmanager
def connected() -> Iterator[pulsectl.Pulse]:
    """Give a connection to the sound server; none is ever started.

    Raises
    ------
    DeviceError
        If there is none, or it goes away meanwhile.
    """
    try:
        import pulsectl
    except (ImportError, OSError) as error:  # libpulse itself may be missing
        raise DeviceError(f"PulseAudio's library cannot be loaded: {error}") from error
    _read_formats()
    try:
        with pulsectl.Pulse("soundsage") as pulse:
            yield pulse
    except (pulsectl.PulseError, pulsectl.PulseDisconnected) as error:
        raise DeviceError(f"no sound server answers: {error}; start PulseAudio or PipeWire") from error


def nodes() -> Nodes | None:
    """Return what the sound server has, or None where there is none."""
    try:
        with connected() as pulse:
            return nodes_of(pulse)
    except DeviceError:
        return None


def nodes_of(pulse: pulsectl.Pulse) -> Nodes:
    """Return what the sound server behind a connection has."""
    sources = {info.name: _node(info, info.monitor_of_sink_name) for info in pulse.source_list()}
    sinks = {info.name: _node(info, None) for info in pulse.sink_list()}
    default_source = pulse.server_info().default_source_name
    return Nodes(sources, sinks, default_source if default_source in sources else None, render_default(pulse))


def render_default(pulse: pulsectl.Pulse) -> str | None:
    """Return the default sink, or, where that is ours, the one it stands before, or else one with a loudspeaker."""
    sinks = {info.name: info for info in pulse.sink_list()}
    default = pulse.server_info().default_sink_name
    if default != OWN_SINK and default in sinks:
        return str(default)
    own = sinks.pop(OWN_SINK, None)
    former = own.proplist.get(FORMER_DEFAULT) if own else None
    if former in sinks:
        return str(former)
    by_merit = sorted(sinks.values(), key=lambda info: (not info.flags & HARDWARE_FLAG, info.index))
    return str(by_merit[0].name) if by_merit else None


def own_streams(pulse: pulsectl.Pulse, kind: Kind, mark: str | None = None) -> list[pulsectl.PulseSinkInputInfo]:
    """Return our streams, of all processes or of one mark: what captures from sources, or what plays into sinks."""
    marks = {client.index: client.proplist.get(STREAM_MARK) for client in pulse.client_list()}
    streams = pulse.source_output_list() if kind == "source" else pulse.sink_input_list()
    return [stream for stream in streams if (found := marks.get(stream.client)) is not None and mark in (None, found)]


def feedback_at(pulse: pulsectl.Pulse, kind: Kind, node: str) -> str | None:
    """Return why a stream at a node would feed back: one of ours captures what plays there, or plays what it hears.

    Parameters
    ----------
    pulse : Pulse
        A connection.
    kind : {"source", "sink"}
        What the node is.
    node : str

    Returns
    -------
    str or None
        One line for the user; None if nothing would.
    """
    monitors = [info for info in pulse.source_list() if info.monitor_of_sink_name is not None]
    if kind == "sink":
        heard = {info.index for info in monitors if info.monitor_of_sink_name == node}
        if any(stream.source in heard for stream in own_streams(pulse, "source")):
            return f"sink {node} is captured by SoundSage and would howl; choose another sink or default"
        return None
    rendered = {info.monitor_of_sink for info in monitors if info.name == node}
    if any(stream.sink in rendered for stream in own_streams(pulse, "sink")):
        return f"source {node} is what SoundSage renders and would howl; choose another source or default"
    return None


def _node(info: pulsectl.PulseSinkInfo, monitor_of: str | None) -> Node:
    return Node(info.name, info.description, info.sample_rate, info.channel_count, monitor_of)


def _read_formats() -> None:
    """Have pulsectl copy the sample rate while it is there: its own `sample_spec` points into memory that is freed."""
    import pulsectl

    def copy_rate(info: pulsectl.PulseSinkInfo, struct: object) -> None:
        info.sample_rate = int(struct.sample_spec.rate)  # type: ignore[attr-defined]

    for kind in (pulsectl.PulseSinkInfo, pulsectl.PulseSourceInfo):
        kind._init_from_struct = copy_rate  # noqa: SLF001  pulsectl's own hook for further fields
