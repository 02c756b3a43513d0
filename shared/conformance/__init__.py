"""What every plugin must do, as rules that run on any record: by `soundsage plugins check`, and by pytest.

A plugin's author runs `pytest --pyargs soundsage.shared.conformance`, which finds what is installed, or calls
`findings_of` in a test of their own.
"""

from __future__ import annotations

from . import backends, commands, effects, extractors, models, monitors, records, sinks, sources, strategies
from .rules import RECORD_TYPES, Broken, Finding, Rule, findings_of, rules_of

__all__ = ["RECORD_TYPES", "Broken", "Finding", "Rule", "findings_of", "rules_of"]

MODULES = (records, sources, sinks, extractors, models, strategies, effects, backends, monitors, commands)
"""Where the rules are; importing a module adds its rules."""
