"""Write a configuration in the form that `load_config` reads."""

from __future__ import annotations

import json

import msgspec

from soundsage.shared.config import Config
from soundsage.shared.errors import InputError

__all__ = ["config_text"]


def config_text(config: Config) -> str:
    """Return the configuration as TOML: what JSON writes of our flat tables is TOML, too.

    Raises
    ------
    InputError
        If a name in it cannot be written as UTF-8.
    """
    tables = msgspec.to_builtins(config)
    text = "\n".join(f"[{table}]\n{_lines(values)}" for table, values in tables.items())
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"names must be readable as UTF-8, got {text[error.start - 20 : error.end]!r}") from error
    return text


def _lines(values: dict[str, object]) -> str:
    # TOML forbids the delete character, which JSON leaves as it is.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()).replace(
        "\x7f", "\\u007f"
    )
