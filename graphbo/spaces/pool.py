"""A finite pool of architectures, such as a table that covers only part of its space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.edit_distance import EditDistances
from graphbo.errors import InputError
from graphbo.spaces.base import Design, Row, SearchSpace

if TYPE_CHECKING:
    from ConfigSpace import Configuration, ConfigurationSpace

NEIGHBORS = 24


class WithoutConfigSpace(SearchSpace):
    """A space that no ConfigSpace describes: whatever has to do with one is refused."""

    configurable = False

    @property
    @abstractmethod
    def undescribed(self) -> str:
        """Why there is none, and what follows."""

    @cached_property
    def configuration_space(self) -> ConfigurationSpace:
        """Not available.

        Raises:
            InputError: Always.
        """
        self._refuse()

    def to_configuration(self, design: Design) -> Configuration:
        """Not available; raises `InputError`."""
        self._refuse()

    def from_configuration(self, configuration: Mapping[str, object], origin: str = "") -> Design:
        """Not available; raises `InputError`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InputError(self.undescribed)


class PoolSpace(WithoutConfigSpace):
    """A finite pool of architectures: nothing else can be proposed.

    A row is the index of the architecture in the pool. There are no decisions and hence there is no
    ConfigSpace; neighbours, mutations and crossovers are found by edit distance (`EditDistances`).

    Args:
        architectures: The members; they are pruned, and isomorphic ones are merged.
        name: The name of the space.
        parent: The space that the pool is a part of, if any.

    Raises:
        InputError: If the pool is empty.

    Example:
        >>> chain = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
        >>> PoolSpace([chain]).size
        1
    """

    def __init__(
        self,
        architectures: Iterable[Architecture],
        name: str = "pool",
        parent: SearchSpace | None = None,
    ) -> None:
        self.name = name
        self.parent = parent
        self.architectures = tuple(dict.fromkeys(a.pruned() for a in architectures))
        if not self.architectures:
            raise InputError(f"the pool {name} has no architectures")
        self.decisions = ()
        self.chain = parent is not None and parent.chain
        self.ports = () if parent is None else parent.ports
        self.aliases = {} if parent is None else dict(parent.aliases)
        labels = set().union(*map(operations_of, self.architectures))
        self.operations = tuple(sorted(labels - {*self.ports}))

    def __repr__(self) -> str:
        return f"PoolSpace({len(self.architectures)} architectures, name={self.name!r})"

    @property
    def size(self) -> int:
        """The number of architectures in the pool."""
        return len(self.architectures)

    def decode(self, row: Row) -> Architecture:
        """Return the architecture with an index."""
        return self.architectures[self._activated(row)[0]]

    def encode(self, architecture: Architecture) -> Row:
        """Return the index of an architecture."""
        index = self._index.get(architecture.pruned())
        if index is None:
            raise ValueError(f"{architecture!r} is not in the pool {self.name}")
        return (index,)

    def sample(self, rng: np.random.Generator) -> Design:
        """Draw a member uniformly."""
        return self._all_designs[int(rng.integers(len(self.architectures)))]

    def neighbors(self, design: Design, exclude: Collection[Design] = ()) -> list[Design]:
        """Return the 24 members that are nearest by edit distance, the nearest first.

        Args:
            design: The centre, which is left out; it need not be a member.
            exclude: Further designs to leave out, such as those already seen.
        """
        allowed = self._all_but([design, *exclude])
        found, _ = self._edit_distances.nearest([design.architecture], NEIGHBORS, allowed)
        return [self._all_designs[i] for i in found[:NEIGHBORS]]

    def mutate(
        self, design: Design, rng: np.random.Generator, exclude: Collection[Design] = ()
    ) -> Design:
        """Draw one of the members that are nearest by edit distance and not excluded.

        Args:
            design: The parent.
            rng: The source of randomness.
            exclude: Designs to avoid; ignored if that leaves none.

        Returns:
            Another member; the parent itself only where the pool has no other.
        """
        for left_out in ([design, *exclude], [design]):
            allowed = self._all_but(left_out)
            if allowed.any():
                return self._draw_nearest([design.architecture], allowed, rng)
        return design

    def crossover(self, first: Design, second: Design, rng: np.random.Generator) -> Design:
        """Draw one of the members with the smallest sum of edit distances to both parents.

        The parents themselves are left out; the first is returned where the pool has no other.
        """
        parents = [first.architecture, second.architecture]
        allowed = self._all_but([first, second])
        return self._draw_nearest(parents, allowed, rng) if allowed.any() else first

    def _draw_nearest(
        self, centres: Sequence[Architecture], allowed: NDArray[Any], rng: np.random.Generator
    ) -> Design:
        found, distances = self._edit_distances.nearest(centres, 1, allowed)
        ties = found[distances == distances[0]]
        return self._all_designs[int(ties[rng.integers(len(ties))])]

    @cached_property
    def _all_designs(self) -> tuple[Design, ...]:
        return tuple(Design(a, (i,)) for i, a in enumerate(self.architectures))

    @cached_property
    def _index(self) -> dict[Architecture, int]:
        return {architecture: i for i, architecture in enumerate(self.architectures)}

    @cached_property
    def _edit_distances(self) -> EditDistances:
        return EditDistances(self.architectures)

    def _all_but(self, left_out: Iterable[Design]) -> NDArray[Any]:
        allowed = np.ones(len(self.architectures), bool)
        found = (self._index.get(design.architecture) for design in left_out)
        allowed[[index for index in found if index is not None]] = False
        return allowed

    def _activated(self, row: Sequence[int]) -> Row:
        if len(row) != 1 or not 0 <= row[0] < len(self.architectures):
            raise ValueError(
                f"a row of the pool {self.name} is an index from 0 to "
                f"{len(self.architectures) - 1}; got {tuple(row)}"
            )
        return (int(row[0]),)

    @property
    def undescribed(self) -> str:
        """Why no ConfigSpace describes the pool."""
        return (
            f"the space {self.name} is a finite pool of {len(self.architectures)} architectures, "
            "which no ConfigSpace describes; optimizers that see only ConfigSpace do not apply"
        )


def operations_of(architecture: Architecture) -> set[str]:
    """Return the labels of an architecture's layers."""
    labels = {*architecture.nodes, *(label for _, _, label in architecture.edges)}
    return labels - {INPUT, OUTPUT, ""}
