"""Rules for commands."""

from __future__ import annotations

import click

from .rules import Subject, require, rule


@rule("commands")
def it_has_a_name_and_a_help_text(subject: Subject[click.Command]) -> None:
    """It has a name, and a help text whose first line says what it does."""
    command = subject.record
    require(command.name, "got no name")
    require(command.get_short_help_str(), f"{command.name} says nothing")


@rule("commands")
def its_help_can_be_shown(subject: Subject[click.Command]) -> None:
    """Its help can be shown, and so can that of the commands in it."""
    _show_help(subject.record, None)


def _show_help(command: click.Command, parent: click.Context | None) -> None:
    context = click.Context(command, parent, info_name=command.name)
    command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            require(child, f"{command.name} lists {name}, which it does not have")
            if child is not None:
                _show_help(child, context)
