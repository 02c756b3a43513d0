"""Show what could be captured and rendered to now: `soundsage devices`."""

from __future__ import annotations

import click
import msgspec

from soundsage.shared.contracts import DeviceInfo, SinkRecord, SourceRecord
from soundsage.shared.errors import SoundSageError
from soundsage.shared.plugins import guarded, installed_plugins

from .options import json_option

__all__ = ["devices"]


@click.command()
@json_option
def devices(*, as_json: bool) -> None:
    """Show the devices of all sources and sinks."""
    plugins = installed_plugins()
    found = {
        "sources": _devices(plugins.records("sources", SourceRecord)),
        "sinks": _devices(plugins.records("sinks", SinkRecord)),
    }
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for title, infos in found.items():
        click.echo(f"{title}:")
        for info in infos:
            mark = "*" if info.is_default else " "
            click.echo(f" {mark} {info.spec:<40} {info.n_channels:>2} ch {info.sample_rate:>6} Hz  {info.description}")
        if not infos:
            click.echo("   none")


def _devices(records: list[SourceRecord] | list[SinkRecord]) -> list[DeviceInfo]:
    """Return the devices of all records; a record that cannot tell is left out and said so."""
    found: list[DeviceInfo] = []
    for record in records:
        try:
            found += guarded(f"devices of {record.name}", record.devices)
        except SoundSageError as error:
            click.echo(f"soundsage: left out {error}", err=True)
    return found
