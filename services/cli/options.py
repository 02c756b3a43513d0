"""What several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from soundsage.shared.config import Config, load_config

__all__ = ["json_option", "mesh_option"]

F = TypeVar("F", bound=Callable[..., Any])

json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="print JSON")


def _load(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Config:
    return load_config(file)


mesh_option: Callable[[F], F] = click.option(
    "--config",
    "config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=_load,
    help="the configuration that the mesh was started with",
)
