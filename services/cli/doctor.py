"""Look for what keeps a mesh from running well, and say what to do about it: `soundsage doctor`."""

from __future__ import annotations

import importlib
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import click
import msgspec

from soundsage.shared.config import Config
from soundsage.shared.contracts import BackendRecord
from soundsage.shared.errors import MeshError, SoundSageError
from soundsage.shared.plugins import guarded, installed_plugins
from soundsage.shared.realtime import MAX_PRIORITY

from .files import MeshFiles
from .options import json_option, mesh_option
from .soundserver import sound_server

__all__ = ["Finding", "doctor"]

PYTHON = ((3, 11), (3, 14))
LIBRARIES = {
    "av": "files that libsndfile refuses cannot be read",
    "numba": "neither features nor equaliser can run",
    "onnxruntime": "no model can run",
    "sounddevice": "no device can be used; install PortAudio (Debian: `apt install libportaudio2`)",
    "soundfile": "no file can be read or written",
    "soxr": "no stream can be resampled",
    "zmq": "services cannot talk to each other",
}


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, and how it is.

    Attributes
    ----------
    what : str
    verdict : str
        `broken` keeps the mesh from running; `poor` costs something.
    text : str
        How it is, and what to do.
    """

    what: str
    verdict: Literal["fine", "poor", "broken"]
    text: str


@click.command()
@json_option
@mesh_option
def doctor(*, config: Config, as_json: bool) -> None:
    """Check this machine; exits with 1 if something is broken."""
    findings = [finding for look in LOOKS for finding in look(config)]
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        for finding in findings:
            click.echo(f"{finding.verdict:<7} {finding.what}: {finding.text}")
    if any(finding.verdict == "broken" for finding in findings):
        raise MeshError("something is broken; see above")


def _python(_config: Config) -> Iterator[Finding]:
    version = sys.version_info[:2]
    ok = PYTHON[0] <= version < PYTHON[1]
    wanted = "" if ok else "; install 3.11, 3.12 or 3.13"
    yield Finding("python", "fine" if ok else "broken", f"{sys.version.split()[0]} in {sys.prefix}{wanted}")


def _libraries(_config: Config) -> Iterator[Finding]:
    for name, loss in LIBRARIES.items():
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:
            yield Finding(name, "broken", f"{loss}: {error}")
        else:
            yield Finding(name, "fine", str(getattr(module, "__version__", "is there")))


def _sound(_config: Config) -> Iterator[Finding]:
    server = sound_server()
    if server is None:
        text = "none runs, so `system` cannot be captured; start PipeWire or PulseAudio (`pulseaudio --start`)"
        yield Finding("sound server", "poor", text)
        return
    yield Finding("sound server", "fine", server)
    try:
        import sounddevice

        names = {str(device["name"]) for device in sounddevice.query_devices()}
    except (ImportError, OSError) as error:
        yield Finding("PortAudio", "broken", f"cannot be used: {error}; install libportaudio2")
        return
    if names & {"pulse", "pipewire", "default"}:
        yield Finding("PortAudio", "fine", f"{len(names)} devices, the sound server among them")
    else:
        text = "does not see the sound server; install ALSA's plugins (Debian: `apt install libasound2-plugins`)"
        yield Finding("PortAudio", "poor", text)


def _directories(config: Config) -> Iterator[Finding]:
    files = MeshFiles.of(config.mesh)
    try:
        files.make()
    except MeshError as error:
        yield Finding("directories", "broken", str(error))
        return
    yield Finding("directories", "fine", f"{files.run_dir}, {files.state_dir}")
    keeper, left = files.keeper(), files.leftovers()
    sockets = list(files.run_dir.glob("*.sock"))
    if keeper is not None:
        yield Finding("mesh", "fine", f"runs, kept by pid {keeper.pid}")
    elif left:
        yield Finding("mesh", "broken", f"{len(left)} processes run without their keeper; `soundsage down` stops them")
    elif sockets:
        yield Finding("mesh", "poor", f"{len(sockets)} sockets are left over; `soundsage down` removes them")
    else:
        yield Finding("mesh", "fine", "does not run, and left nothing behind")


def _backends(_config: Config) -> Iterator[Finding]:
    plugins = installed_plugins()
    for record in plugins.records("inference_backends", BackendRecord):
        try:
            is_here = guarded(f"backend {record.name}", record.is_available)
        except SoundSageError as error:
            yield Finding(f"backend {record.name}", "poor", str(error))
        else:
            yield Finding(f"backend {record.name}", "fine", "available" if is_here else "not on this machine")
    for plugin, reason in plugins.failures.items():
        yield Finding(f"plugin {plugin}", "poor", f"{reason}; remove or update it")


def _providers(_config: Config) -> Iterator[Finding]:
    import onnxruntime

    yield Finding("ONNX Runtime", "fine", ", ".join(onnxruntime.get_available_providers()))


def _numba_cache(_config: Config) -> Iterator[Finding]:
    from soundsage.shared import dsp, features

    for kernel in (dsp, features):
        cache = Path(os.environ.get("NUMBA_CACHE_DIR", Path(kernel.__path__[0]) / "__pycache__"))
        if not os.access(cache if cache.exists() else cache.parent, os.W_OK):
            text = f"{cache} cannot be written; set NUMBA_CACHE_DIR, or each start compiles anew"
            yield Finding("compiled kernels", "poor", text)
            return
    yield Finding("compiled kernels", "fine", "are kept, so that no later start compiles them")


def _limits(_config: Config) -> Iterator[Finding]:
    priority, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    if os.geteuid() == 0 or priority >= MAX_PRIORITY:
        yield Finding("priority", "fine", "sound runs in real time, before other programs")
    else:
        text = "sound waits for other programs at times; put `@audio - rtprio 95` into /etc/security/limits.d"
        yield Finding("priority", "poor", f"{text}, join the group audio and log in again")


LOOKS: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    _python,
    _libraries,
    _sound,
    _directories,
    _backends,
    _providers,
    _numba_cache,
    _limits,
)
