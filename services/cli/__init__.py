"""The command line: starts, shows, asks and stops the mesh, and works on files."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from soundsage.shared.errors import InputError, SoundSageError

from .group import LazyGroup

__all__ = ["main", "soundsage"]

COMMANDS = {
    "up": "up:up",
    "down": "down:down",
    "status": "status:status",
    "logs": "logs:logs",
    "devices": "devices:devices",
    "doctor": "doctor:doctor",
    "strategy": "settings:strategy",
    "bypass": "settings:bypass",
    "gain": "settings:gain",
    "config": "settings:config",
    "analyze": "offline:analyze",
    "enhance": "offline:enhance",
    "bus": "bus:bus",
    "plugins": "plugins:plugins",
    "monitor": "monitor:monitor",
    "bench": "bench:bench",
}
INTERRUPTED = 130


@click.group(cls=LazyGroup, commands_in=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="soundsage", message="%(prog)s %(version)s")
def soundsage() -> None:
    """Hear what plays, recognise the genre and equalise it, live and locally."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a failure at run time, 2 wrong arguments or inputs."""
    try:
        code = _run(arguments)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        click.echo(f"soundsage: {error.format_message().rstrip('.')}{_help_of(error)}", err=True)
        code = error.exit_code
    except SoundSageError as error:
        click.echo(f"soundsage: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except UnicodeEncodeError as error:
        click.echo(f"soundsage: name must be UTF-8, got {error.object[:200]!r}; rename the file", err=True)
        code = InputError.exit_code
    except OSError as error:
        click.echo(f"soundsage: {error.filename or 'a file'} cannot be used: {error.strerror or error}", err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: list[str] | None) -> Any:
    try:
        return soundsage.main(arguments, prog_name="soundsage", standalone_mode=False)
    except SystemExit as leaving:  # click's answer to a closed pipe
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        raise


def _help_of(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"; see `{context.command_path} --help`" if context is not None else ""
