"""The strategy `proposal`: what the EQ model proposes, scaled by the confidence of the genre model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundsage.shared.contracts import Decision, StrategyRecord
from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ, graphic_bands
from soundsage.shared.hookspecs import hookimpl

from .smoothing import LIMIT_DB, MUSIC_STATES, Smoothed, strength_of

if TYPE_CHECKING:
    from soundsage.shared.contracts import StrategyContext
    from soundsage.shared.messages import EqProposal

__all__ = ["FollowProposal", "soundsage_eq_strategies"]

_START = np.zeros(1 + len(GRAPHIC_FREQUENCIES_HZ))


class FollowProposal:
    """Follows the EQ model over seconds, and less where the genre model does not know what it hears."""

    def __init__(self) -> None:
        self._smoothed = Smoothed()

    def decide(self, context: StrategyContext) -> Decision:
        """Return the proposed curve; flat while no music plays or nothing is proposed."""
        posterior, proposal = context.posterior, context.proposal
        if proposal is None or not proposal.gains_db:
            return Decision((), "flat: no proposal from the EQ model")
        strength = strength_of(np.array(posterior.posterior)) if posterior.labels else 0.0
        wanted = np.concatenate(([strength], graphic_gains_db(proposal)))
        strength, *gains_db = self._smoothed.follow(posterior, wanted, _START).tolist()
        if posterior.state not in MUSIC_STATES:
            return Decision((), f"flat: {posterior.state.replace('_', ' ')}")
        bands = graphic_bands([strength * gain_db for gain_db in gains_db])
        genre = posterior.genre or "uncertain genre"
        return Decision(
            bands, f"proposal of {proposal.model} at strength {strength:.0%}: {genre}, {posterior.confidence:.0%}"
        )


def graphic_gains_db(proposal: EqProposal) -> np.ndarray:
    """Return the proposal at the ten graphic frequencies, within `LIMIT_DB`.

    Parameters
    ----------
    proposal : EqProposal
        At any frequencies; between them gains are interpolated over octaves, outside they stay as at the last one.

    Returns
    -------
    ndarray of shape (10,), float64
        dB.
    """
    order = np.argsort(proposal.frequencies_hz)
    octaves = np.log2(np.maximum(np.array(proposal.frequencies_hz)[order], 1.0))
    gains_db = np.array(proposal.gains_db)[order]
    at_graphic: np.ndarray = np.interp(np.log2(GRAPHIC_FREQUENCIES_HZ), octaves, gains_db).clip(-LIMIT_DB, LIMIT_DB)
    return at_graphic


@hookimpl
def soundsage_eq_strategies() -> list[StrategyRecord]:
    """Return the strategy."""
    return [
        StrategyRecord(
            name="proposal",
            summary="follow the EQ model, less where the genre is uncertain",
            make=FollowProposal,
        )
    ]
