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
from graphbo.surrogates.model import ModelFactory, SurrogateModel
from graphbo.surrogates.prior import RowPredictor


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

    def fitted(
        self,
        X: Tensor,
        Y: Tensor,
        train: Sequence[Architecture],
        prior: RowPredictor | None = None,
    ) -> GraphGP:
        """Return the model with the highest marginal likelihood, the first of equals.

        Args:
            X: `n x d` rows.
            Y: `n x 1` targets, about standardised.
            train: The architectures of the rows.
            prior: What the models have as their prior; see `GraphGP`.
        """
        models = [fitted_process(X, Y, kernel(train), prior) for kernel in self.kernels]
        with torch.no_grad():
            likelihoods = torch.stack([log_likelihood(model) for model in models])
        return models[int(likelihoods.argmax())]


def fitted(
    kernel: KernelFactory | ModelFactory,
    X: Tensor,
    Y: Tensor,
    train: Sequence[Architecture],
    prior: RowPredictor | None = None,
) -> SurrogateModel:
    """Return a fitted model; see `ModelFactory.fitted`."""
    if isinstance(kernel, ModelFactory):
        given = {} if prior is None else {"prior": prior}
        return kernel.fitted(X, Y, train, **given)
    return fitted_process(X, Y, kernel(train), prior)


def fitted_process(
    X: Tensor, Y: Tensor, kernel: Kernel, prior: RowPredictor | None = None
) -> GraphGP:
    """Return a process with fitted hyperparameters; see `GraphGP` for the arguments."""
    model = GraphGP(X, Y, kernel, prior)
    if prior is not None and len(X) < 2:
        # One normal score is zero whatever was observed, and says nothing.
        return model.eval()
    return fit(model)
