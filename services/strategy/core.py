"""Turn what a strategy wants into a curve that does no harm."""

from __future__ import annotations

import functools

import numpy as np

from soundsage.shared.contracts import Decision
from soundsage.shared.dsp import EqBand, bound_bands, headroom_db, limit_slew
from soundsage.shared.messages import MAX_TEXT, EqCurve, EqProposal, FeatureVector, GenrePosterior, Message

__all__ = ["Correlation", "Steering"]

STEP_DB = 0.1  # curves nearer to each other than this are one curve, so that the renderer seldom has to change
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


class Steering:
    """Moves one stream's curve towards what its strategy wants: within limits, and slowly unless a person commands it.

    Parameters
    ----------
    limit_db : float
        No frequency is moved further from flat.
    """

    def __init__(self, limit_db: float) -> None:
        self._limit_db = limit_db
        self._layout: tuple[EqBand, ...] = ()
        self._gains_db = np.zeros(0)
        self._time_s: float | None = None

    def curve(self, posterior: GenrePosterior, strategy: str, decision: Decision, *, commanded: bool) -> EqCurve:
        """Return the curve for now, with the computing up to the posterior.

        Parameters
        ----------
        posterior : GenrePosterior
            What the decision answers.
        strategy : str
        decision : Decision
        commanded : bool
            Whether a person asked for this curve, which is then followed at once.

        Raises
        ------
        ValueError
            If the decision has more bands than the rack, or one that is not finite.
        """
        elapsed_s = 0.0 if self._time_s is None else min(max(0.0, posterior.time_s - self._time_s), MAX_ELAPSED_S)
        self._time_s = posterior.time_s
        self._move(_bounded(_stepped(decision.bands), self._limit_db), elapsed_s, commanded=commanded)
        # Also what lies between two curves within the limit, in steps, has to be within it.
        bands = _bounded(_with_gains(self._layout, self._gains_db), self._limit_db)
        return EqCurve(
            stream=posterior.stream,
            time_s=posterior.time_s,
            strategy=strategy,
            cause=decision.cause[:MAX_TEXT],
            automatic=not commanded,
            bands=bands,
            preamp_db=_headroom_db(bands),
            compute_ms=posterior.compute_ms,
        )

    def _move(self, goal: tuple[EqBand, ...], elapsed_s: float, *, commanded: bool) -> None:
        gains_db = np.array([band.gain_db for band in goal])
        same = _layout_of(goal) == _layout_of(self._layout)
        if commanded:
            self._layout, self._gains_db = goal, gains_db
        elif same:
            self._gains_db = _towards(gains_db, self._gains_db, elapsed_s)
        elif self._gains_db.any():  # bands at other places: first go back to flat
            self._gains_db = _towards(np.zeros_like(self._gains_db), self._gains_db, elapsed_s)
        else:
            self._layout, self._gains_db = goal, _towards(gains_db, np.zeros_like(gains_db), elapsed_s)


def _towards(goal_db: np.ndarray, gains_db: np.ndarray, elapsed_s: float) -> np.ndarray:
    """Return gains on the straight way to the goal: bands that arrive one by one could add up on the way."""
    distance_db = float(np.abs(goal_db - gains_db).max(initial=0.0))
    reach_db = float(limit_slew(0.0, distance_db, elapsed_s))
    return goal_db if reach_db == distance_db else gains_db + (goal_db - gains_db) * (reach_db / distance_db)


def _layout_of(bands: tuple[EqBand, ...]) -> tuple[tuple[str, float, float], ...]:
    return tuple((band.kind, band.frequency_hz, band.q) for band in bands)


def _stepped(bands: tuple[EqBand, ...]) -> tuple[EqBand, ...]:
    """Return the bands with gains in steps, so that a goal that hardly moves is bounded once."""
    return tuple(EqBand(band.kind, band.frequency_hz, round(band.gain_db, 1), band.q) for band in bands)


def _with_gains(layout: tuple[EqBand, ...], gains_db: np.ndarray) -> tuple[EqBand, ...]:
    """Return the bands with these gains to the nearest step; none at all when all are 0."""
    steps = np.round(gains_db / STEP_DB).astype(int).tolist()
    if not any(steps):
        return ()
    return tuple(
        EqBand(band.kind, band.frequency_hz, round(step * STEP_DB, 6), band.q)
        for band, step in zip(layout, steps, strict=True)
    )


@functools.lru_cache(maxsize=64)
def _bounded(bands: tuple[EqBand, ...], limit_db: float) -> tuple[EqBand, ...]:
    if limit_db == 0:
        return ()
    return bound_bands(bands, limit_db, SAMPLE_RATE)[0]


@functools.lru_cache(maxsize=64)
def _headroom_db(bands: tuple[EqBand, ...]) -> float:
    return max(headroom_db(bands, SAMPLE_RATE), -24.0)
