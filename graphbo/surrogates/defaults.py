"""The kernels that a space gets when the user names none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpytorch.kernels import Kernel, ProductKernel

from graphbo.architecture import Architecture
from graphbo.kernels import (
    FeatureStore,
    OneHotKernel,
    PathKernel,
    PathMap,
    RBFFeatureKernel,
    WeisfeilerLehmanMap,
    path_vocabulary,
)
from graphbo.spaces.base import SearchSpace

KernelFactory = Callable[[Sequence[Architecture]], Kernel]
"""Makes an unfitted kernel, given the architectures that it will be fitted on."""


def default_kernels(space: SearchSpace) -> list[KernelFactory]:
    """Return the kernels for a space, one for each Gaussian process of its surrogate.

    Every space gets a squared exponential on Weisfeiler-Lehman counts. A space with aligned
    positions gets a second model, with automatic relevance determination over the one-hot code of
    its decisions and over input-output paths: it knows where an operation stands, which
    isomorphism hides from the first.

    Args:
        space: The search space; only its declared properties matter.
    """
    kernels = [weisfeiler_lehman(space)]
    if space.aligned_positions and space.decisions:
        kernels.append(positions_and_paths(space))
    return kernels


def weisfeiler_lehman(space: SearchSpace, depth: int = 2) -> KernelFactory:
    """Return a squared exponential on unary-coded Weisfeiler-Lehman counts."""
    return _WeisfeilerLehman(FeatureStore(space.decode, WeisfeilerLehmanMap(depth), unary=True))


def positions_and_paths(space: SearchSpace) -> KernelFactory:
    """Return a product of relevance determinations over positions and over paths."""
    cardinalities = [len(decision.choices) for decision in space.decisions]
    return _PositionsAndPaths(FeatureStore(space.decode, PathMap()), cardinalities)


# Classes, where functions would do but for pickling.
class _WeisfeilerLehman:
    def __init__(self, store: FeatureStore) -> None:
        self.store = store

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        return RBFFeatureKernel(self.store)


class _PositionsAndPaths:
    def __init__(self, store: FeatureStore, cardinalities: Sequence[int]) -> None:
        self.store = store
        self.cardinalities = cardinalities
        self.paths: dict[Architecture, list[str]] = {}

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        for architecture in train:
            if architecture not in self.paths:
                self.paths[architecture] = path_vocabulary([architecture])
        vocabulary = {path for architecture in train for path in self.paths[architecture]}
        return ProductKernel(OneHotKernel(self.cardinalities), PathKernel(self.store, vocabulary))
