"""The kernels that a space gets when the user names none."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce

from gpytorch.kernels import Kernel

from graphbo.architecture import Architecture
from graphbo.kernels import (
    Decoder,
    Embedding,
    EmbeddingKernel,
    EmbeddingStore,
    FeatureMap,
    FeatureStore,
    JointKernel,
    MaternEmbeddingKernel,
    OneHotKernel,
    PathProfileKernel,
    PathProfileMap,
    RBFFeatureKernel,
    RelabelledMap,
    SpectrumMap,
    WeisfeilerLehmanMap,
)
from graphbo.spaces.base import Column, Row, SearchSpace
from graphbo.surrogates.column_features import HyperparameterFeatures
from graphbo.surrogates.embedded import embedding_store, name_of

_MOST_DECODED = 200_000

KernelFactory = Callable[[Sequence[Architecture]], Kernel]
"""Makes an unfitted kernel, given the architectures that it will be fitted on."""


def default_kernels(space: SearchSpace) -> list[KernelFactory]:
    """Return the kernels for a space, one for each Gaussian process of its surrogate.

    Every space gets three squared exponentials: on Weisfeiler-Lehman counts, a graph kernel; on
    the n-grams of its input-output paths, a string kernel; and, with relevance determination, on a
    profile of these paths. A space with aligned positions gets a fourth, on the profile and the
    one-hot code of its decisions: it knows where an operation stands, which isomorphism hides from
    the others. A space with the same operations in several parts gets one more, on
    Weisfeiler-Lehman counts without the names of the parts, so that what is learnt of an operation
    in one serves the others. A space all of whose decisions have an order gets one more, a Matern
    kernel on their places in it: it knows that two numbers are close, where graphs have other
    labels or not. ``benchmarks/ablation.py`` and ``benchmarks/part_blind.py`` measure what the
    first five add.

    Args:
        space: The search space; only its declared properties matter.
    """
    decoder = SharedDecoder(space.decode)
    kernels = [weisfeiler_lehman(space, decoder=decoder), spectrum(space, decoder=decoder)]
    if space.operations:
        kernels.append(path_profile(space, decoder=decoder))
    if space.operations and space.aligned_positions and space.decisions:
        kernels.append(path_profile(space, positions=True, decoder=decoder))
    if space.aliases:
        kernels.append(part_blind(space, decoder=decoder))
    if space.decisions and all(decision.ordered for decision in space.decisions):
        kernels.append(ordered_decisions(space))
    return kernels


def weisfeiler_lehman(
    space: SearchSpace, depth: int = 2, *, decoder: Decoder | None = None
) -> KernelFactory:
    """Return a squared exponential on unary-coded Weisfeiler-Lehman counts."""
    feature_map = WeisfeilerLehmanMap(depth)
    return _Counts(decoder or space.decode, feature_map, f"weisfeiler_lehman({depth})")


def part_blind(
    space: SearchSpace, depth: int = 2, *, decoder: Decoder | None = None
) -> KernelFactory:
    """Return that of `weisfeiler_lehman` on labels without the parts in which they stand."""
    feature_map = RelabelledMap(WeisfeilerLehmanMap(depth), space.aliases)
    return _Counts(decoder or space.decode, feature_map, f"part_blind({depth})")


def spectrum(space: SearchSpace, n: int = 3, *, decoder: Decoder | None = None) -> KernelFactory:
    """Return a squared exponential on unary-coded counts of the n-grams of paths."""
    return _Counts(decoder or space.decode, SpectrumMap(n), f"spectrum({n})")


def path_profile(
    space: SearchSpace, positions: bool = False, *, decoder: Decoder | None = None
) -> KernelFactory:
    """Return relevance determination over the profile of paths, and maybe over positions."""
    cardinalities = [len(decision.choices) for decision in space.decisions] if positions else []
    store = FeatureStore(decoder or space.decode, PathProfileMap(space.operations, space.ports))
    return _PathProfile(store, cardinalities)


def ordered_decisions(space: SearchSpace) -> KernelFactory:
    """Return a Matern kernel on the places of a row's choices, with a length-scale for each.

    Args:
        space: The search space. Rows should be canonical, so that equal architectures are equal.
    """
    return _Ordered(
        [
            Column(
                decision.name, len(decision.choices), decision.ordered, bool(decision.conditions)
            )
            for decision in space.decisions
        ]
    )


def embedding(
    space: SearchSpace, embedding: Embedding, ard: bool = False, *, decoder: Decoder | None = None
) -> KernelFactory:
    """Return a squared exponential on the vectors that an embedding gives architectures.

    Args:
        space: The search space.
        embedding: From architectures to vectors; picklable. A module is frozen as it is.
        ard: Whether each coordinate has a length-scale of its own.
        decoder: From a row to its architecture; by default that of the space.
    """
    return _Embedding(embedding_store(decoder or SharedDecoder(space.decode), embedding), ard)


def product_of(*factories: KernelFactory) -> KernelFactory:
    """Return the product of the kernels that some factories make.

    Example:
        >>> kernel = product_of(weisfeiler_lehman(space), embedding(space, encoder))
    """
    return _Combined(factories, operator.mul, "product_of")


def sum_of(*factories: KernelFactory) -> KernelFactory:
    """Return the sum, in equal parts, of the kernels that some factories make."""
    return _Combined(factories, operator.add, "sum_of")


class SharedDecoder:
    """Decodes each row once for all kernels, which then share what an architecture remembers."""

    def __init__(self, decode: Decoder) -> None:
        self.decode = decode
        self._known: dict[Row, Architecture] = {}

    def __call__(self, row: Row) -> Architecture:
        """Return the architecture of a row."""
        if row not in self._known:
            if len(self._known) >= _MOST_DECODED:
                self._known.clear()
            self._known[row] = self.decode(row)
        return self._known[row]

    def __reduce__(self) -> tuple[type[SharedDecoder], tuple[Decoder]]:
        return SharedDecoder, (self.decode,)


# Classes, where functions would do but for pickling.
class _Counts:
    def __init__(self, decoder: Decoder, feature_map: FeatureMap, name: str) -> None:
        self.store = FeatureStore(decoder, feature_map, unary=True)
        self.name = name

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        return RBFFeatureKernel(self.store)


class _PathProfile:
    def __init__(self, store: FeatureStore, cardinalities: Sequence[int]) -> None:
        self.store = store
        self.cardinalities = cardinalities
        self.name = f"path_profile({'positions' if cardinalities else ''})"

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        profile = PathProfileKernel(self.store)
        if not self.cardinalities:
            return profile
        return JointKernel([OneHotKernel(self.cardinalities), profile])


class _Ordered:
    def __init__(self, columns: Sequence[Column]) -> None:
        self.features = HyperparameterFeatures(columns)
        self.name = "ordered_decisions"

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        return MaternEmbeddingKernel(self.features, self.features.dim)


class _Embedding:
    def __init__(self, store: EmbeddingStore, ard: bool) -> None:
        self.store, self.ard = store, ard
        self.name = f"embedding({name_of(store.embedding)}{', ard' if ard else ''})"

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        dim = self.store.embedding(train[:1]).shape[-1] if self.ard else 1
        return EmbeddingKernel(self.store, dim)


class _Combined:
    def __init__(
        self,
        factories: Sequence[KernelFactory],
        combine: Callable[[Kernel, Kernel], Kernel],
        name: str,
    ) -> None:
        self.factories, self.combine = tuple(factories), combine
        self.name = f"{name}({', '.join(map(name_of, factories))})"

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        return reduce(self.combine, [factory(train) for factory in self.factories])
