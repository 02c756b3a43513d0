"""Small dense networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundsage.training.network import Goal, Rows, Trained, TrainSettings, forward, n_parameters, train

SETTINGS = TrainSettings(hidden=(16, 8), dropout=(0.1, 0.1), n_epochs=20, patience=3, batch_size=64, learning_rate=1e-2)


def squared(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted squared error."""
    return (weights * ((outputs - targets) ** 2).mean(dim=1)).mean()


GOAL = Goal(2, squared, squared)


def rows(n_rows: int, seed: int) -> Rows:
    """Return rows whose targets are sums of inputs."""
    inputs = np.random.default_rng(seed).standard_normal((n_rows, 4)).astype(np.float32)
    return Rows(inputs, np.stack([inputs[:, 0] + inputs[:, 1], inputs[:, 2]], axis=1), np.ones(n_rows))


def trained(seed: int = 440) -> Trained:
    """Return a network trained on 500 rows."""
    return train(rows(500, 1), GOAL, SETTINGS, seed)


def test_the_same_seed_gives_the_same_weights() -> None:
    """Training twice gives the same bits, and another seed gives others."""
    one, two, other = trained(), trained(), trained(441)

    for (weight, bias), (weight_2, bias_2) in zip(one.layers, two.layers, strict=True):
        np.testing.assert_array_equal(weight, weight_2)
        np.testing.assert_array_equal(bias, bias_2)
    assert not np.array_equal(one.layers[0][0], other.layers[0][0])


def test_a_network_learns_a_sum() -> None:
    """On new rows most of the variance is explained."""
    new = rows(500, 2)
    error = forward(trained().layers, new.inputs) - new.targets

    assert (error**2).mean() < 0.2 * new.targets.var()


def test_rows_without_weight_do_not_count() -> None:
    """Nonsense that weighs nothing changes the answer by no more than a different order would."""
    good = rows(500, 1)
    targets = np.concatenate((good.targets, np.full((500, 2), 1e3, np.float32)))
    inputs = np.concatenate((good.inputs, good.inputs))
    mixed = Rows(inputs, targets, np.concatenate((np.ones(500), np.zeros(500))))
    new = rows(500, 2)

    error = forward(train(mixed, GOAL, SETTINGS, 440).layers, new.inputs) - new.targets
    assert (error**2).mean() < 0.3 * new.targets.var()


def test_training_stops_where_validation_is_best() -> None:
    """A fault that grows after the second epoch stops training, and the weights of the second epoch are taken."""
    faults = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    goal = Goal(2, squared, lambda *_: torch.tensor(next(faults)))
    stopped = train(rows(500, 1), goal, SETTINGS, 440, validation=rows(50, 3))
    two_epochs = train(rows(500, 1), GOAL, SETTINGS, 440, stop_after=2)

    assert stopped.n_epochs == 2
    np.testing.assert_array_equal(stopped.layers[0][0], two_epochs.layers[0][0])


def test_parameters_are_counted() -> None:
    """Weights and biases of 4-16-8-2."""
    assert n_parameters(trained().layers) == pytest.approx(4 * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2)
