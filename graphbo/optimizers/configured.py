"""What optimisers need that know architectures by their configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Design, Row, SearchSpace
from graphbo.spaces.description import whole

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
    if not described.decisions:
        raise InputError(
            f"{optimizer} reads the configuration of an architecture, and no ConfigSpace describes "
            f"the space {space.name}; take one of those that read the graph, such as graph-bo or "
            "regularized-evolution"
        )
    return described


class Configurations:
    """The rows of the architectures of a space, and the way back.

    A row whose architecture is not in a pool stands for the member that is nearest to it by edit
    distance, so that whoever makes up rows can search a part of a space, too.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        optimizer: The name of the optimiser that asks.

    Attributes:
        decisions: The decisions that the rows consist of.

    Raises:
        InputError: If there are no decisions.
    """

    def __init__(self, space: SearchSpace, optimizer: str) -> None:
        self.space, self.described = space, configured(space, optimizer)
        self.decisions = self.described.decisions
        self._nearest: dict[Architecture, Design] = {}

    def row(self, design: Design) -> Row:
        """Return the row of a design, that of the whole space if it is one of a pool."""
        if self.space is self.described:
            return design.row
        return self.described.encode(design.architecture)

    def design(self, row: Row, origin: str) -> Design | None:
        """Return what a row stands for; None if it encodes no architecture."""
        try:
            design = self.described.design(row, origin)
        except ValueError:
            return None
        if self.space is self.described:
            return design
        if design.architecture in self.space:
            return self.space.design_of(design.architecture, origin)
        if design.architecture not in self._nearest:
            self._nearest[design.architecture] = self.space.neighbors(design)[0]
        return self._nearest[design.architecture].described(origin)

    def to_configuration(self, design: Design) -> Configuration:
        """Return the ``ConfigSpace.Configuration`` of a design."""
        return self.described.to_configuration(replace(design, row=self.row(design)))

    def from_configuration(self, configuration: Mapping[str, object], origin: str) -> Design | None:
        """Return what a configuration stands for; None if it encodes no architecture."""
        try:
            row = self.described.from_configuration(configuration).row
        except ValueError:
            return None
        return self.design(row, origin)
