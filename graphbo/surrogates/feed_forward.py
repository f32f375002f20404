"""The networks of BANANAS."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from graphbo.surrogates.adam import Adam

_LEARNING_RATE, _DECAYS = 0.01, (0.9, 0.99)


class FeedForwardEnsemble:
    """Rectified networks that differ by their initial weights and the order of their data.

    Each minimises the mean absolute error by Adam on batches, at a constant learning rate of 0.01.
    The weights are stacked, so that all members are one batched program.

    Reference: White et al., "BANANAS: Bayesian optimization with neural architectures for neural
    architecture search", AAAI 2021, and the settings of its authors' code.

    Args:
        inputs: `n x d`, float64.
        targets: `n`, about standardised.
        seed: The seed of the initial weights and the batches.
        members: The number of networks.
        width: The number of units of each hidden layer.
        depth: The number of hidden layers.
        epochs: How often each goes through the data.
        batch: The size of a batch.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        seed: int,
        members: int = 5,
        width: int = 20,
        depth: int = 10,
        epochs: int = 150,
        batch: int = 32,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        sizes = [inputs.shape[-1], *[width] * depth, 1]
        self._weights = [
            _glorot(members, fan_in, fan_out, generator) for fan_in, fan_out in pairwise(sizes)
        ]
        self._biases = [
            torch.zeros(members, 1, size, dtype=torch.float64, requires_grad=True)
            for size in sizes[1:]
        ]
        adam = Adam([*self._weights, *self._biases], _LEARNING_RATE, _DECAYS)
        with torch.enable_grad(), threadpool_limits(1):  # threads would wait for each other
            for _ in range(epochs):
                order = torch.rand(members, len(inputs), generator=generator).argsort(-1)
                for part in torch.split(order, batch, dim=-1):
                    errors = self._outputs(inputs[part]) - targets[part]
                    adam.step(errors.abs().mean(-1).sum())
        for parameter in (*self._weights, *self._biases):
            parameter.requires_grad_(False)

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Return what each member predicts, `members x n`, for `n x d` inputs."""
        return self._outputs(inputs.expand(len(self._weights[0]), *inputs.shape))

    def _outputs(self, h: Tensor) -> Tensor:
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            h = torch.baddbmm(bias, h, weight).relu()
        return torch.baddbmm(self._biases[-1], h, self._weights[-1]).squeeze(-1)


def _glorot(members: int, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
    """Return random weights as Glorot and Bengio (AISTATS 2010) draw them."""
    uniform = torch.rand(members, fan_in, fan_out, generator=generator, dtype=torch.float64)
    return ((2 * uniform - 1) * math.sqrt(6 / (fan_in + fan_out))).requires_grad_()
