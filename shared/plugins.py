"""Find plugins by entry point, and call them so that none can hurt the core.

One plugin that fails is reported with its name and hook, and left out; the others are not affected. Built-in plugins
are found in the same way as all others.
"""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ParamSpec, TypeVar, get_args, get_type_hints

import click
import pluggy

from .contracts import API, Record
from .errors import InputError, PluginError, SoundSageError
from .hookspecs import Hooks

__all__ = ["ENTRY_POINT_GROUP", "Guard", "Plugins", "guarded", "installed_plugins", "singular"]

ENTRY_POINT_GROUP = "soundsage.plugins"
MAX_STRIKES = 3

P = ParamSpec("P")
R = TypeVar("R")
AnyRecord = TypeVar("AnyRecord", bound=Record)

log = logging.getLogger(__name__)


def guarded(what: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a plugin's function returns.

    Raises
    ------
    PluginError
        Whatever it raised, except the errors of SoundSage, which the contracts allow it to raise.
    """
    try:
        return call(*args, **kwargs)
    except (KeyboardInterrupt, SoundSageError):
        raise
    except BaseException as error:
        raise PluginError(f"{what} raised {type(error).__name__}: {error}") from error


class Guard:
    """Calls one plugin, and leaves it out for good after three strikes.

    Parameters
    ----------
    what : str
        The plugin, as messages name it.

    Attributes
    ----------
    strikes : int
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.strikes = 0

    @property
    def is_quarantined(self) -> bool:
        """Whether it is left out."""
        return self.strikes >= MAX_STRIKES

    def strike(self, reason: str) -> PluginError:
        """Count a failure and return it as an error."""
        self.strikes += 1
        return PluginError(f"{reason} (strike {self.strikes} of {MAX_STRIKES})")

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the plugin's function returns.

        Raises
        ------
        PluginError
            If it raised, or is left out.
        """
        if self.is_quarantined:
            raise PluginError(f"{self.what} is left out after {MAX_STRIKES} strikes; restart to try it again")
        try:
            return guarded(self.what, function, *args, **kwargs)
        except SoundSageError as error:
            raise self.strike(str(error)) from error


@dataclass(frozen=True)
class Entry:
    """Where a record comes from."""

    plugin: str
    distribution: str
    record: Record


class Plugins:
    """All plugins of this process.

    Parameters
    ----------
    entries : iterable of EntryPoint
        Each is loaded and asked by itself.

    Attributes
    ----------
    failures : dict of str
        Why a plugin is not here, by its entry point's name.
    """

    def __init__(self, entries: tuple[EntryPoint, ...]) -> None:
        self.failures: dict[str, str] = {}
        self._manager = pluggy.PluginManager("soundsage")
        self._manager.add_hookspecs(Hooks)
        self._distributions: dict[str, str] = {}
        for entry in entries:
            self._load(entry)

    def entries(self, kind: str) -> list[Entry]:
        """Return the records of a kind, such as `sources`, in order of their names; the first of a name holds."""
        found: dict[str, Entry] = {}
        for plugin, record in self._answers(kind):
            found.setdefault(record.name, Entry(plugin, self._distributions.get(plugin, ""), record))
        return [found[name] for name in sorted(found)]

    def commands(self) -> dict[str, click.Command]:
        """Return the commands that plugins add to the command line, by name; the first of a name holds."""
        found: dict[str, click.Command] = {}
        for _, command in self._answers("commands"):
            found.setdefault(command.name, command)
        return found

    def records(self, kind: str, record_type: type[AnyRecord]) -> list[AnyRecord]:
        """Return the records of a kind that are of the right type."""
        return [entry.record for entry in self.entries(kind) if isinstance(entry.record, record_type)]

    def find(self, kind: str, record_type: type[AnyRecord], name: str) -> AnyRecord:
        """Return the record of this name.

        Raises
        ------
        InputError
            If there is none.
        """
        records = {record.name: record for record in self.records(kind, record_type)}
        if name in records:
            return records[name]
        near = difflib.get_close_matches(name, records, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{singular(kind)} must be one of {', '.join(records) or 'none'}, got {name!r}{hint}")

    def _answers(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Yield what each plugin returns for a kind, with the plugin's name."""
        for implementation in getattr(self._manager.hook, f"soundsage_{kind}").get_hookimpls():
            plugin = implementation.plugin_name
            try:
                answers = guarded(f"plugin {plugin} in soundsage_{kind}", implementation.function)
                answers = _checked(plugin, kind, answers)
            except SoundSageError as error:
                self._fail(plugin, str(error))
                continue
            for answer in answers:
                yield plugin, answer

    def _load(self, entry: EntryPoint) -> None:
        try:
            module = guarded(f"plugin {entry.name} at import", entry.load)
            guarded(f"plugin {entry.name} at registration", self._register, entry.name, module)
            self._distributions[entry.name] = guarded(f"distribution of {entry.name}", _distribution_of, entry)
        except SoundSageError as error:
            self._fail(entry.name, str(error))

    def _register(self, name: str, module: object) -> None:
        if self._manager.has_plugin(name):
            raise ValueError(f"there is another plugin {name}, which holds")
        try:
            self._manager.register(module, name)
        except pluggy.PluginValidationError:
            self._manager.unregister(name=name)
            raise

    def _fail(self, plugin: str, reason: str) -> None:
        if plugin not in self.failures:
            log.error("left out plugin=%s error=%s", plugin, reason)
        self.failures[plugin] = reason


def singular(kind: str) -> str:
    """Return what one of a kind is called, such as `eq_strategy`."""
    return f"{kind[:-3]}y" if kind.endswith("ies") else kind.removesuffix("s")


def _distribution_of(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""


def _checked(plugin: str, kind: str, answers: object) -> list[Any]:
    (answer_type,) = get_args(get_type_hints(getattr(Hooks, f"soundsage_{kind}"))["return"])
    where = f"plugin {plugin} in soundsage_{kind}"
    if not isinstance(answers, list):
        raise PluginError(f"{where} must return a list, got {type(answers).__name__}")
    for answer in answers:
        if not isinstance(answer, answer_type):
            raise PluginError(f"{where} must return each a {answer_type.__name__}, got {type(answer).__name__}")
        if not isinstance(answer.name, str):
            raise PluginError(f"{where} must return each with a name, got {type(answer.name).__name__}")
        if isinstance(answer, Record) and answer.api != API:
            raise PluginError(f"plugin {plugin} must be written for API {API}, got {answer.api}; update it")
    return answers


@functools.cache
def installed_plugins() -> Plugins:
    """Return the plugins installed beside SoundSage, loaded once per process."""
    return Plugins(tuple(entry_points(group=ENTRY_POINT_GROUP)))
