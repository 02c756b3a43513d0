"""Rules for EQ strategies."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from soundsage.shared.contracts import Decision, StrategyContext, StrategyRecord
from soundsage.shared.dsp.bands import N_SECTIONS, EqBand
from soundsage.shared.dsp.design import design, response_db
from soundsage.shared.messages import FeatureVector

from .examples import SAMPLE_RATE, contexts
from .rules import Subject, require, rule

MAX_DECISION_MS = 10.0
MAX_GAIN_DB = 24.0
MAX_CAUSE = 1000
N_TRIES = 5


@rule("eq_strategies")
def whatever_it_meets_it_decides(subject: Subject[StrategyRecord]) -> None:
    """Any state, posterior or missing proposal gives at most 16 valid bands and a cause in words."""
    strategy = subject.record.make()
    for name, context in contexts().items():
        decision = strategy.decide(context)
        require(isinstance(decision, Decision), f"{name}: got {type(decision).__name__}")
        require(all(isinstance(band, EqBand) for band in decision.bands), f"{name}: got bands {decision.bands!r:.80}")
        require(len(decision.bands) <= N_SECTIONS, f"{name}: got {len(decision.bands)} bands")
        require(isinstance(decision.cause, str), f"{name}: got cause {decision.cause!r}")
        require(0 < len(decision.cause) <= MAX_CAUSE, f"{name}: got a cause of {len(decision.cause)} characters")
        require("\n" not in decision.cause, f"{name}: got a cause of more than one line")


@rule("eq_strategies")
def its_curves_can_be_rendered(subject: Subject[StrategyRecord]) -> None:
    """Its curves are finite and move no audible frequency by more than 24 dB."""
    strategy = subject.record.make()
    frequencies_hz = np.geomspace(20.0, 20_000.0, 500)
    for name, context in contexts().items():
        gains_db = response_db(design(strategy.decide(context).bands, SAMPLE_RATE), frequencies_hz, SAMPLE_RATE)
        require(np.isfinite(gains_db).all(), f"{name}: the curve is not finite")
        largest_db = np.abs(gains_db).max()
        require(largest_db <= MAX_GAIN_DB, f"{name}: the curve reaches {largest_db:.1f} dB")


@rule("eq_strategies")
def it_decides_in_time(subject: Subject[StrategyRecord]) -> None:
    """A decision takes less than 10 ms."""
    strategy = subject.record.make()
    for name, context in contexts().items():
        # The shortest of several: what else runs on the machine is not the plugin's fault.
        took_ms = min(_time_ms(strategy.decide, context) for _ in range(N_TRIES))
        require(took_ms < MAX_DECISION_MS, f"{name}: took {took_ms:.1f} ms")


@rule("eq_strategies")
def it_does_not_write_to_what_it_is_told(subject: Subject[StrategyRecord]) -> None:
    """Features are the same after a decision as before."""
    strategy = subject.record.make()
    for name, context in contexts().items():
        if context.features is None:
            continue
        before = [array.copy() for array in _arrays(context.features)]
        strategy.decide(context)
        same = map(np.array_equal, before, _arrays(context.features))
        require(all(same), f"{name}: they changed")


@rule("eq_strategies")
def it_decides_the_same_again(subject: Subject[StrategyRecord]) -> None:
    """Two of them that are told the same decide the same."""
    first, second = subject.record.make(), subject.record.make()
    for name, context in contexts().items():
        a, b = first.decide(context), second.decide(context)
        require(a == b, f"{name}: got {a!r:.80} and {b!r:.80}")


def _arrays(features: FeatureVector) -> tuple[np.ndarray, np.ndarray]:
    return features.features, features.bands_db


def _time_ms(decide: Callable[[StrategyContext], Decision], context: StrategyContext) -> float:
    begin_s = time.perf_counter()
    decide(context)
    return (time.perf_counter() - begin_s) * 1e3
