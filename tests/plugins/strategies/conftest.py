"""Contexts for strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from soundsage.shared.contracts import StrategyContext
from soundsage.shared.messages import EqProposal, GenrePosterior

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LABELS = ("Classical", "Electronic", "Experimental", "Folk", "Hip-Hop", "Jazz", "Pop", "Rock")


def context_of(
    probabilities: Sequence[float],
    time_s: float = 3.0,
    state: str = "genre",
    proposal: EqProposal | None = None,
    stream: str = "stream",
) -> StrategyContext:
    """Return a context with this posterior."""
    best = int(np.argmax(probabilities))
    posterior = GenrePosterior(
        stream=stream,
        time_s=time_s,
        model="model",
        backend="backend",
        labels=LABELS,
        posterior=tuple(probabilities),
        state=state,  # type: ignore[arg-type]  any of its words
        genre=LABELS[best] if state == "genre" else None,
        confidence=probabilities[best],
        skipped=0,
        compute_ms=0.1,
        hop_compute_ms=0.2,
    )
    return StrategyContext(posterior, None, proposal)


@pytest.fixture
def context() -> Callable[..., StrategyContext]:
    """Return the function that makes a context."""
    return context_of


@pytest.fixture
def certain() -> Callable[[str], list[float]]:
    """Return the function that gives one genre all the probability."""
    return lambda genre: [float(label == genre) for label in LABELS]
