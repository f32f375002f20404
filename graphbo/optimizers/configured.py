"""What optimisers need that know architectures by their configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from graphbo.errors import InputError
from graphbo.spaces.base import Column, Design, Row, SearchSpace
from graphbo.spaces.description import whole
from graphbo.spaces.joint_pool import JointPoolSpace

if TYPE_CHECKING:
    from ConfigSpace import Configuration


def configured(space: SearchSpace, optimizer: str) -> SearchSpace:
    """Return the space whose decisions describe the architectures of a space.

    It is the space itself, or the one that a pool is a part of.

    Args:
        space: The search space.
        optimizer: The name of the optimiser that asks.

    Raises:
        InputError: If there are no decisions.
    """
    described = whole(space)
    if not described.configurable or not (described.decisions or described.hyperparameters):
        raise InputError(
            f"{optimizer} reads the configuration of an architecture, and no ConfigSpace describes "
            f"the space {space.name}; take one of those that read the graph, such as graph-bo or "
            "regularized-evolution"
        )
    return described


class Configurations:
    """The rows and vectors of the designs of a space, and the way back.

    A vector has an entry for each decision and for each hyperparameter beside them; see `Column`.
    What is not in a pool stands for the member that is nearest to it, by edit distance and by the
    hyperparameters if there are any, so that whoever makes up rows can search a part of a space,
    too.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        optimizer: The name of the optimiser that asks.

    Attributes:
        decisions: The decisions that the rows consist of.
        columns: What the entries of the vectors stand for.

    Raises:
        InputError: If there are no decisions.
    """

    def __init__(self, space: SearchSpace, optimizer: str) -> None:
        self.space, self.described = space, configured(space, optimizer)
        self.decisions = self.described.decisions
        self._beside = self.described.hyperparameters
        self.columns = tuple(
            Column(each.name, len(each.choices), each.ordered, bool(each.conditions))
            for each in self.decisions
        )
        if self._beside is not None:
            self.columns += self._beside.columns
        self._nearest: dict[Design, Design] = {}

    def row(self, design: Design) -> Row:
        """Return the row of a design, that of the whole space if it is one of a pool."""
        if self.space is self.described:
            return design.row
        return self.described.encode(design.architecture)

    def design(self, row: Row, origin: str) -> Design | None:
        """Return what a row stands for; None if it encodes no architecture."""
        try:
            return self._member(self.described.design(row, origin), origin)
        except ValueError:
            return None

    def _member(self, design: Design, origin: str) -> Design:
        """Return what a design of the whole space stands for."""
        if self.space is self.described:
            return design
        if design not in self._nearest:
            self._nearest[design] = self._nearest_to(design)
        return self._nearest[design].described(origin)

    def _nearest_to(self, design: Design) -> Design:
        if isinstance(self.space, JointPoolSpace):
            return self.space.nearest(design)
        if design.architecture in self.space:
            return self.space.design_of(design.architecture)
        return self.space.neighbors(design)[0]

    def vector(self, design: Design) -> tuple[float, ...]:
        """Return the vector of a design."""
        beside = () if self._beside is None else self._beside.vector(design.hyperparameters)
        return (*self.row(design), *beside)

    def from_vector(self, vector: Sequence[float], origin: str) -> Design | None:
        """Return what a vector stands for; None if it encodes no architecture or is forbidden."""
        width = len(self.decisions)
        row = tuple(int(entry) for entry in vector[:width])
        if self._beside is None:
            return self.design(row, origin)
        values = self._beside.values(tuple(map(float, vector[width:])))
        if values is None or not self.described.is_valid(row):
            return None
        design = replace(self.described.design(row, origin), hyperparameters=values)
        return self._member(design, origin)

    def to_configuration(self, design: Design) -> Configuration:
        """Return the ``ConfigSpace.Configuration`` of a design."""
        return self.described.to_configuration(replace(design, row=self.row(design)))

    def from_configuration(self, configuration: Mapping[str, object], origin: str) -> Design | None:
        """Return what a configuration stands for; None if it encodes no architecture."""
        try:
            found = self.described.from_configuration(configuration, origin)
        except ValueError:
            return None
        return self._member(found, origin)
