"""A finite pool of architectures with hyperparameters, such as a table of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbo.architecture import Architecture
from graphbo.edit_distance import EditDistances
from graphbo.errors import InputError
from graphbo.spaces.base import INACTIVE, Column, Design, Row
from graphbo.spaces.joint import JointSpace
from graphbo.spaces.pool import NEIGHBORS, WithoutConfigSpace


class JointPoolSpace(WithoutConfigSpace, JointSpace):
    """A finite part of a `JointSpace`: nothing else can be proposed.

    Rows are those of the whole space, whose ConfigSpace describes more than the pool: there is none
    here, and what an optimiser finds in that of the whole space stands for the `nearest` member.
    Moves go to what is near: the distance of two members is the edit distance of their
    architectures (`EditDistances`), and for each hyperparameter the share of its range by which
    they differ, or 1 for another choice and where it is active in one of them only.

    Args:
        designs: The members; equal ones are merged.
        parent: The space that they are from.
        name: The name of the space.

    Raises:
        InputError: If the pool is empty, or a member has hyperparameters that the space cannot
            have.
        ValueError: If the architecture of a member is not of the space.

    Example:
        >>> space = JointSpace(NASBench201Space(), ConfigurationSpace({"rate": (0.1, 1.0)}))
        >>> rng = np.random.default_rng(0)
        >>> JointPoolSpace([space.sample(rng) for _ in range(5)], space).size
        5
    """

    enumerable = True

    def __init__(
        self, designs: Iterable[Design], parent: JointSpace, name: str | None = None
    ) -> None:
        settings = parent.hyperparameters.configuration_space
        super().__init__(parent.architectures, settings, name or f"{parent.name}-pool")
        self.configurable = False  # though the architectures by themselves are
        self.parent = parent
        rows: dict[Architecture, Row] = {}
        members: dict[Design, None] = {}
        for design in designs:
            architecture = design.architecture.pruned()
            if architecture not in rows:
                rows[architecture] = parent.encode(architecture)
            values = parent.hyperparameters.read(design.hyperparameters)
            members[Design(architecture, rows[architecture], hyperparameters=values)] = None
        if not members:
            raise InputError(f"the pool {self.name} has no designs")
        self._members = tuple(members)

    def __repr__(self) -> str:
        return f"JointPoolSpace({len(self._members)} designs of {self.parent!r})"

    @property
    def size(self) -> int:
        """The number of members."""
        return len(self._members)

    def enumerate(self) -> tuple[Design, ...]:
        """Return all members."""
        return self._members

    def decode(self, row: Row) -> Architecture:
        """Return the architecture that a row encodes; that of some member."""
        return self._first_with(self.architectures.decode(row)).architecture

    def encode(self, architecture: Architecture) -> Row:
        """Return the canonical row of the architecture of some member."""
        return self._first_with(architecture).row

    def design(self, row: Sequence[int], origin: str = "") -> Design:
        """Return the first member with the architecture that a row encodes."""
        architecture = self.architectures.design(row).architecture
        return self._first_with(architecture).described(origin)

    def design_of(self, architecture: Architecture, origin: str = "") -> Design:
        """Return the first member with an architecture."""
        return self._first_with(architecture).described(origin)

    # Moves ----------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator) -> Design:
        """Draw a member uniformly."""
        return self._members[int(rng.integers(len(self._members)))]

    def neighbors(self, design: Design, exclude: Collection[Design] = ()) -> list[Design]:
        """Return the 24 nearest members, the nearest first.

        Args:
            design: The centre, which is left out; it need not be a member.
            exclude: Further designs to leave out, such as those already seen.
        """
        return self._nearest([design], [design, *exclude])

    def mutate(
        self, design: Design, rng: np.random.Generator, exclude: Collection[Design] = ()
    ) -> Design:
        """Draw one of the 24 members that are nearest and not excluded.

        Args:
            design: The parent.
            rng: The source of randomness.
            exclude: Designs to avoid; ignored if that leaves none.

        Returns:
            Another member; the parent itself only where the pool has no other.
        """
        near = self._nearest([design], [design, *exclude]) or self._nearest([design], [design])
        return near[int(rng.integers(len(near)))] if near else design

    def crossover(self, first: Design, second: Design, rng: np.random.Generator) -> Design:
        """Draw one of the 24 members with the smallest sum of distances to both parents.

        The parents themselves are left out; the first is returned where the pool has no other.
        """
        near = self._nearest([first, second], [first, second])
        return near[int(rng.integers(len(near)))] if near else first

    def nearest(self, design: Design) -> Design:
        """Return the member that is nearest to a design: the design itself if it is one."""
        if design in self._index:
            return self._members[self._index[design]]
        return self._nearest([design], [])[0]

    def _nearest(self, centres: Sequence[Design], left_out: Iterable[Design]) -> list[Design]:
        distances: NDArray[Any] = np.sum([self._distances(centre) for centre in centres], axis=0)
        gone = [self._index[design] for design in left_out if design in self._index]
        distances[gone] = np.inf
        order = np.lexsort((self._tie_break, distances))[:NEIGHBORS]
        return [self._members[i] for i in order if np.isfinite(distances[i])]

    def _distances(self, design: Design) -> NDArray[np.float64]:
        edits = self._edit_distances.distances(design.architecture)[self._number]
        vector = np.array(self.hyperparameters.vector(design.hyperparameters))
        beside = np.abs(self._vectors - vector) / self._scales
        beside = np.where(self._unordered, beside > 0, beside)
        one_inactive = (self._vectors == INACTIVE) != (vector == INACTIVE)
        distances: NDArray[np.float64] = edits + np.where(one_inactive, 1.0, beside).sum(axis=1)
        return distances

    # What is known of the members -----------------------------------------------------------

    def _first_with(self, architecture: Architecture) -> Design:
        found = self._first.get(architecture.pruned())
        if found is None:
            raise ValueError(f"{architecture!r} is not in the pool {self.name}")
        return found

    @cached_property
    def _first(self) -> dict[Architecture, Design]:
        return {design.architecture: design for design in reversed(self._members)}

    @cached_property
    def _index(self) -> dict[Design, int]:
        return {design: i for i, design in enumerate(self._members)}

    @cached_property
    def _edit_distances(self) -> EditDistances:
        return EditDistances(self._first)

    @cached_property
    def _number(self) -> NDArray[np.int64]:
        """Which of the distinct architectures each member has."""
        numbers = {architecture: i for i, architecture in enumerate(self._first)}
        return np.array([numbers[design.architecture] for design in self._members])

    @cached_property
    def _vectors(self) -> NDArray[np.float64]:
        members = self._members
        return np.array([self.hyperparameters.vector(d.hyperparameters) for d in members])

    @cached_property
    def _scales(self) -> NDArray[np.float64]:
        """The ranges of the entries of a vector."""
        return np.array([max(c.choices - 1, 1) for c in self.hyperparameters.columns], dtype=float)

    @cached_property
    def _unordered(self) -> NDArray[np.bool_]:
        return np.array([_is_unordered(column) for column in self.hyperparameters.columns])

    @cached_property
    def _tie_break(self) -> NDArray[np.int64]:
        # Which of equally near members comes first must not depend on the given order: tables are
        # often sorted by their results.
        return np.random.default_rng(0).permutation(len(self._members))

    @property
    def undescribed(self) -> str:
        """Why no ConfigSpace describes the pool."""
        return (
            f"the space {self.name} is a finite pool of {len(self._members)} designs, which no "
            f"ConfigSpace describes; that of the space {self.parent.name} describes more"
        )


def _is_unordered(column: Column) -> bool:
    return column.choices > 0 and not column.ordered
