"""Bayesian optimisation that sees configurations, and no graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphbo.optimizers.configured import configured
from graphbo.optimizers.graph_bo import GraphBO
from graphbo.spaces.base import SearchSpace

if TYPE_CHECKING:
    from gpytorch.kernels import Kernel

    from graphbo.architecture import Architecture


class OneHotGP(GraphBO):
    """The loop of `GraphBO` with a Matern kernel on the one-hot code of the configuration.

    The ablation that tells what reading the graph adds: candidates, transform of the values,
    hyperparameter fits and acquisition are those of `GraphBO`; only the kernel is another one, with
    smoothness 5/2 and a length-scale for each choice of each decision. Isomorphic architectures
    share one code, that of their canonical row.

    Reference: Snoek et al., "Practical Bayesian optimization of machine learning algorithms",
    NeurIPS 2012, whose Spearmint samples hyperparameters where these are fitted.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        seed: The seed of all randomness.
        initial: How many random designs come first.
        acquisition: One of ``graphbo.acquisition.ACQUISITIONS``.

    Raises:
        InputError: If no configuration describes the architectures, or a setting cannot be used.
    """

    name = "one-hot-gp"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 5,
        acquisition: str = "logei",
    ) -> None:
        # Without decisions there are hyperparameters, which the surrogate has a kernel for.
        kernels = [_OneHot(space)] if configured(space, self.name).decisions else []
        super().__init__(
            space, seed=seed, initial=initial, kernels=kernels, acquisition=acquisition
        )
        self.settings = {"initial": initial, "acquisition": acquisition}


# A class, where a function would do but for pickling.
class _OneHot:
    def __init__(self, space: SearchSpace) -> None:
        from graphbo.kernels import EmbeddingStore
        from graphbo.surrogates import OneHotEncoding

        self.encoding = OneHotEncoding(configured(space, OneHotGP.name))
        self.store = EmbeddingStore(space.decode, self.encoding)

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        from graphbo.kernels import MaternEmbeddingKernel

        return MaternEmbeddingKernel(self.store, self.encoding.dim)
