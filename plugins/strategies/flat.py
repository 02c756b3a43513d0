"""The strategy `flat`: the sound as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundsage.shared.contracts import Decision, StrategyRecord
from soundsage.shared.hookspecs import hookimpl

if TYPE_CHECKING:
    from soundsage.shared.contracts import StrategyContext

__all__ = ["Flat", "soundsage_eq_strategies"]


class Flat:
    """Leaves everything alone."""

    def decide(self, context: StrategyContext) -> Decision:  # noqa: ARG002  the signature of all strategies
        """Return no bands."""
        return Decision((), "flat: the strategy changes nothing")


@hookimpl
def soundsage_eq_strategies() -> list[StrategyRecord]:
    """Return the strategy."""
    return [StrategyRecord(name="flat", summary="leave the sound as it is", make=Flat)]
