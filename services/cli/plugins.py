"""See, write and check plugins."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from soundsage.shared.conformance import Finding, findings_of
from soundsage.shared.errors import InputError, PluginError
from soundsage.shared.hookspecs import KINDS
from soundsage.shared.plugins import Entry, installed_plugins, singular

from .columns import columns
from .options import json_option
from .scaffold import TEMPLATE_KINDS, write_plugin

__all__ = ["plugins"]

LISTED = ("kind", "name", "distribution", "summary")
CHECK_WAIT_S = 120.0
MARKS = {"held": "ok", "broken": "broken", "left out": "left out"}


@dataclasses.dataclass(frozen=True)
class Found:
    """A plugin of any kind, commands included."""

    kind: str
    name: str
    summary: str
    distribution: str
    record: object


@click.group()
def plugins() -> None:
    """See, write and check plugins."""


@plugins.command("list")
@json_option
def list_plugins(*, as_json: bool) -> None:
    """List all plugins, and those that failed."""
    found = list(_found())
    failures = installed_plugins().failures
    if as_json:
        listed = [dict(zip(LISTED, _row(each), strict=True)) for each in found]
        click.echo(msgspec.json.encode({"plugins": listed, "failures": failures}))
        return
    rows = [LISTED, *map(_row, found)]
    for line in (*columns(rows), *(f"failed: {reason}" for reason in failures.values())):
        click.echo(line)


@plugins.command()
@click.argument("name")
def info(name: str) -> None:
    """Show all that is known of a plugin."""
    for each in _named(name):
        click.echo(f"{singular(each.kind)} {each.name}: {each.summary}")
        click.echo(f"  distribution: {each.distribution}")
        if not isinstance(each.record, click.Command):
            for line in _details(each.record):
                click.echo(f"  {line}")


@plugins.command(context_settings={"token_normalize_func": lambda token: token.replace("_", "-")})
@click.argument("name")
@click.option("--kind", type=click.Choice(list(TEMPLATE_KINDS)), default="eq-strategy", show_default=True)
@click.option("--dir", "parent", type=click.Path(path_type=Path), default=Path(), help="Where its folder is made.")
def new(name: str, kind: str, parent: Path) -> None:
    """Write a plugin that works, with a test, for you to change."""
    folder = write_plugin(name, kind, parent)
    click.echo(f"wrote {folder}; install it with `pip install -e {folder}`, then `soundsage plugins check {name}`")


@plugins.command()
@click.argument("name", metavar="NAME[:TARGET]")
@click.option("--here", is_flag=True, hidden=True, help="in this process, which the plugin may take down")
def check(name: str, *, here: bool) -> None:
    """Hold a plugin to every rule of its kind; TARGET is what a source, sink or monitor opens."""
    if here:
        _check(name)
    else:
        _check_in_child(name)


def _check_in_child(name: str) -> None:
    """Check in a process of its own, since a plugin may hang or crash; whatever it leaves in files goes with it."""
    command = [sys.executable, "-m", "soundsage.services.cli", "plugins", "check", "--here", name]
    with tempfile.TemporaryDirectory(prefix="soundsage-check-") as folder:
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "TMPDIR": folder},
                capture_output=True,
                text=True,
                timeout=CHECK_WAIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PluginError(f"plugin {name} hangs: its rules took longer than {CHECK_WAIT_S:g} s") from None
    click.echo(done.stdout, nl=False)
    click.echo(done.stderr, nl=False, err=True)
    if done.returncode not in (0, PluginError.exit_code, InputError.exit_code):
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise PluginError(f"plugin {name} took its process down with {how}")
    sys.exit(done.returncode)


def _check(name: str) -> None:
    plugin, _, target = name.partition(":")
    n_broken = 0
    for each in _named(plugin):
        click.echo(f"{singular(each.kind)} {each.name}")
        findings = findings_of(each.kind, each.record, target)
        for finding in findings:
            click.echo(f"  {_line(finding)}")
        n_broken += sum(finding.outcome == "broken" for finding in findings)
    if n_broken:
        raise PluginError(f"plugin {plugin} breaks {n_broken} rule{'s' if n_broken > 1 else ''}")


def _found() -> Iterator[Found]:
    for kind in KINDS:
        if kind != "commands":
            for entry in installed_plugins().entries(kind):
                yield _found_in(kind, entry)
    for name, command in installed_plugins().commands().items():
        yield Found("commands", name, command.get_short_help_str(100), "", command)


def _row(found: Found) -> tuple[str, str, str, str]:
    return singular(found.kind), found.name, found.distribution, found.summary


def _found_in(kind: str, entry: Entry) -> Found:
    return Found(kind, entry.record.name, entry.record.summary, entry.distribution, entry.record)


def _named(name: str) -> list[Found]:
    """Return the plugins of this name, one of each kind at most.

    Raises
    ------
    PluginError
        If it is there and failed.
    InputError
        If there is none.
    """
    named = [each for each in _found() if each.name == name]
    if named:
        return named
    failures = installed_plugins().failures
    if name in failures:
        raise PluginError(failures[name])
    near = difflib.get_close_matches(name, [each.name for each in _found()], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"plugin must be one of `soundsage plugins list`, got {name!r}{hint}")


def _details(record: object) -> Iterator[str]:
    """Yield the fields of a record that say something, and its options with their defaults and meaning."""
    for name, value in vars(record).items():
        if name not in ("name", "summary") and not callable(value):
            yield f"{name}: {_short(value)}"
    options = getattr(record, "options", None)
    if options is not None:
        yield from _option_lines(options)


def _option_lines(options: type[msgspec.Struct]) -> Iterator[str]:
    meanings = _meanings(options)
    for field in msgspec.structs.fields(options):
        yield f"?{field.name}={_short(field.default)}: {meanings.get(field.name, '')}".rstrip(": ")


def _meanings(documented: type[Any]) -> dict[str, str]:
    """Return what the numpydoc section `Attributes` says of each field."""
    _, _, section = inspect.cleandoc(documented.__doc__ or "").partition("Attributes\n----------\n")
    entries = re.split(r"^(\w[\w, ]*) : .*$", section, flags=re.MULTILINE)
    return {
        name.strip(): " ".join(text.split())
        for names, text in zip(entries[1::2], entries[2::2], strict=True)
        for name in names.split(",")
    }


def _short(value: object) -> str:
    if isinstance(value, tuple) and len(value) > 5:  # noqa: PLR2004  a line's worth
        return f"{', '.join(map(str, value[:3]))}, … ({len(value)})"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _line(finding: Finding) -> str:
    return f"{MARKS[finding.outcome]:8}  {finding.rule}{f' {finding.text}' if finding.text else ''}"
