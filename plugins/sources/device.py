"""Source `device[:NAME]`: a microphone, a line input, or what plays on a sink (its monitor).

NAME is a node of PulseAudio or PipeWire, or a device of PortAudio by its name or index; without it the default is
taken.
"""

from __future__ import annotations

from typing import cast

import msgspec

from soundsage.plugins.capture import DeviceSource
from soundsage.plugins.portaudio import devices, find
from soundsage.plugins.pulse import Kind, Nodes, nodes
from soundsage.shared.contracts import DeviceInfo, SourceRecord
from soundsage.shared.errors import DeviceError, InputError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.spec import parse_spec

__all__ = ["DeviceOptions", "feeds_back", "soundsage_sources"]


class DeviceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to capture.

    Attributes
    ----------
    allow_feedback : bool
        Capture a microphone although a loudspeaker is rendered to, which may howl.
    """

    allow_feedback: bool = False


def feeds_back(source: str, sink: str, server: Nodes | None) -> str | None:
    """Return why a sink would be heard by a source, or None.

    Parameters
    ----------
    source, sink : str
        Specifications, such as `device:soundsage_in.monitor`.
    server : Nodes or None
        What the sound server has, if there is one.

    Returns
    -------
    str or None
        `"monitor"` if the source is the monitor of the sink, `"microphone"` if one may hear the other through the air.
    """
    heard, rendered = parse_spec(source), parse_spec(sink)
    if heard.name != "device" or rendered.name != "device":
        return None
    if server is None:
        return "microphone"
    node = server.sources.get(heard.target or server.default_source or "")
    if node is None or node.monitor_of is None:
        return "microphone"
    return "monitor" if node.monitor_of == (rendered.target or server.default_sink) else None


def _open(target: str, options: msgspec.Struct, block_size: int) -> DeviceSource:  # noqa: ARG001  for the check only
    try:
        return DeviceSource(find("source", target), block_size)
    except InputError as error:
        raise DeviceError(str(error)) from error


def _check(target: str, options: msgspec.Struct, sink: str) -> None:
    path = feeds_back(_at_node("source", f"device:{target}"), _at_node("sink", sink), nodes())
    if path == "monitor":
        raise InputError(
            f"source must not be the monitor of the sink that is rendered to, got {target or 'the default'}; "
            "capture another source, or use --source system"
        )
    if path == "microphone" and not cast("DeviceOptions", options).allow_feedback:
        raise InputError(
            f"source {target or 'default'} may hear the loudspeaker and howl; add --allow-feedback if it cannot"
        )


def _at_node(kind: Kind, text: str) -> str:
    """Return a specification with the node that it stands for, since a node has many names: `pulse`, `default`, 0."""
    spec = parse_spec(text)
    if spec.name != "device":
        return text
    place = find(kind, spec.target)
    return f"device:{place.node or place.label}"


def _devices() -> list[DeviceInfo]:
    return devices("source")


@hookimpl
def soundsage_sources() -> list[SourceRecord]:
    """Return this source."""
    return [
        SourceRecord(
            name="device",
            summary="a microphone, a line input or the monitor of a sink: device:NAME",
            open=_open,
            check=_check,
            options=DeviceOptions,
            devices=_devices,
        )
    ]
