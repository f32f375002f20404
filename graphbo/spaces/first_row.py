"""Spaces whose decisions cannot be read off an architecture."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from graphbo.architecture import Architecture
from graphbo.spaces.base import Design, Row, SearchSpace


class FirstRowSpace(SearchSpace):
    """A space in which an architecture stands for the first row, in their order, that makes it.

    To find it, all rows are decoded when an architecture is first encoded: a subclass gives all but
    `encode`, and limits the number of its rows. Their order is lexicographic.
    """

    def encode(self, architecture: Architecture) -> Row:
        """Return the first row in lexicographic order that decodes to an architecture."""
        row = self._first.get(architecture.pruned())
        if row is None:
            raise ValueError(f"no row of the space {self.name} gives {architecture!r}")
        return row

    def __getstate__(self) -> dict[str, Any]:
        # Found again where it is needed: to unpickle a dictionary takes all canonical forms.
        return {k: v for k, v in self.__dict__.items() if k not in ("_first", "_all_designs")}

    @cached_property
    def _first(self) -> dict[Architecture, Row]:
        # Rows often decode to the same nodes and edges; those need one canonical form, not many.
        drawings: dict[object, tuple[Architecture, Row]] = {}
        for row, architecture in self._decoded_rows():
            drawings.setdefault((architecture.nodes, architecture.edges), (architecture, row))
        first: dict[Architecture, Row] = {}
        for architecture, row in drawings.values():
            first.setdefault(architecture, row)
        return first

    @cached_property
    def _all_designs(self) -> tuple[Design, ...]:
        return tuple(Design(architecture, row) for architecture, row in self._first.items())
