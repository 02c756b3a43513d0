"""From the answers for all windows to a timeline and a summary."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.services.cli.offline.analysis import analysis_of
from soundsage.shared.messages import GenrePosterior, GenreState

LABELS = ("jazz", "rock")


def answer(time_s: float, jazz: float, state: GenreState = "genre") -> GenrePosterior:
    """Return what the genre model said at a time."""
    posterior = (jazz, 1.0 - jazz)
    return GenrePosterior(
        stream="main",
        time_s=time_s,
        model="m",
        backend="b",
        labels=LABELS,
        posterior=posterior,
        state=state,
        genre=LABELS[posterior.index(max(posterior))] if state == "genre" else None,
        confidence=max(posterior),
        skipped=0,
        compute_ms=0.0,
        hop_compute_ms=0.0,
    )


def test_the_timeline_has_the_first_answer_of_each_second() -> None:
    """Of the answers of each second the first one counts, with its own time."""
    answers = [answer(3.0 + 0.3 * n, 0.9) for n in range(10)]

    times_s = [moment.time_s for moment in analysis_of("a", 6.0, answers, 0.5).timeline]

    assert times_s == pytest.approx([3.0, 4.2, 5.1])


def test_the_summary_is_the_geometric_mean_of_the_posteriors() -> None:
    """Mean log-posterior: sqrt(0.9 * 0.2) against sqrt(0.1 * 0.8)."""
    summary = analysis_of("a", 5.0, [answer(3.0, 0.9), answer(4.0, 0.2)], 0.5).summary

    jazz, rock = math.sqrt(0.9 * 0.2), math.sqrt(0.1 * 0.8)
    assert summary.posterior == pytest.approx({"jazz": jazz / (jazz + rock), "rock": rock / (jazz + rock)})
    assert (summary.state, summary.genre) == ("genre", "jazz")
    assert summary.confidence == summary.posterior["jazz"]


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50), st.floats(0.0, 1.0))
def test_a_summary_has_a_genre_exactly_when_it_is_sure_enough(probabilities: list[float], threshold: float) -> None:
    """The posterior sums to 1, and the genre is named when the largest reaches the threshold."""
    answers = [answer(float(n), jazz) for n, jazz in enumerate(probabilities)]

    summary = analysis_of("a", 60.0, answers, threshold).summary

    assert sum(summary.posterior.values()) == pytest.approx(1.0)
    assert (summary.genre is not None) == (summary.state == "genre") == (summary.confidence >= threshold)


def test_silence_does_not_count_beside_music() -> None:
    """A song with a long silence around it keeps its genre."""
    answers = [answer(float(n), 0.5, "silence") for n in range(20)] + [answer(20.0, 0.9)]

    assert analysis_of("a", 21.0, answers, 0.5).summary.genre == "jazz"


def test_silence_alone_is_silence() -> None:
    """A file of silence says so and names no genre."""
    summary = analysis_of("a", 5.0, [answer(float(n), 0.9, "silence") for n in range(3)], 0.5).summary

    assert (summary.state, summary.genre) == ("silence", None)


def test_the_commonest_state_counts_where_there_is_less_music() -> None:
    """Two windows of speech outvote one of music."""
    answers = [answer(3.0, 0.9), answer(4.0, 0.5, "speech"), answer(5.0, 0.5, "speech"), answer(6.0, 0.5, "silence")]

    assert analysis_of("a", 7.0, answers, 0.5).summary.state == "speech"


def test_a_file_shorter_than_a_window_is_uncertain() -> None:
    """Nothing was measured, so nothing is claimed."""
    analysis = analysis_of("a", 1.0, [], 0.5)

    assert analysis.timeline == ()
    assert (analysis.summary.state, analysis.summary.confidence, analysis.summary.posterior) == ("uncertain", 0.0, {})
