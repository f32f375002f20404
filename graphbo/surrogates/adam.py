"""Adam, without what PyTorch imports for its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_TINY = 1e-8


class Adam:
    """Follows gradients with a step size for each weight.

    The first of PyTorch's optimisers to be made imports its compiler, which takes seconds.

    Reference: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Args:
        parameters: The weights, changed in place.
        learning_rate: The learning rate; it may be set to another one between steps.
        decays: How much of the averages of the gradient and its square a step keeps.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        learning_rate: float,
        decays: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self.decays = learning_rate, decays
        self._first = [torch.zeros_like(each, requires_grad=False) for each in self.parameters]
        self._second = [torch.zeros_like(each, requires_grad=False) for each in self.parameters]
        self._steps = 0

    def step(self, loss: Tensor) -> None:
        """Make one step down the gradient of a loss; weights it does not use have a zero one."""
        gradients = torch.autograd.grad(
            loss, self.parameters, allow_unused=True, materialize_grads=True
        )
        self._steps += 1
        scales = [1 - decay**self._steps for decay in self.decays]
        with torch.no_grad():
            for parameter, gradient, first, second in zip(
                self.parameters, gradients, self._first, self._second, strict=True
            ):
                first.lerp_(gradient, 1 - self.decays[0])
                second.lerp_(gradient.square(), 1 - self.decays[1])
                root = (second / scales[1]).sqrt_().add_(_TINY)
                parameter.addcdiv_(first, root, value=-self.learning_rate / scales[0])
