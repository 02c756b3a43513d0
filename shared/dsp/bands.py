"""What a curve is made of: bands, and the ten octave bands of a graphic equaliser.

Conventions
-----------
Frequencies are in Hz, gains in dB, ``q`` is the quality factor of the Audio EQ Cookbook (R. Bristow-Johnson): for a
peaking band the ratio of centre frequency to bandwidth at half its gain in dB, for a shelf the steepness of its corner.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

N_SECTIONS = 16
"""Second-order sections in every rack, used or not, so that an edit never rebuilds anything."""

GRAPHIC_FREQUENCIES_HZ = (31.25, 62.5, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
"""Octave centres around 1 kHz (ISO 266 with exact powers of two), in Hz."""

GRAPHIC_Q = 1.41
"""Quality factor of a bell that is one octave wide: sqrt(2)."""

_FREQUENCY_HZ = (10.0, 24_000.0)
_GAIN_DB = (-24.0, 24.0)
_Q = (0.1, 20.0)

Kind = Literal["peaking", "low_shelf", "high_shelf"]


class EqBand(msgspec.Struct, frozen=True):
    """One band of a curve.

    Parameters
    ----------
    kind : {'peaking', 'low_shelf', 'high_shelf'}
        A bell around the frequency, or a step of gain below or above it.
    frequency_hz : float
        Centre of the bell, or middle of the step, in [10, 24000] Hz.
    gain_db : float
        Gain at the centre of the bell, or on the shelf, in [-24, 24] dB.
    q : float
        Quality factor in [0.1, 20].

    Raises
    ------
    ValueError
        If a number is not finite or outside its range. Decoding reports the same as ``msgspec.ValidationError``.
    """

    kind: Kind
    frequency_hz: Annotated[float, msgspec.Meta(ge=_FREQUENCY_HZ[0], le=_FREQUENCY_HZ[1])]
    gain_db: Annotated[float, msgspec.Meta(ge=_GAIN_DB[0], le=_GAIN_DB[1])]
    q: Annotated[float, msgspec.Meta(ge=_Q[0], le=_Q[1])]

    def __post_init__(self) -> None:
        """Refuse what cannot be designed, with a ValueError."""
        if self.kind not in {"peaking", "low_shelf", "high_shelf"}:
            raise ValueError(f"kind must be peaking, low_shelf or high_shelf, got {self.kind!r}")
        _require_within("frequency_hz", self.frequency_hz, _FREQUENCY_HZ)
        _require_within("gain_db", self.gain_db, _GAIN_DB)
        _require_within("q", self.q, _Q)


def graphic_bands(gains_db: Sequence[float]) -> tuple[EqBand, ...]:
    """Return the ten peaking bands of a graphic equaliser with these gains.

    Parameters
    ----------
    gains_db : sequence of 10 floats
        Gain of each band of ``GRAPHIC_FREQUENCIES_HZ`` in dB, lowest frequency first.

    Returns
    -------
    tuple of EqBand
        One band for each gain, in the same order.

    Raises
    ------
    ValueError
        If there are not ten gains, or one cannot be a band's gain.

    Examples
    --------
    >>> graphic_bands([0, 0, 0, 0, 0, 3, 0, 0, 0, 0])[5]
    EqBand(kind='peaking', frequency_hz=1000.0, gain_db=3.0, q=1.41)
    """
    if len(gains_db) != len(GRAPHIC_FREQUENCIES_HZ):
        raise ValueError(f"gains_db must be {len(GRAPHIC_FREQUENCIES_HZ)} gains, got {len(gains_db)}")
    return tuple(
        EqBand("peaking", frequency_hz, float(gain_db), GRAPHIC_Q)
        for frequency_hz, gain_db in zip(GRAPHIC_FREQUENCIES_HZ, gains_db, strict=True)
    )


def _require_within(name: str, value: float, limits: tuple[float, float]) -> None:
    # Not a comparison alone: a bound test lets NaN pass.
    if not (math.isfinite(value) and limits[0] <= value <= limits[1]):
        raise ValueError(f"{name} must lie in [{limits[0]:g}, {limits[1]:g}], got {value}")
