"""Read `NAME[:TARGET][?OPTION=VALUE&...]`, the way sources and sinks are named on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from .errors import InputError

__all__ = ["NoOptions", "Spec", "options_of", "parse_spec"]

Options = TypeVar("Options", bound=msgspec.Struct)


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a plugin that has none."""


@dataclass(frozen=True)
class Spec:
    """A source or sink as the user named it.

    Attributes
    ----------
    name : str
        The plugin.
    target : str
        What is behind the colon: a path, a device, a frequency; may be empty.
    options : dict of str
        What is behind the question mark.
    """

    name: str
    target: str
    options: dict[str, str]


def parse_spec(text: str) -> Spec:
    """Return the parts of a specification.

    A question mark belongs to the target unless everything behind it reads `OPTION=VALUE`, since file names have them
    too.

    Examples
    --------
    >>> parse_spec("file:/music/a.flac?loop=true")
    Spec(name='file', target='/music/a.flac', options={'loop': 'true'})
    >>> parse_spec("file:what?.ogg").target
    'what?.ogg'
    """
    name, _, rest = text.partition(":")
    if not rest and "?" in name:
        name, _, options = name.partition("?")
        return Spec(name, "", dict(parse_qsl(options, keep_blank_values=True)))
    target, mark, query = rest.rpartition("?")
    if mark and all("=" in pair for pair in query.split("&")):
        return Spec(name, target, dict(parse_qsl(query, keep_blank_values=True)))
    return Spec(name, rest, {})


def options_of(spec: Spec, options_type: type[Options]) -> Options:
    """Return the options in the plugin's own type.

    Raises
    ------
    InputError
        If one is unknown or of the wrong type.
    """
    try:
        return msgspec.convert(spec.options, options_type, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(
            f"{spec.name} options must be those of `soundsage plugins info {spec.name}`: {error}"
        ) from error
