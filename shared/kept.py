"""Keep what the user sets: by its one owner, written atomically, there again after a crash."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from .errors import InputError, MeshError

__all__ = ["Kept"]

Settings = TypeVar("Settings", bound=msgspec.Struct)

log = logging.getLogger(__name__)


class Kept(Generic[Settings]):
    """Settings of one service in one small JSON file.

    Parameters
    ----------
    file : Path
    defaults : Settings
        A frozen struct; holds for what the file does not say. A file that cannot be read is set aside as `*.broken`.

    Attributes
    ----------
    settings : Settings
        What holds now.
    """

    def __init__(self, file: Path, defaults: Settings) -> None:
        self.settings = defaults
        self._file = file
        try:
            known = {**msgspec.structs.asdict(defaults), **msgspec.json.decode(file.read_bytes(), type=dict)}
            self.settings = msgspec.convert(known, type(defaults))
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("set aside file=%s error=%s", file, error)
            with contextlib.suppress(OSError):
                file.replace(file.with_suffix(".broken"))

    def changed(self, key: str, value: object) -> Settings:
        """Return the settings with one changed, without keeping it.

        Raises
        ------
        InputError
            If there is no such setting, or it cannot have this value.
        """
        known = msgspec.structs.asdict(self.settings)
        if key not in known:
            raise InputError(f"setting must be one of {', '.join(known)}, got {key!r}")
        try:
            return msgspec.convert({**known, key: value}, type(self.settings))
        except msgspec.ValidationError as error:
            rule = str(error).partition(" - at ")[0]
            raise InputError(f"{key} must be valid, got {value!r}: {rule}") from error

    def keep(self, settings: Settings) -> None:
        """Make the settings hold, now and after the next start.

        Raises
        ------
        MeshError
            If they cannot be written; then they do not hold.
        """
        beside = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside.open("wb") as out:
                out.write(msgspec.json.encode(settings))
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self._file)
        except OSError as error:
            raise MeshError(f"setting cannot be kept in {self._file}: {error.strerror}") from error
        self.settings = settings
