"""The kernels that a space gets when the user names none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpytorch.kernels import Kernel

from graphbo.architecture import Architecture
from graphbo.kernels import (
    Decoder,
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
from graphbo.spaces.base import Row, SearchSpace

_MOST_DECODED = 200_000

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
    decoder = _SharedDecoder(space.decode)
    kernels = [weisfeiler_lehman(space, decoder=decoder), spectrum(space, decoder=decoder)]
    if space.operations:
        kernels.append(path_profile(space, decoder=decoder))
    if space.operations and space.aligned_positions and space.decisions:
        kernels.append(path_profile(space, positions=True, decoder=decoder))
    return kernels


def weisfeiler_lehman(
    space: SearchSpace, depth: int = 2, *, decoder: Decoder | None = None
) -> KernelFactory:
    """Return a squared exponential on unary-coded Weisfeiler-Lehman counts."""
    return _Counts(decoder or space.decode, WeisfeilerLehmanMap(depth))


def spectrum(space: SearchSpace, n: int = 3, *, decoder: Decoder | None = None) -> KernelFactory:
    """Return a squared exponential on unary-coded counts of the n-grams of paths."""
    return _Counts(decoder or space.decode, SpectrumMap(n))


def path_profile(
    space: SearchSpace, positions: bool = False, *, decoder: Decoder | None = None
) -> KernelFactory:
    """Return relevance determination over the profile of paths, and maybe over positions."""
    cardinalities = [len(decision.choices) for decision in space.decisions] if positions else []
    store = FeatureStore(decoder or space.decode, PathProfileMap(space.operations))
    return _PathProfile(store, cardinalities)


class _SharedDecoder:
    """Decodes each row once for all kernels, which then share what an architecture remembers."""

    def __init__(self, decode: Decoder) -> None:
        self.decode = decode
        self._known: dict[Row, Architecture] = {}

    def __call__(self, row: Row) -> Architecture:
        if row not in self._known:
            if len(self._known) >= _MOST_DECODED:
                self._known.clear()
            self._known[row] = self.decode(row)
        return self._known[row]

    def __reduce__(self) -> tuple[type[_SharedDecoder], tuple[Decoder]]:
        return _SharedDecoder, (self.decode,)


# Classes, where functions would do but for pickling.
class _Counts:
    def __init__(self, decoder: Decoder, feature_map: FeatureMap) -> None:
        self.store = FeatureStore(decoder, feature_map, unary=True)

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        return RBFFeatureKernel(self.store)


class _PathProfile:
    def __init__(self, store: FeatureStore, cardinalities: Sequence[int]) -> None:
        self.store = store
        self.cardinalities = cardinalities

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        profile = PathProfileKernel(self.store)
        if not self.cardinalities:
            return profile
        return JointKernel([OneHotKernel(self.cardinalities), profile])
