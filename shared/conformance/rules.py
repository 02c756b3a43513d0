"""Rules for plugins: a sentence, the kind it holds for, and a function that finds out.

Conventions
-----------
A rule returns when the sentence is true, raises `Broken` when it is not, and `LeftOut` when it cannot be tried here.
Whatever else a plugin raises breaks the rule.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import click

from soundsage.shared import contracts
from soundsage.shared.errors import PluginError, SoundSageError
from soundsage.shared.hookspecs import KINDS
from soundsage.shared.plugins import guarded

__all__ = [
    "RECORD_TYPES",
    "Broken",
    "Finding",
    "LeftOut",
    "Rule",
    "Subject",
    "findings_of",
    "require",
    "rule",
    "rules_of",
]

RECORD_TYPES: dict[str, type[Any]] = {
    "sources": contracts.SourceRecord,
    "sinks": contracts.SinkRecord,
    "feature_extractors": contracts.ExtractorRecord,
    "genre_models": contracts.GenreModelRecord,
    "eq_models": contracts.EqModelRecord,
    "eq_strategies": contracts.StrategyRecord,
    "effects": contracts.EffectRecord,
    "effect_chains": contracts.Chain,
    "inference_backends": contracts.BackendRecord,
    "monitors": contracts.MonitorRecord,
    "commands": click.Command,
}
"""What the hook of each kind returns a list of."""

R = TypeVar("R")


class Broken(Exception):  # noqa: N818  a rule that is broken is what it is
    """A rule does not hold; the text says what was found."""


class LeftOut(Exception):  # noqa: N818  not an error either
    """A rule cannot be tried here; the text says why."""


@dataclass(frozen=True)
class Subject(Generic[R]):
    """A record under test.

    Attributes
    ----------
    record : Record or click.Command
    target : str
        What a person who names the plugin would write behind the colon; may be empty.
    folder : Path
        An empty folder for what the plugin writes.
    """

    record: R
    target: str
    folder: Path


@dataclass(frozen=True)
class Rule:
    """What every plugin of a kind must do.

    Attributes
    ----------
    kind : str
        Such as `sources`.
    sentence : str
        Ends with a full stop.
    check : callable
        Takes a `Subject`.
    """

    kind: str
    sentence: str
    check: Callable[[Subject[Any]], None]

    @property
    def name(self) -> str:
        """The function's name, which is the sentence without its blanks."""
        return self.check.__name__


@dataclass(frozen=True)
class Finding:
    """How one rule went.

    Attributes
    ----------
    rule : str
        Its sentence.
    outcome : str
    text : str
        What was found where it is broken, and why it was left out; else empty.
    """

    rule: str
    outcome: Literal["held", "broken", "left out"]
    text: str = ""


_RULES: list[Rule] = []


def rule(*kinds: str) -> Callable[[Callable[[Subject[R]], None]], Callable[[Subject[R]], None]]:
    """Return a decorator that makes a function a rule for these kinds; its docstring is the sentence."""

    def add(check: Callable[[Subject[R]], None]) -> Callable[[Subject[R]], None]:
        sentence = (check.__doc__ or "").partition("\n")[0]
        _RULES.extend(Rule(kind, sentence, check) for kind in kinds)
        return check

    return add


def rules_of(kind: str) -> list[Rule]:
    """Return the rules for plugins of a kind, those for all kinds first.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return sorted((each for each in _RULES if each.kind == kind), key=_is_special)


def _is_special(each: Rule) -> bool:
    return not each.check.__module__.endswith(".records")


def findings_of(kind: str, record: object, target: str = "") -> list[Finding]:
    """Return how each rule of its kind went for a record.

    Parameters
    ----------
    kind : str
        Such as `sources`.
    record : Record or click.Command
    target : str
        For a source, sink or monitor what to open; without one, whatever opens a device is left alone.
    """
    if not isinstance(record, RECORD_TYPES[kind]):
        sentence = f"A plugin of kind {kind} is a {RECORD_TYPES[kind].__name__}."
        return [Finding(sentence, "broken", f"got {type(record).__name__}")]
    with tempfile.TemporaryDirectory(prefix="soundsage-check-") as folder:
        places = (Path(folder) / str(n) for n in itertools.count())
        return [_finding(each, Subject(record, target, _made(next(places)))) for each in rules_of(kind)]


def require(condition: object, text: str) -> None:
    """Raise `Broken` with the text unless the condition is true."""
    if not condition:
        raise Broken(text)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _finding(each: Rule, subject: Subject[Any]) -> Finding:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            guarded("the plugin", each.check, subject)
    except PluginError as error:
        cause = error.__cause__
        if isinstance(cause, LeftOut):
            return Finding(each.sentence, "left out", str(cause))
        return Finding(each.sentence, "broken", str(cause if isinstance(cause, Broken) else error))
    except SoundSageError as error:
        return Finding(each.sentence, "broken", f"{type(error).__name__}: {error}")
    return Finding(each.sentence, "held")
