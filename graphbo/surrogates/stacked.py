"""Small networks of one shape, trained side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from graphbo.surrogates.adam import Adam


class StackedNetworks:
    """Fully connected networks whose weights are stacked, so that they are one batched program.

    Inputs are centred and scaled by those that the networks were trained on.

    Attributes:
        weights: For each layer `members x inputs x outputs`.
        biases: For each layer `members x 1 x outputs`.
    """

    def __init__(self, centre: Tensor, scale: Tensor, flat: Tensor, sizes: Sequence[int]) -> None:
        self.centre, self.scale = centre, scale
        self.weights, self.biases = _layers(flat, sizes)

    def hidden(self, inputs: Tensor) -> Tensor:
        """Return the last hidden layer of each member, `members x n x width`, for `n x d`."""
        scaled = (inputs - self.centre) / self.scale
        return _hidden(scaled, self.weights, self.biases)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the outputs of each member, `members x n`, for `n x d` inputs."""
        outputs = torch.baddbmm(self.biases[-1], self.hidden(inputs), self.weights[-1])
        return outputs.squeeze(-1)


def train_networks(
    inputs: Tensor,
    targets: Tensor,
    *,
    width: int,
    depth: int,
    seed: int,
    steps: int,
    learning_rate: float = 0.01,
    decay: float = 1e-4,
) -> StackedNetworks:
    """Train networks with tanh units, which differ by their initial weights only.

    Each minimises its mean squared error plus ``decay`` times the squared norm of its weights, by
    Adam on all data at once, with a learning rate that falls to zero like a cosine.

    Args:
        inputs: `n x d`, float64.
        targets: `members x n`.
        width: The number of units of each hidden layer.
        depth: The number of hidden layers, at least 1.
        seed: The seed of the initial weights.
        steps: The number of steps.
        learning_rate: The learning rate of the first step.
        decay: The weight of the squared weights.
    """
    members, sizes = len(targets), [inputs.shape[-1], *[width] * depth, 1]
    centre = inputs.mean(0)
    scale = (inputs - centre).square().mean(0).sqrt()
    # What hardly varied in training is not blown up, and what did not vary at all stays.
    scale = scale.clamp_min(0.1 * scale.square().mean().sqrt().item())
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    scaled = (inputs - centre) / scale
    flat = _initial(members, sizes, seed).to(inputs).requires_grad_()
    adam = Adam([flat], learning_rate)
    with threadpool_limits(1):  # threads that wait for each other take longer than these matrices
        for step in range(steps):
            weights, biases = _layers(flat, sizes)
            outputs = torch.baddbmm(biases[-1], _hidden(scaled, weights, biases), weights[-1])
            error = (outputs.squeeze(-1) - targets).square().mean(-1).sum()
            adam.learning_rate = 0.5 * learning_rate * (1 + math.cos(math.pi * step / steps))
            adam.step(error + decay * flat.square().sum())
    return StackedNetworks(centre, scale, flat.detach(), sizes)


def _initial(members: int, sizes: Sequence[int], seed: int) -> Tensor:
    """Return random weights of the scale of Glorot and Bengio (AISTATS 2010), and zero biases."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for fan_in, fan_out in pairwise(sizes):
        normal = torch.randn(members, fan_in * fan_out, generator=generator, dtype=torch.float64)
        zeros = torch.zeros(members, fan_out, dtype=torch.float64)
        parts += [normal * math.sqrt(2 / (fan_in + fan_out)), zeros]
    return torch.cat(parts, dim=1)


def _layers(flat: Tensor, sizes: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
    weights, biases, start = [], [], 0
    for fan_in, fan_out in pairwise(sizes):
        middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
        weights.append(flat[:, start:middle].reshape(-1, fan_in, fan_out))
        biases.append(flat[:, middle:end].unsqueeze(1))
        start = end
    return weights, biases


def _hidden(scaled: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    h = scaled.expand(len(weights[0]), *scaled.shape)
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        h = torch.baddbmm(bias, h, weight).tanh()
    return h
