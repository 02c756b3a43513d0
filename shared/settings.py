"""What the user sets while the mesh runs, or before; each is kept by the service that owns it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["RendererSettings", "StrategySettings"]


class StrategySettings(msgspec.Struct, frozen=True):
    """Settings of the service `strategy`.

    Attributes
    ----------
    strategy : str
        An EQ strategy plugin.
    """

    strategy: str


class RendererSettings(msgspec.Struct, frozen=True):
    """Settings of the service `renderer`.

    Attributes
    ----------
    bypass : bool
        Play the input untouched.
    gain_db : float
        After the equaliser.
    """

    bypass: bool = False
    gain_db: Annotated[float, Meta(ge=-60, le=12)] = 0.0
