"""Embeddings as surrogates take them: frozen, by row, and with a name."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from itertools import count, islice, product

import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.kernels import Decoder, Embedding, EmbeddingStore, path_counts
from graphbo.spaces.base import INACTIVE, SearchSpace


class Frozen:
    """A module as it is now, in double precision and without gradients.

    Args:
        module: From architectures to vectors, such as an encoder; it is copied.

    Attributes:
        name: The name of the module, with a fingerprint of its weights.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).double().eval().requires_grad_(False)
        self.name = module_name(module)

    @torch.no_grad()
    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return the vectors of architectures, `n x dim`."""
        vectors: Tensor = self.module(architectures)
        return vectors


class PathEncoding:
    """Says of every operation sequence whether a path from the input to the output has it.

    The sequences are the shortest ones: fewer operations first, then in the order of the
    operations. Longer ones are left out.

    Reference: White et al., "BANANAS: Bayesian optimization with neural architectures for neural
    architecture search", AAAI 2021, whose truncated path encoding it is.

    Args:
        operations: The operations of the space.
        paths: The largest number of sequences; 40 as in the paper by default.
        max_length: The most operations that a path of the space can have, if known: there are no
            longer sequences.
        ports: Labels that are left out of paths; see `SearchSpace.ports`.

    Raises:
        ValueError: If there is no operation, or a number is less than 1.

    Example:
        >>> PathEncoding(["a", "b"], 4).names
        ('', '/a', '/b', '/a/a')
    """

    def __init__(
        self,
        operations: Sequence[str],
        paths: int = 40,
        max_length: int | None = None,
        ports: Sequence[str] = (),
    ) -> None:
        if not operations or paths < 1 or (max_length is not None and max_length < 1):
            raise ValueError(
                "a path encoding needs at least one operation, one path and one operation a path; "
                f"got {list(operations)}, {paths} and {max_length}"
            )
        self.name = "paths"
        self.ports = tuple(ports)
        chains = (
            Architecture(["input", *labels, "output"], [(i, i + 1) for i in range(len(labels) + 1)])
            for labels in islice(_sequences(operations, max_length), paths)
        )
        # As `path_counts` writes them, so that strange labels are escaped alike.
        self.names = tuple(name for each in chains for name in path_counts(each))
        self._position = {name: i for i, name in enumerate(self.names)}

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return ones and zeros, `n x paths`."""
        code = torch.zeros(len(architectures), len(self.names), dtype=torch.float64)
        for i, architecture in enumerate(architectures):
            found = path_counts(architecture.operations_on_nodes(), contract=self.ports)
            code[i, [self._position[name] for name in found if name in self._position]] = 1
        return code


class OneHotEncoding:
    """Says of every choice of every decision whether the canonical row of an architecture has it.

    This is how an optimiser that knows nothing of graphs sees a configuration. An inactive decision
    has no hot entry.

    Args:
        space: The space whose decisions are meant.

    Raises:
        ValueError: If the space has no decisions.

    Example:
        >>> space = ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16])
        >>> OneHotEncoding(space).dim
        10
    """

    def __init__(self, space: SearchSpace) -> None:
        if not space.decisions:
            raise ValueError(f"the space {space.name} has no decisions to encode")
        self.name = "one-hot"
        self.space = space
        sizes = [len(decision.choices) for decision in space.decisions]
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self.dim = sum(sizes)

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return ones and zeros, `n x dim`."""
        code = torch.zeros(len(architectures), self.dim, dtype=torch.float64)
        for i, architecture in enumerate(architectures):
            row = self.space.encode(architecture)
            hot = [s + c for s, c in zip(self._starts, row, strict=True) if c != INACTIVE]
            code[i, hot] = 1
        return code


def embedding_store(decoder: Decoder, embedding: Embedding) -> EmbeddingStore:
    """Return the vectors of rows; modules are frozen first."""
    return EmbeddingStore(decoder, frozen(embedding))


def frozen(embedding: Embedding) -> Embedding:
    """Return a module as a function that stays what it is, and functions as they are."""
    return Frozen(embedding) if isinstance(embedding, nn.Module) else embedding


def module_name(module: nn.Module) -> str:
    """Return the name of a module, with eight hexadecimal digits that depend on its weights."""
    digest = hashlib.blake2b(digest_size=4)
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return f"{name_of(module)}-{digest.hexdigest()}"


def name_of(thing: object) -> str:
    """Return what a study calls a kernel, an embedding or a predictor.

    Its ``name`` if it has one, that of a function, or else that of its type.
    """
    for attribute in ("name", "__name__"):
        name = getattr(thing, attribute, None)
        if isinstance(name, str):
            return name
    return type(thing).__name__


def _sequences(operations: Sequence[str], max_length: int | None) -> Iterator[tuple[str, ...]]:
    """Yield the sequences of operations, the shortest first."""
    for length in count() if max_length is None else range(max_length + 1):
        yield from product(operations, repeat=length)
