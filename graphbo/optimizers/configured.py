"""What optimisers need that know architectures by their configurations only."""

from __future__ import annotations

from graphbo.errors import InputError
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.description import whole


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
