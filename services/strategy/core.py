"""Turn what a strategy wants into a curve that does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from soundsage.shared.dsp import SLEW_DB_PER_S, EqBand, bound_bands, headroom_db
from soundsage.shared.dsp.bands import Kind
from soundsage.shared.messages import MAX_TEXT, EqCurve, EqProposal, FeatureVector, GenrePosterior, Message

__all__ = ["Correlation", "Steered", "Steering", "curve_of"]

STEP_DIGITS = 1  # gains are in steps of 0.1 dB: the renderer seldom has to change
MAX_ELAPSED_S = 1.0  # the curve makes no leap after a pause
SAMPLE_RATE = 48_000  # at which response and headroom are judged; at other rates the curve is the same to 0.1 dB


class Correlation:
    """Keeps the features and the proposal of each stream until the posterior of the same hop comes."""

    def __init__(self) -> None:
        self._last: dict[tuple[type[Message], str], FeatureVector | EqProposal] = {}

    def keep(self, message: FeatureVector | EqProposal) -> None:
        """Remember the newest of its kind and stream."""
        self._last[type(message), message.stream] = message

    def of(self, posterior: GenrePosterior) -> tuple[FeatureVector | None, EqProposal | None]:
        """Return what belongs to the same hop as the posterior."""
        features = self._last.get((FeatureVector, posterior.stream))
        proposal = self._last.get((EqProposal, posterior.stream))
        return (
            features if isinstance(features, FeatureVector) and features.time_s == posterior.time_s else None,
            proposal if isinstance(proposal, EqProposal) and proposal.time_s == posterior.time_s else None,
        )


class Shape(NamedTuple):
    """A curve as places, `(kind, frequency_hz, q)` each, and the gains there in dB."""

    places: tuple[tuple[Kind, float, float], ...]
    gains_db: tuple[float, ...]


class Steered(NamedTuple):
    """A curve that does no harm: at most 16 bands, and the headroom that they need, dB."""

    bands: tuple[EqBand, ...]
    preamp_db: float


class Steering:
    """Moves one stream's curve towards what its strategy wants: within limits, and slowly unless a person commands it.

    What is asked for seldom differs from before, so what follows from it is kept.

    Parameters
    ----------
    limit_db : float
        No frequency is moved further from flat.
    """

    def __init__(self, limit_db: float) -> None:
        self._limit_db = limit_db
        self._time_s: float | None = None
        self._wanted = Shape((), ())
        self._goal = Shape((), ())
        self._now = Shape((), ())
        self._stepped = Shape((), ())
        self._steered = Steered((), 0.0)

    def steer(self, time_s: float, bands: Sequence[EqBand], *, commanded: bool) -> Steered:
        """Return the curve for now.

        Parameters
        ----------
        time_s : float
            Stream time.
        bands : sequence of EqBand
            What the strategy wants.
        commanded : bool
            Whether a person asked for it; it is then followed at once.

        Raises
        ------
        ValueError
            If there are more bands than the rack has, or one is not finite.
        """
        elapsed_s = 0.0 if self._time_s is None else min(max(0.0, time_s - self._time_s), MAX_ELAPSED_S)
        self._time_s = time_s
        wanted = _stepped(_shape_of(bands))
        if wanted != self._wanted:
            self._goal, self._wanted = _shape_of(_bounded(wanted, self._limit_db)), wanted
        self._now = self._goal if commanded else _towards(self._goal, self._now, SLEW_DB_PER_S * elapsed_s)
        stepped = _stepped(self._now)
        if stepped != self._stepped:
            # Also what lies between two curves within the limit, in steps, has to be within it.
            safe = _bounded(stepped, self._limit_db) if any(stepped.gains_db) else ()
            self._steered, self._stepped = Steered(safe, max(headroom_db(safe, SAMPLE_RATE), -24.0)), stepped
        return self._steered


def curve_of(
    posterior: GenrePosterior, strategy: str, cause: str, steered: Steered, compute_ms: float, *, commanded: bool
) -> EqCurve:
    """Return the message for a curve that answers a posterior, with all computing on the way to it."""
    return EqCurve(
        stream=posterior.stream,
        time_s=posterior.time_s,
        strategy=strategy,
        cause=cause[:MAX_TEXT],
        automatic=not commanded,
        bands=steered.bands,
        preamp_db=steered.preamp_db,
        compute_ms=posterior.compute_ms + compute_ms,
    )


def _shape_of(bands: Sequence[EqBand]) -> Shape:
    return Shape(
        tuple([(band.kind, band.frequency_hz, band.q) for band in bands]), tuple([band.gain_db for band in bands])
    )


def _stepped(shape: Shape) -> Shape:
    """Return the curve with gains in steps, so that one that hardly moves is bounded, sent and designed once."""
    return Shape(shape.places, tuple([round(gain_db, STEP_DIGITS) for gain_db in shape.gains_db]))


def _towards(goal: Shape, now: Shape, reach_db: float) -> Shape:
    """Return the curve on its way to the goal; bands at other places first go back to flat."""
    if goal.places == now.places:
        return Shape(goal.places, _moved(goal.gains_db, now.gains_db, reach_db))
    flat = (0.0,) * len(now.gains_db)
    if now.gains_db != flat:
        return Shape(now.places, _moved(flat, now.gains_db, reach_db))
    return Shape(goal.places, _moved(goal.gains_db, (0.0,) * len(goal.gains_db), reach_db))


def _moved(goal_db: tuple[float, ...], now_db: tuple[float, ...], reach_db: float) -> tuple[float, ...]:
    """Return gains on the straight way to the goal: bands that arrive one by one could add up on the way."""
    distance_db = max([abs(goal - now) for goal, now in zip(goal_db, now_db, strict=True)], default=0.0)
    if distance_db <= reach_db:
        return goal_db
    share = reach_db / distance_db
    return tuple([now + (goal - now) * share for goal, now in zip(goal_db, now_db, strict=True)])


def _bounded(shape: Shape, limit_db: float) -> tuple[EqBand, ...]:
    bands = tuple(
        EqBand(kind, frequency_hz, gain_db, q)
        for (kind, frequency_hz, q), gain_db in zip(shape.places, shape.gains_db, strict=True)
    )
    return bound_bands(bands, limit_db, SAMPLE_RATE)[0] if limit_db else ()
