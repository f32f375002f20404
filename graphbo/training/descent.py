"""Steps of gradient descent of many networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from graphbo.training.program import Program
from graphbo.training.recipe import Recipe


class Descent(Protocol):
    """Follows the gradients of all networks, as `torch.optim.SGD` does."""

    def step(self, weights: Tensor, gradients: Tensor, momentum: Tensor, share: float) -> None:
        """Take a step.

        Args:
            weights: The weights of all networks; they are changed, and so is the momentum.
            gradients: Their gradients.
            momentum: What is remembered of earlier ones.
            share: What the schedule leaves of the learning rates.
        """


@dataclass(frozen=True)
class _Shared:
    """One learning rate, weight decay and momentum for all networks."""

    learning_rate: float
    weight_decay: float
    momentum: float

    def step(self, weights: Tensor, gradients: Tensor, momentum: Tensor, share: float) -> None:
        direction = gradients.add(weights, alpha=self.weight_decay)
        if self.momentum:
            momentum.mul_(self.momentum).add_(direction)
            direction = direction.add(momentum, alpha=self.momentum)
        weights.add_(direction, alpha=-self.learning_rate * share)


@dataclass(frozen=True, eq=False)
class _Own:
    """A learning rate, weight decay and momentum for each weight."""

    learning_rate: Tensor
    weight_decay: Tensor
    momentum: Tensor

    def step(self, weights: Tensor, gradients: Tensor, momentum: Tensor, share: float) -> None:
        direction = gradients.addcmul(weights, self.weight_decay)
        momentum.mul_(self.momentum).add_(direction)
        direction.addcmul_(momentum, self.momentum)
        weights.addcmul_(direction, self.learning_rate, value=-share)


def descent(recipes: Sequence[Recipe], program: Program) -> Descent:
    """Return how the networks of a program descend.

    Args:
        recipes: The recipe of each network; the learning rates, weight decays and momenta count.
        program: Its weights are laid out as those that will be changed.
    """
    settings = [(each.learning_rate, each.weight_decay, each.momentum) for each in recipes]
    if len(set(settings)) == 1:
        return _Shared(*settings[0])
    parts = [torch.zeros_like(program.weights) for _ in range(3)]
    for member, values in enumerate(settings):
        for part, value in zip(parts, values, strict=True):
            for view in program.views(member, part).values():
                view.fill_(value)
    return _Own(*parts)
