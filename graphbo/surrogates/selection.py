"""The choice among kernels by marginal likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from gpytorch.kernels import Kernel
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.surrogates.defaults import KernelFactory
from graphbo.surrogates.fitting import fit, log_likelihood
from graphbo.surrogates.graph_gp import GraphGP


class MostLikely:
    """The kernel under which the observations are the most likely, chosen anew at each fit.

    It stands wherever a surrogate takes a kernel: for the depth of Weisfeiler-Lehman subtrees, for
    instance, or the length of n-grams.

    Args:
        kernels: What is chosen from: factories, each of which makes an unfitted kernel.

    Raises:
        ValueError: If there is none.

    Example:
        >>> depth = MostLikely([weisfeiler_lehman(space, depth) for depth in range(4)])
        >>> optimizer = GraphBO(space, kernels=[depth])
    """

    def __init__(self, kernels: Sequence[KernelFactory]) -> None:
        if not kernels:
            raise ValueError("there must be at least one kernel to choose from")
        self.kernels = tuple(kernels)

    def fitted(self, X: Tensor, Y: Tensor, train: Sequence[Architecture]) -> GraphGP:
        """Return the model with the highest marginal likelihood, the first of equals.

        Args:
            X: `n x d` rows.
            Y: `n x 1` targets, about standardised.
            train: The architectures of the rows.
        """
        models = [fit(GraphGP(X, Y, kernel(train))) for kernel in self.kernels]
        with torch.no_grad():
            likelihoods = torch.stack([log_likelihood(model) for model in models])
        return models[int(likelihoods.argmax())]


def fitted(
    kernel: KernelFactory | MostLikely, X: Tensor, Y: Tensor, train: Sequence[Architecture]
) -> GraphGP:
    """Return a fitted model with a kernel; see `MostLikely.fitted`."""
    if isinstance(kernel, MostLikely):
        return kernel.fitted(X, Y, train)
    made: Kernel = kernel(train)
    return fit(GraphGP(X, Y, made))
