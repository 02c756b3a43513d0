"""Load a command when it is asked for: `soundsage status` does not wait for what only `soundsage bench` needs."""

from __future__ import annotations

import functools
import importlib
from typing import Any, cast

import click

from soundsage.shared.plugins import installed_plugins

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group whose commands are loaded by name; those of plugins come after its own.

    Parameters
    ----------
    commands_in : dict of str
        `module:attribute` of each command, the module relative to this package.
    """

    def __init__(self, *arguments: Any, commands_in: dict[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._commands_in = commands_in

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, for `--help`."""
        return list(dict.fromkeys((*self._commands_in, *_plugin_commands(), *super().list_commands(ctx))))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading it now."""
        if cmd_name in self._commands_in:
            module, _, attribute = self._commands_in[cmd_name].partition(":")
            return cast("click.Command", getattr(importlib.import_module(f".{module}", __package__), attribute))
        return super().get_command(ctx, cmd_name) or _plugin_commands().get(cmd_name)


@functools.cache
def _plugin_commands() -> dict[str, click.Command]:
    """Return what plugins add; one that fails is left out and said so."""
    plugins = installed_plugins()
    commands = plugins.commands()
    for failure in plugins.failures.values():
        click.echo(f"soundsage: left out {failure}", err=True)
    return commands
