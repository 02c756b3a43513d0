"""Every plugin that is installed keeps the rules of its kind: `pytest --pyargs soundsage.shared.conformance`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from soundsage.shared.conformance import RECORD_TYPES, Rule, rules_of
from soundsage.shared.conformance.rules import LeftOut, Subject
from soundsage.shared.plugins import installed_plugins

CASES = [
    pytest.param(rule, entry.record, id=f"{kind}-{entry.record.name}-{rule.name}")
    for kind in RECORD_TYPES
    if kind != "commands"
    for entry in installed_plugins().entries(kind)
    for rule in rules_of(kind)
]


@pytest.mark.parametrize(("rule", "record"), CASES)
def test_a_plugin_keeps_the_rules_of_its_kind(rule: Rule, record: Any, tmp_path: Path) -> None:
    """A plugin keeps the rules of its kind."""
    try:
        rule.check(Subject(record, "", tmp_path))
    except LeftOut as reason:
        pytest.skip(str(reason))


def test_every_plugin_can_be_loaded() -> None:
    """No plugin that is installed fails to load or to answer its hooks."""
    assert installed_plugins().failures == {}
