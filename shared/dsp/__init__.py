"""Design, run and bound the equaliser: bands, second-order sections, the click-free rack and its limits.

The rack is imported from :mod:`soundsage.shared.dsp.rack` by who runs sound, so that design alone never waits for a
compiler.
"""

from __future__ import annotations

from .bands import GRAPHIC_FREQUENCIES_HZ, GRAPHIC_Q, N_SECTIONS, EqBand, graphic_bands
from .bounds import SLEW_DB_PER_S, bound_bands, headroom_db
from .design import analogue_response, design, design_band, response, response_db

__all__ = [
    "GRAPHIC_FREQUENCIES_HZ",
    "GRAPHIC_Q",
    "N_SECTIONS",
    "SLEW_DB_PER_S",
    "EqBand",
    "analogue_response",
    "bound_bands",
    "design",
    "design_band",
    "graphic_bands",
    "headroom_db",
    "response",
    "response_db",
]
