"""Change what the services keep for the user, while they run or before: `strategy`, `bypass`, `gain`; `config`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from soundsage.shared.config import Config, load_config
from soundsage.shared.contracts import StrategyRecord
from soundsage.shared.plugins import installed_plugins

from .kept import set_or_keep
from .options import json_option, mesh_option

__all__ = ["bypass", "config", "gain", "strategy"]

LATER = " from the next `soundsage up` on; nothing runs now"


@click.group()
def strategy() -> None:
    """Choose who decides the equaliser's curve."""


@strategy.command("list")
@json_option
def list_strategies(*, as_json: bool) -> None:
    """Show the strategies that are installed."""
    records = installed_plugins().records("eq_strategies", StrategyRecord)
    if as_json:
        click.echo(msgspec.json.encode([{"name": record.name, "summary": record.summary} for record in records]))
        return
    for record in records:
        click.echo(f"{record.name:<16} {record.summary}")


@strategy.command("set")
@click.argument("name")
@mesh_option
def set_strategy(name: str, config: Config) -> None:
    """Let another strategy decide, from now on."""
    installed_plugins().find("eq_strategies", StrategyRecord, name)
    runs = set_or_keep(config, "strategy", "strategy", name)
    click.echo(f"strategy is {name}{'' if runs else LATER}")


@click.command()
@click.argument("state", type=click.Choice(["on", "off"]))
@mesh_option
def bypass(state: str, config: Config) -> None:
    """Play the sound untouched, or no longer."""
    runs = set_or_keep(config, "renderer", "bypass", state == "on")
    click.echo(f"bypass is {state}{'' if runs else LATER}")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("gain_db", metavar="DB", type=float)
@mesh_option
def gain(gain_db: float, config: Config) -> None:
    """Make the sound louder or softer, after the equaliser."""
    runs = set_or_keep(config, "renderer", "gain_db", gain_db)
    click.echo(f"gain is {gain_db:+g} dB{'' if runs else LATER}")


@click.group()
def config() -> None:
    """Look at configuration files."""


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check_config(file: Path) -> None:
    """Say all that is wrong with a configuration file at once."""
    load_config(file)
    click.echo(f"{file}: fine")
