"""Rules for the records of all kinds."""

from __future__ import annotations

import dataclasses
import re

import msgspec

from soundsage.shared.contracts import API, Chain, EffectRecord, Record, SinkRecord, SourceRecord
from soundsage.shared.hookspecs import KINDS
from soundsage.shared.plugins import installed_plugins

from .rules import Subject, require, rule

MAX_SUMMARY = 100
RECORD_KINDS = tuple(kind for kind in KINDS if kind != "commands")


@rule(*RECORD_KINDS)
def its_name_can_be_typed(subject: Subject[Record]) -> None:
    """Its name is of small letters, digits and hyphens, at most 64."""
    name = subject.record.name
    require(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name), f"got {name!r}")


@rule(*RECORD_KINDS)
def its_summary_is_one_line(subject: Subject[Record]) -> None:
    """Its summary is one line of at most 100 characters."""
    summary = subject.record.summary
    require(summary.strip() == summary and 0 < len(summary) <= MAX_SUMMARY, f"got {summary!r}")
    require(summary.isprintable(), f"got {summary!r}")


@rule(*RECORD_KINDS)
def it_is_written_for_this_interface(subject: Subject[Record]) -> None:
    """It is written for the interface that runs here."""
    require(subject.record.api == API, f"api must be {API}, got {subject.record.api}")


@rule(*RECORD_KINDS)
def what_it_offers_to_call_can_be_called(subject: Subject[Record]) -> None:
    """Each of its functions is one."""
    for field in dataclasses.fields(subject.record):
        value = getattr(subject.record, field.name)
        if "Callable" in str(field.type):
            require(callable(value), f"{field.name} must be callable, got {value!r}")


@rule("sources", "sinks")
def its_options_have_defaults_and_refuse_what_they_do_not_know(subject: Subject[SourceRecord | SinkRecord]) -> None:
    """Its options all have defaults, and unknown ones are refused."""
    options = subject.record.options
    require(issubclass(options, msgspec.Struct), f"options must be a msgspec.Struct, got {options!r}")
    options()
    require(options.__struct_config__.forbid_unknown_fields, f"{options.__name__} must forbid unknown fields")


@rule("effect_chains")
def its_effects_are_installed(subject: Subject[Chain]) -> None:
    """It names at least one effect, and all of them are installed."""
    known = {record.name for record in installed_plugins().records("effects", EffectRecord)}
    missing = [step.effect for step in subject.record.steps if step.effect not in known]
    require(subject.record.steps, "got no effect")
    require(not missing, f"got {', '.join(missing)}, which no plugin offers")
