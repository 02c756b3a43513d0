"""Decide what `auto` means here, and check everything that a mesh is told before any of it starts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import msgspec

from soundsage.shared.config import Config, MeshConfig
from soundsage.shared.contracts import (
    BackendRecord,
    Chain,
    EqModelRecord,
    ExtractorRecord,
    GenreModelRecord,
    SinkRecord,
    SourceRecord,
    StrategyRecord,
)
from soundsage.shared.errors import InputError
from soundsage.shared.plugins import Plugins, guarded
from soundsage.shared.spec import options_of, parse_spec

from .soundserver import sound_server

__all__ = ["allowing_feedback", "check", "resolve"]

AUTO = "auto"
FEEDBACK = "allow_feedback"
DEMO_FILE = "soundsage-demo.wav"


def resolve(config: Config) -> tuple[Config, str]:
    """Return the configuration with the source and sinks that are meant here, and one line when that needs saying."""
    source, sinks = config.capture.source, config.renderer.sinks
    has_server = AUTO not in (source, *sinks) or sound_server() is not None
    said = "no sound server runs; "
    if source == AUTO and not has_server:
        source = f"file:{_demo()}?loop=true"
        sinks = ("null", f"file:{DEMO_FILE}") if sinks == (AUTO,) else sinks
        said += f"playing the demo excerpt to {' and '.join(sinks)}"
    elif source == AUTO:
        source = "system"
    if AUTO in sinks:
        sinks = tuple(("device" if has_server else "null") if sink == AUTO else sink for sink in sinks)
        said += "the sound goes nowhere (sink null)"
    resolved = msgspec.structs.replace(
        config,
        mesh=_absolute_dirs(config),
        capture=msgspec.structs.replace(config.capture, source=_absolute(source)),
        renderer=msgspec.structs.replace(config.renderer, sinks=tuple(map(_absolute, sinks))),
    )
    return resolved, "" if has_server else said


def _demo() -> Path:
    return Path(str(files(__package__).joinpath("demo", "demo.opus")))


def _absolute_dirs(config: Config) -> MeshConfig:
    mesh = config.mesh
    return msgspec.structs.replace(
        mesh, run_dir=str(mesh.endpoints.run_dir.absolute()), state_dir=str(mesh.kept_dir.absolute())
    )


def _absolute(text: str) -> str:
    """Return a file's specification as it reads from any directory: the services run in another one."""
    name, colon, path = text.partition(":")
    if name != "file" or not path:
        return text
    return f"{name}{colon}{Path(path).expanduser().absolute()}"


def allowing_feedback(config: Config, plugins: Plugins) -> Config:
    """Return the configuration with a source that may be a microphone while a loudspeaker is rendered to."""
    source = config.capture.source
    spec = parse_spec(source)
    record = plugins.find("sources", SourceRecord, spec.name)
    if FEEDBACK not in record.options.__struct_fields__:
        return config
    source = f"{source}{'&' if spec.options else '?'}{FEEDBACK}=true"
    return msgspec.structs.replace(config, capture=msgspec.structs.replace(config.capture, source=source))


def check(config: Config, plugins: Plugins) -> None:
    """Refuse what cannot work.

    Raises
    ------
    InputError
        If a plugin is unknown, or its source or sink says that it cannot work.
    """
    source = parse_spec(config.capture.source)
    source_record = plugins.find("sources", SourceRecord, source.name)
    source_options = options_of(source, source_record.options)
    repeated = {text for text in config.renderer.sinks if config.renderer.sinks.count(text) > 1}
    if repeated:
        raise InputError(f"sinks must differ from each other, got {', '.join(repeated)} twice")
    for text in config.renderer.sinks:
        sink = parse_spec(text)
        sink_record = plugins.find("sinks", SinkRecord, sink.name)
        sink_options = options_of(sink, sink_record.options)
        guarded(f"source {source.name}", source_record.check, source.target, source_options, text)
        guarded(f"sink {sink.name}", sink_record.check, sink.target, sink_options)
    _check_names(config, plugins)


def _check_names(config: Config, plugins: Plugins) -> None:
    plugins.find("feature_extractors", ExtractorRecord, config.features.extractor)
    plugins.find("genre_models", GenreModelRecord, config.broker.genre_model)
    plugins.find("eq_models", EqModelRecord, config.broker.eq_model)
    plugins.find("eq_strategies", StrategyRecord, config.strategy.name)
    if config.broker.backend != AUTO:
        plugins.find("inference_backends", BackendRecord, config.broker.backend)
    if config.renderer.chain:
        plugins.find("effect_chains", Chain, config.renderer.chain)
