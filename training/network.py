"""Small dense networks: build, train the same way every time, and take their weights out.

Conventions
-----------
Inputs have shape `(n, n_inputs)`, float32, scaled. A layer is a weight of shape `(n_outputs, n_inputs)` and a bias of
shape `(n_outputs,)`; all but the last are followed by a ReLU.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    Measure = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["Goal", "Layer", "Rows", "TrainSettings", "Trained", "forward", "n_parameters", "train"]

Layer = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How a network is built and trained.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    dropout : tuple of float
        After each hidden layer.
    n_epochs : int
        The length of the cosine that the learning rate follows.
    patience : int
        Training stops after so many epochs without a better validation.
    batch_size : int
    learning_rate, weight_decay : float
        Of AdamW.
    jitter : float
        Standard deviation of the noise added to scaled inputs.
    """

    hidden: tuple[int, ...]
    dropout: tuple[float, ...]
    n_epochs: int = 40
    patience: int = 8
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    jitter: float = 0.2


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a network is trained for; measures are called with outputs, targets and weights and return a scalar.

    Attributes
    ----------
    n_outputs : int
    loss : callable
        What training lowers.
    fault : callable
        What is least on the validation rows in the best epoch.
    """

    n_outputs: int
    loss: Measure
    fault: Measure


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Examples: scaled inputs, targets and how much each counts, all with the same first axis."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A network after training.

    Attributes
    ----------
    layers : tuple of Layer
    n_epochs : int
        After which the weights were taken.
    """

    layers: tuple[Layer, ...]
    n_epochs: int


def train(
    rows: Rows,
    goal: Goal,
    settings: TrainSettings,
    seed: int,
    *,
    validation: Rows | None = None,
    stop_after: int | None = None,
) -> Trained:
    """Return a network trained on rows.

    Parameters
    ----------
    rows : Rows
    goal : Goal
    settings : TrainSettings
    seed : int
        The same seed gives the same weights on the same processor.
    validation : Rows or None
        With it, the weights of the best epoch are taken.
    stop_after : int or None
        Without validation, the number of epochs; the learning rate falls as if all were run.
    """
    import torch

    # More threads would add in another order, and other weights would come out.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(seed)
    network = _network(rows.inputs.shape[1], goal.n_outputs, settings)
    batches = _Batches(rows, settings, seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.n_epochs * len(batches))
    best = _Best(network, settings.patience)
    for epoch in range(1, 1 + (stop_after or settings.n_epochs)):
        network.train()
        for inputs, targets, weights in batches:
            optimiser.zero_grad()
            goal.loss(network(inputs), targets, weights).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        if best.is_over(epoch, _validated(network, goal.fault, validation)):
            break
    return Trained(_layers_of(best.network), best.epoch)


def forward(layers: Sequence[Layer], inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of a network, shape (n, n_outputs), float32."""
    values = inputs.astype(np.float32)
    for weight, bias in layers[:-1]:
        values = np.maximum(values @ weight.T + bias, 0.0)
    weight, bias = layers[-1]
    outputs: np.ndarray = values @ weight.T + bias
    return outputs


def n_parameters(layers: Sequence[Layer]) -> int:
    """Return the number of weights and biases."""
    return sum(weight.size + bias.size for weight, bias in layers)


class _Best:
    """Keeps the network of the best epoch; without validation, that of the last."""

    def __init__(self, network: torch.nn.Module, patience: int) -> None:
        self._patience = patience
        self._fault = float("inf")
        self._now = network
        self.network = network
        self.epoch = 0

    def is_over(self, epoch: int, fault: float | None) -> bool:
        """Take note of an epoch and return whether to stop."""
        if fault is None:
            self.epoch = epoch
            return False
        if fault < self._fault:
            self._fault, self.epoch, self.network = fault, epoch, copy.deepcopy(self._now)
        return epoch - self.epoch >= self._patience


class _Batches:
    """Shuffles the rows anew for every epoch."""

    def __init__(self, rows: Rows, settings: TrainSettings, seed: int) -> None:
        import torch

        self._tensors = _tensors(rows)
        self._settings = settings
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return math.ceil(len(self._tensors[0]) / self._settings.batch_size)

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204  torch is not loaded at import
        """Yield inputs, targets and weights."""
        import torch

        order = torch.randperm(len(self._tensors[0]), generator=self._generator)
        for chosen in torch.split(order, self._settings.batch_size):
            inputs, targets, weights = (tensor[chosen] for tensor in self._tensors)
            noise = torch.randn(inputs.shape, generator=self._generator)
            yield inputs + self._settings.jitter * noise, targets, weights


def _network(n_inputs: int, n_outputs: int, settings: TrainSettings) -> torch.nn.Sequential:
    from torch import nn

    sizes = (n_inputs, *settings.hidden)
    layers: list[nn.Module] = []
    for before, after, dropout in zip(sizes[:-1], sizes[1:], settings.dropout, strict=True):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs))


def _validated(network: torch.nn.Module, fault: Measure, validation: Rows | None) -> float | None:
    import torch

    if validation is None:
        return None
    network.eval()
    with torch.no_grad():
        inputs, targets, weights = _tensors(validation)
        return float(fault(network(inputs), targets, weights))


def _tensors(rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    return (
        torch.from_numpy(np.ascontiguousarray(rows.inputs, dtype=np.float32)),
        torch.from_numpy(np.ascontiguousarray(rows.targets)),
        torch.from_numpy(np.ascontiguousarray(rows.weights, dtype=np.float32)),
    )


def _layers_of(network: torch.nn.Module) -> tuple[Layer, ...]:
    from torch import nn

    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return tuple((module.weight.detach().numpy().copy(), module.bias.detach().numpy().copy()) for module in linear)
