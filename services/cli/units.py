"""Say which processes a mesh has, from the description that comes with the package."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from soundsage.shared.realtime import MAX_PRIORITY

__all__ = ["Unit", "load_units"]


class Unit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One process.

    Attributes
    ----------
    name : str
        The service.
    stage : int
        Lower stages stop later.
    program : tuple of str
        What follows the interpreter on its command line; empty for the service's own module.
    after_ready : bool
        Whether it starts only when all lower stages are ready.
    realtime : int
        Priority with which it runs before ordinary programs, where that is allowed; 0 for none.
    own_core : bool
        Whether sound passes through it: in real time it is bound to the core for that.
    stop_wait_s : float
        How long it may need to stop before it is killed.
    """

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    stage: Annotated[int, Meta(ge=0)]
    program: tuple[str, ...] = ()
    after_ready: bool = False
    realtime: Annotated[int, Meta(ge=0, lt=MAX_PRIORITY)] = 0
    own_core: bool = False
    stop_wait_s: Annotated[float, Meta(gt=0, le=60)] = 2.0

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the interpreter on its command line."""
        program = self.program or ("-m", f"soundsage.services.{self.name}")
        realtime = ("--realtime", str(self.realtime)) if self.realtime else ()
        return (*program, *realtime, *(("--own-core",) if self.own_core else ()))


def load_units(file: Path | None = None) -> tuple[Unit, ...]:
    """Return the units of a description, in their order; without one, those of SoundSage."""
    source = file or files(__package__).joinpath("units.toml")
    return msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8"))["unit"], tuple[Unit, ...])
