"""The commands `soundsage train ...`, which join the command line by a hook.

Nothing heavy is imported before a command runs: the command line must be quick without the extra `training` too.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundsage.shared.errors import ConfigError, InputError
from soundsage.shared.hookspecs import hookimpl

if TYPE_CHECKING:
    from .table import FeatureTable

__all__ = ["soundsage_commands"]

_NEEDED = ("torch", "sklearn", "onnx", "scipy")
_LICENCES = ("all", "confirmed", "commercial")


@click.group()
def train() -> None:
    """Train models from labelled excerpts.

    DATA is a folder with an index.csv (columns file, genre, artist, licence, source), or a table that
    `soundsage train features` made of one.
    """


def _options(default_output: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator with what all recipes take."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorate in (
            click.option(
                "--licences",
                type=click.Choice(_LICENCES),
                default="all",
                show_default=True,
                help="Keep all stated licences, those confirmed file by file, or these without non-commercial ones.",
            ),
            click.option("--seed", type=click.IntRange(0, 2**32 - 2), default=440, show_default=True),
            click.option("-o", "--output", type=click.Path(path_type=Path), default=default_output, show_default=True),
            click.argument("data", type=click.Path(path_type=Path)),
        ):
            function = decorate(function)
        return function

    return add


_epochs = click.option("--epochs", type=click.IntRange(1, 1000), help="Epochs; found by validation unless given.")


@train.command()
@_options("excerpts.npz")
def features(data: Path, output: Path, seed: int, licences: str) -> None:
    """Write the features of all excerpts, untouched and equalised at random, to a table."""
    _require_extra()
    from .table import save_table

    table = _table(data, licences, seed)
    try:
        save_table(table, output)
    except OSError as error:
        raise InputError(f"table {output} cannot be written: {error.strerror}; name another file") from error
    click.echo(f"{output}: {len(table.features)} windows of {len(table.tracks)} tracks")


@train.command()
@_options("soundsage-genre")
@_epochs
def genre(data: Path, output: Path, seed: int, licences: str, epochs: int | None) -> None:
    """Train a genre model, test it on artists that it never heard, and write it to a folder."""
    _run("train_genre", data, output, seed=seed, licences=licences, n_epochs=epochs)


@train.command()
@_options("soundsage-eq")
@_epochs
def eq(data: Path, output: Path, seed: int, licences: str, epochs: int | None) -> None:
    """Train an EQ model without labels, test it on artists that it never heard, and write it to a folder."""
    _run("train_eq", data, output, seed=seed, licences=licences, n_epochs=epochs)


@hookimpl
def soundsage_commands() -> list[click.Command]:
    """Return the group `train`."""
    return [train]


def _run(recipe: str, data: Path, output: Path, *, seed: int, licences: str, n_epochs: int | None) -> None:
    _require_extra()
    recipes = importlib.import_module("soundsage.training.recipes")
    table = _table(data, licences, seed)
    getattr(recipes, recipe)(table, output, seed=seed, n_epochs=n_epochs, licences=licences, say=_say)
    click.echo((output / "CARD.md").read_text(encoding="utf-8"))
    _say(f"wrote {output}")


def _require_extra() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"training needs {', '.join(missing)}; install soundsage[training]")


def _table(data: Path, licences: str, seed: int) -> FeatureTable:
    """Return the table in a file, or that of a folder."""
    from .data import read_index, with_licences
    from .table import load_table, subset, table_of

    if data.is_file():
        table = load_table(data)
        kept = set(with_licences(table.tracks, licences))
        return subset(table, kept.__contains__)
    tracks = with_licences(read_index(data), licences)
    return table_of(data, tracks, seed=seed, progress=lambda done: _say_some(done, len(tracks)))


def _say(text: str) -> None:
    click.echo(text, err=True)


def _say_some(done: int, total: int) -> None:
    if done % 20 == 0 or done == total:
        _say(f"heard {done} of {total} excerpts")
