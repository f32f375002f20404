"""The kernels that a space gets when the user names none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpytorch.kernels import Kernel

from graphbo.architecture import Architecture
from graphbo.kernels import (
    FeatureMap,
    FeatureStore,
    JointKernel,
    OneHotKernel,
    PathProfileKernel,
    PathProfileMap,
    RBFFeatureKernel,
    SpectrumMap,
    WeisfeilerLehmanMap,
)
from graphbo.spaces.base import SearchSpace

KernelFactory = Callable[[Sequence[Architecture]], Kernel]
"""Makes an unfitted kernel, given the architectures that it will be fitted on."""


def default_kernels(space: SearchSpace) -> list[KernelFactory]:
    """Return the kernels for a space, one for each Gaussian process of its surrogate.

    Every space gets three squared exponentials: on Weisfeiler-Lehman counts, a graph kernel; on
    the n-grams of its input-output paths, a string kernel; and, with relevance determination, on a
    profile of these paths. A space with aligned positions gets a fourth, on the profile and the
    one-hot code of its decisions: it knows where an operation stands, which isomorphism hides from
    the others. ``benchmarks/ablation.py`` measures what each adds.

    Args:
        space: The search space; only its declared properties matter.
    """
    kernels = [weisfeiler_lehman(space), spectrum(space)]
    if space.operations:
        kernels.append(path_profile(space))
    if space.operations and space.aligned_positions and space.decisions:
        kernels.append(path_profile(space, positions=True))
    return kernels


def weisfeiler_lehman(space: SearchSpace, depth: int = 2) -> KernelFactory:
    """Return a squared exponential on unary-coded Weisfeiler-Lehman counts."""
    return _Counts(space, WeisfeilerLehmanMap(depth))


def spectrum(space: SearchSpace, n: int = 3) -> KernelFactory:
    """Return a squared exponential on unary-coded counts of the n-grams of paths."""
    return _Counts(space, SpectrumMap(n))


def path_profile(space: SearchSpace, positions: bool = False) -> KernelFactory:
    """Return relevance determination over the profile of paths, and maybe over positions."""
    cardinalities = [len(decision.choices) for decision in space.decisions] if positions else []
    return _PathProfile(space, cardinalities)


# Classes, where functions would do but for pickling.
class _Counts:
    def __init__(self, space: SearchSpace, feature_map: FeatureMap) -> None:
        self.store = FeatureStore(space.decode, feature_map, unary=True)

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        return RBFFeatureKernel(self.store)


class _PathProfile:
    def __init__(self, space: SearchSpace, cardinalities: Sequence[int]) -> None:
        self.store = FeatureStore(space.decode, PathProfileMap(space.operations))
        self.cardinalities = cardinalities

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        profile = PathProfileKernel(self.store)
        if not self.cardinalities:
            return profile
        return JointKernel([OneHotKernel(self.cardinalities), profile])
