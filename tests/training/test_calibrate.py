"""Temperature, distance and threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import log_softmax

from soundsage.training.calibrate import distances_of, gate_of, log_posterior, precision_of, temperature_of

GENERATOR = np.random.default_rng(440)
N_ROWS = 20_000


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Return logits and labels that were drawn from their softmax: calibrated by construction."""
    generator = np.random.default_rng(440)
    logits = generator.normal(0.0, 1.5, (N_ROWS, 8))
    cumulative = np.exp(log_softmax(logits, axis=1)).cumsum(axis=1)
    labels = (generator.random((N_ROWS, 1)) > cumulative).sum(axis=1).clip(max=7)
    return logits, labels


def test_the_log_posterior_is_the_log_softmax() -> None:
    """It agrees with scipy, also for logits that overflow an exponential."""
    logits = np.array([[1.0, 2.0, 3.0], [1e4, 0.0, -1e4]])

    np.testing.assert_allclose(log_posterior(logits), log_softmax(logits, axis=1))


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_overconfidence(factor: float) -> None:
    """Calibrated logits that are multiplied need that temperature to be calibrated again."""
    logits, labels = drawn()

    # The grid has steps of 1.8 %, 20,000 rows leave about 1 %.
    assert temperature_of(factor * logits, labels) == pytest.approx(factor, rel=0.04)


def test_distances_are_those_of_mahalanobis() -> None:
    """They agree with scipy for the same precision."""
    rows = GENERATOR.standard_normal((50, 6)).astype(np.float32)
    precision = precision_of(rows)

    expected = [mahalanobis(row.astype(float), np.zeros(6), precision) for row in rows]
    np.testing.assert_allclose(distances_of(rows, precision), expected, rtol=1e-9)


def test_the_precision_is_the_inverse_of_the_covariance() -> None:
    """Many rows of a known covariance give its inverse."""
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    rows = np.random.default_rng(440).multivariate_normal([0, 0], covariance, 50_000)

    np.testing.assert_allclose(precision_of(rows), np.linalg.inv(covariance), atol=0.1)


def test_the_gate_lets_995_of_1000_windows_of_music_pass() -> None:
    """Its distance is the quantile of held-out music."""
    logits, labels = drawn()
    distances = np.random.default_rng(440).gamma(4.0, 2.0, N_ROWS)
    gate = gate_of(logits, labels, 1.0, distances, np.eye(2))

    assert (distances > gate.not_music_above).mean() == pytest.approx(0.005, abs=0.0005)
    assert gate.precision == (1.0, 0.0, 0.0, 1.0)


def test_answers_are_uncertain_where_most_are_wrong() -> None:
    """With calibrated probabilities that is below one half."""
    logits, labels = drawn()
    gate = gate_of(logits, labels, 1.0, np.ones(N_ROWS), np.eye(2))

    assert gate.uncertain_below == pytest.approx(0.5, abs=0.05)


def test_a_model_that_is_never_right_is_always_uncertain() -> None:
    """No confidence is enough when all answers are wrong."""
    logits, _ = drawn()
    wrong = (logits.argmax(axis=1) + 1) % 8

    assert gate_of(logits, wrong, 1.0, np.ones(N_ROWS), np.eye(2)).uncertain_below == 1.0
