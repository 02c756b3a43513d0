"""Read one TOML file with a table per service, and say all that is wrong with it at once.

The tables of all services are here, and not beside each service, because `soundsage up` checks the whole file before it
starts any of them.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .endpoints import Endpoints, default_run_dir, default_state_dir
from .errors import ConfigError

__all__ = [
    "BrokerConfig",
    "CaptureConfig",
    "Config",
    "FeaturesConfig",
    "MeshConfig",
    "RendererConfig",
    "StrategyConfig",
    "default_config_file",
    "load_config",
]

PluginName = Annotated[str, Meta(min_length=1, max_length=64)]
StreamName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]  # a slash would end its topic


class MeshConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What all services share.

    Attributes
    ----------
    stream : str
        Name of the stream.
    run_dir, state_dir : str
        Where sockets and kept settings are; empty for `$XDG_RUNTIME_DIR/soundsage` and `$XDG_STATE_HOME/soundsage`.
    realtime : bool
        Whether the processes run before ordinary programs, and sound on a core of its own, where that is allowed.
    log_level : str
    """

    stream: StreamName = "main"
    run_dir: str = ""
    state_dir: str = ""
    realtime: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def endpoints(self) -> Endpoints:
        """The addresses in the run directory."""
        return Endpoints(Path(self.run_dir) if self.run_dir else default_run_dir())

    @property
    def kept_dir(self) -> Path:
        """Where services keep what the user sets."""
        return Path(self.state_dir) if self.state_dir else default_state_dir()


class CaptureConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where sound comes from.

    Attributes
    ----------
    source : str
        `NAME[:TARGET][?OPTION=VALUE]`; `auto` is `system` where a sound server runs, else the demo excerpt.
    block_size : int
        Samples a block; 256 at 48 kHz are 5.3 ms.
    """

    source: str = "auto"
    block_size: Annotated[int, Meta(ge=16, le=16_384)] = 256


class FeaturesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured.

    Attributes
    ----------
    extractor : str
        A feature extractor plugin; the models must have been trained on its feature set.
    meter_hz : float
        How often levels are published.
    """

    extractor: PluginName = "soundsage-80"
    meter_hz: Annotated[float, Meta(gt=0, le=100)] = 10.0


class BrokerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which models run, and on what.

    Attributes
    ----------
    genre_model, eq_model : str
        Model plugins.
    backend : str
        An inference backend plugin; `auto` is the one of highest priority that is available.
    """

    genre_model: PluginName = "soundsage-genre"
    eq_model: PluginName = "soundsage-eq"
    backend: PluginName = "auto"


class StrategyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides the curve, until the user says otherwise.

    Attributes
    ----------
    name : str
        An EQ strategy plugin.
    deadline_ms : float
        A strategy that needs longer for one decision is stopped.
    limit_db : float
        No curve goes further from flat.
    """

    name: PluginName = "genre-preset"
    deadline_ms: Annotated[float, Meta(gt=0, le=1000)] = 100.0
    limit_db: Annotated[float, Meta(ge=0, le=6)] = 6.0


class RendererConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where sound goes.

    Attributes
    ----------
    sinks : tuple of str
        Each `NAME[:TARGET][?OPTION=VALUE]`; `auto` goes with the source `auto`.
    chain : str
        An effect chain plugin that follows the equaliser; empty for none.
    meter_hz : float
        How often levels and latencies are published.
    hold_s : float
        How long the last curve stays when no new one comes, before the renderer glides to flat.
    """

    sinks: Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)] = ("auto",)
    chain: str = ""
    meter_hz: Annotated[float, Meta(gt=0, le=100)] = 10.0
    hold_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration, a table per service and one for what they share."""

    mesh: MeshConfig = MeshConfig()
    capture: CaptureConfig = CaptureConfig()
    features: FeaturesConfig = FeaturesConfig()
    broker: BrokerConfig = BrokerConfig()
    strategy: StrategyConfig = StrategyConfig()
    renderer: RendererConfig = RendererConfig()


def default_config_file() -> Path:
    """Return where the configuration is looked for when none is named."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "soundsage" / "soundsage.toml"


def load_config(file: Path | None, settings: Iterable[str] = ()) -> Config:
    """Return the configuration of a file, changed by `table.key=value` settings.

    Parameters
    ----------
    file : Path or None
        None for the default file, or the defaults where there is none.
    settings : iterable of str
        The value is read as TOML, and as a plain string where it is none.

    Raises
    ------
    ConfigError
        With every mistake, one a line: path, rule, value.
    """
    tables = _read(file) if file else _read_default()
    mistakes: list[str] = []
    for setting in settings:
        _apply(tables, setting, mistakes)
    read: dict[str, Any] = {name: _table(name, tables.get(name, {}), mistakes) for name in Config.__struct_fields__}
    config = Config(**read)
    mistakes += [
        _unknown("table", name, Config.__struct_fields__) for name in tables if name not in Config.__struct_fields__
    ]
    if mistakes:
        raise ConfigError("\n".join(f"{file or 'settings'}: {mistake}" for mistake in mistakes))
    return config


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} must be TOML: {error}") from error


def _read_default() -> dict[str, Any]:
    try:
        return _read(default_config_file())
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return {}
        raise


def _apply(tables: dict[str, Any], setting: str, mistakes: list[str]) -> None:
    path, equals, text = setting.partition("=")
    table, dot, key = path.strip().partition(".")
    if not equals or not dot:
        mistakes.append(f"setting must be table.key=value, got {setting!r}")
        return
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text
    values = tables.setdefault(table, {})
    if isinstance(values, dict):  # else the table itself is a mistake of the file, reported below
        values[key] = value


def _table(name: str, values: object, mistakes: list[str]) -> object:
    """Return the table's struct; what is wrong is added to `mistakes` and left at its default."""
    table_type = type(Config.__struct_defaults__[Config.__struct_fields__.index(name)])
    fields = {field.name: field.type for field in msgspec.structs.fields(table_type)}
    if not isinstance(values, dict):
        mistakes.append(f"{name} must be a table, got {values!r}")
        return table_type()
    accepted = {}
    for key, value in values.items():
        if key not in fields:
            mistakes.append(_unknown("key", f"{name}.{key}", [f"{name}.{field}" for field in fields]))
            continue
        try:
            accepted[key] = msgspec.convert(value, fields[key])
        except msgspec.ValidationError as error:
            rule = str(error).partition(" - at ")[0]
            mistakes.append(f"{name}.{key} must be valid, got {value!r}: {rule}")
    return table_type(**accepted)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"{what} must be a known one, got {name}" + (f"; did you mean {near[0]}?" if near else "")
