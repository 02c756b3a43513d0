"""What a file is: a genre for each second, and one for all of it.

Conventions
-----------
An entry of the timeline is what the mesh would say at that moment: the first answer, and the first of each further
second. The summary is over all windows, a hop apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
import numpy as np

from soundsage.shared.messages import GenrePosterior, GenreState

__all__ = ["Analysis", "Moment", "Verdict", "analysis_of"]

MUSIC = ("genre", "uncertain")
# A posterior in float64 can be 0, and one such window must not rule a genre out for the whole file.
LEAST_PROBABILITY = 1e-6


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is heard.

    Attributes
    ----------
    state : str
    genre : str or None
        None unless `state` is `genre`.
    confidence : float
        The largest probability.
    posterior : dict of float
        The probability of each label; empty if nothing was long enough to be measured.
    """

    state: GenreState
    genre: str | None
    confidence: float
    posterior: dict[str, float]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The same at `time_s`, s from the beginning."""

    time_s: float
    state: GenreState
    genre: str | None
    confidence: float
    posterior: dict[str, float]


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is, as `analyze --json` prints it."""

    file: str
    duration_s: float
    timeline: tuple[Moment, ...]
    summary: Verdict


def analysis_of(file: str, duration_s: float, answers: Iterable[GenrePosterior], uncertain_below: float) -> Analysis:
    """Return the analysis that the answers for all windows of a file add up to.

    Parameters
    ----------
    file : str
    duration_s : float
    answers : iterable of GenrePosterior
        In order of time.
    uncertain_below : float
        The largest probability below which no genre is named.
    """
    all_answers = tuple(answers)
    return Analysis(
        file=file,
        duration_s=duration_s,
        timeline=_timeline(all_answers),
        summary=_summary(all_answers, uncertain_below),
    )


def _timeline(answers: Iterable[GenrePosterior]) -> tuple[Moment, ...]:
    """Return the first answer, and then the first of each further second."""
    first_in: dict[int, GenrePosterior] = {}
    begin_s: float | None = None
    for answer in answers:
        begin_s = answer.time_s if begin_s is None else begin_s
        first_in.setdefault(int(answer.time_s - begin_s), answer)
    return tuple(
        Moment(
            time_s=answer.time_s,
            state=answer.state,
            genre=answer.genre,
            confidence=answer.confidence,
            posterior=dict(zip(answer.labels, answer.posterior, strict=True)),
        )
        for answer in first_in.values()
    )


def _summary(answers: tuple[GenrePosterior, ...], uncertain_below: float) -> Verdict:
    """Return the verdict on music from the mean of its log-posteriors, and the commonest state where that is another.

    Silence does not count beside anything else. A file too short for a window is uncertain.
    """
    if not answers:
        return Verdict(state="uncertain", genre=None, confidence=0.0, posterior={})
    music = [answer for answer in answers if answer.state in MUSIC]
    others = Counter(answer.state for answer in answers if answer.state not in (*MUSIC, "silence"))
    if music and len(music) >= max(others.values(), default=0):
        return _of_music(music, uncertain_below)
    state = others.most_common(1)[0][0] if others else "silence"
    mean = _mean(answers)
    return Verdict(state=state, genre=None, confidence=max(mean.values()), posterior=mean)


def _of_music(answers: Iterable[GenrePosterior], uncertain_below: float) -> Verdict:
    mean = _mean(answers)
    best = max(mean, key=mean.__getitem__)
    is_certain = mean[best] >= uncertain_below
    return Verdict(
        state="genre" if is_certain else "uncertain",
        genre=best if is_certain else None,
        confidence=mean[best],
        posterior=mean,
    )


def _mean(answers: Iterable[GenrePosterior]) -> dict[str, float]:
    """Return the geometric mean of the posteriors, with sum 1."""
    measured = [answer for answer in answers if answer.labels]
    logs = np.log(np.maximum([answer.posterior for answer in measured], LEAST_PROBABILITY)).mean(axis=0)
    weights = np.exp(logs - logs.max())
    return dict(zip(measured[0].labels, (weights / weights.sum()).tolist(), strict=True))
