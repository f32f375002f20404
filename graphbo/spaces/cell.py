"""Cells: small graphs whose operations sit on their nodes or on their edges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces.base import Decision, Design, Row, SearchSpace

NONE = "none"
_MAX_ENUMERABLE = 200_000


class CellSpace(SearchSpace):
    """All cells with a given number of nodes and given operations.

    With ``on="edges"``, each of the ``nodes * (nodes - 1) / 2`` edges of the complete DAG carries
    one operation, or ``"none"``, which removes it; nodes sum what reaches them. With
    ``on="nodes"``, each node between input and output carries one operation, and each edge is there
    or not; a cell must connect its input to its output.

    Either way an architecture is what is left after pruning, so a cell may have fewer nodes.

    Args:
        nodes: Number of nodes, input and output included; at least 2.
        operations: The operations, without ``"none"``.
        on: ``"nodes"`` or ``"edges"``.
        max_edges: The largest number of edges after pruning, if there is a limit.
        name: The name of the space.

    Raises:
        ValueError: If an argument is out of range or an operation is repeated or reserved.

    Example:
        >>> CellSpace(4, ["conv3x3", "skip"], on="edges").size
        261
    """

    def __init__(
        self,
        nodes: int,
        operations: Sequence[str],
        *,
        on: str,
        max_edges: int | None = None,
        name: str = "cell",
    ) -> None:
        if on not in ("nodes", "edges"):
            raise ValueError(f"operations sit on 'nodes' or on 'edges'; got on={on!r}")
        if nodes < 2:
            raise ValueError(f"a cell has at least 2 nodes, its input and its output; got {nodes}")
        if not operations or len(set(operations)) < len(operations):
            raise ValueError(f"the operations must be distinct, and at least one; got {operations}")
        reserved = {INPUT, OUTPUT, NONE, ""} & set(operations)
        if reserved:
            raise ValueError(f"{sorted(reserved)[0]!r} is reserved and cannot be an operation")
        if max_edges is not None and max_edges < 1:
            raise ValueError(f"max_edges must be at least 1; got {max_edges}")
        self.name = name
        self.nodes = nodes
        self.operations = tuple(operations)
        self.on = on
        self.max_edges = max_edges
        self.pairs = tuple((u, v) for v in range(1, nodes) for u in range(v))
        self.aligned_positions = on == "edges"
        if on == "edges":
            choices = (NONE, *self.operations)
            self.decisions = tuple(Decision(f"edge_{u}_{v}", choices) for u, v in self.pairs)
        else:
            self.decisions = (
                *(Decision(f"operation_{i}", self.operations) for i in range(1, nodes - 1)),
                *(Decision(f"edge_{u}_{v}", ("no", "yes")) for u, v in self.pairs),
            )
        self._choices = tuple(len(decision.choices) for decision in self.decisions)
        self.enumerable = math.prod(self._choices) <= _MAX_ENUMERABLE

    def __repr__(self) -> str:
        limit = "" if self.max_edges is None else f", max_edges={self.max_edges}"
        return f"CellSpace({self.nodes}, {list(self.operations)}, on={self.on!r}{limit})"

    def decode(self, row: Row) -> Architecture:
        """Return the pruned cell that a row encodes."""
        for choice, choices in zip(row, self._choices, strict=True):
            if not 0 <= choice < choices:
                raise ValueError(f"{choice} is not one of the choices 0 to {choices - 1}")
        if self.on == "edges":
            labels = [INPUT, *[""] * (self.nodes - 2), OUTPUT]
            edges = [
                (u, v, self.operations[choice - 1])
                for (u, v), choice in zip(self.pairs, row, strict=True)
                if choice
            ]
        else:
            inner = row[: self.nodes - 2]
            labels = [INPUT, *(self.operations[choice] for choice in inner), OUTPUT]
            edges = [
                (u, v, "")
                for (u, v), there in zip(self.pairs, row[self.nodes - 2 :], strict=True)
                if there
            ]
        cell = Architecture._trusted(tuple(labels), tuple(sorted(edges))).pruned()
        self._check_edges(cell)
        return cell

    def encode(self, architecture: Architecture) -> Row:
        """Return the canonical row of a cell.

        On edges it is the lexicographically smallest row of the cell; on nodes it lays out the
        canonical order of the cell's nodes from the left.
        """
        cell = architecture.pruned()
        self._check_member(cell)
        if self.on == "nodes":
            return self._lay_out(cell.canonical())
        inner = range(1, self.nodes - 1)
        placements = itertools.permutations(inner, len(cell) - 2)
        rows = [self._place(cell, placement) for placement in placements]
        return min(row for row in rows if row is not None)

    @cached_property
    def _all_designs(self) -> tuple[Design, ...]:
        if self.on == "nodes":
            return super()._all_designs
        # Rows come in lexicographic order, so the canonical one of a cell comes first.
        drawings: dict[object, Architecture] = {}
        first: dict[Architecture, Row] = {}
        for row, cell in self._decoded_rows():
            drawing = cell.nodes, cell.edges
            if drawing not in drawings:
                first.setdefault(drawings.setdefault(drawing, cell), row)
        return tuple(Design(cell, row) for cell, row in first.items())

    def _check_edges(self, cell: Architecture) -> None:
        if self.on == "nodes" and not cell.edges:
            raise ValueError(f"a cell of the space {self.name} must connect input and output")
        if self.max_edges is not None and len(cell.edges) > self.max_edges:
            raise ValueError(
                f"a cell of the space {self.name} has at most {self.max_edges} edges; "
                f"this one has {len(cell.edges)}"
            )

    def _check_member(self, cell: Architecture) -> None:
        if len(cell) > self.nodes:
            raise ValueError(
                f"a cell of the space {self.name} has at most {self.nodes} nodes; "
                f"this one has {len(cell)}"
            )
        self._check_edges(cell)
        inner = [label for label in cell.nodes if label not in (INPUT, OUTPUT)]
        on_edges = [label for _, _, label in cell.edges]
        known = set(self.operations)
        nodes_known, edges_known = (known, {""}) if self.on == "nodes" else ({""}, known)
        for labels, allowed, place in (
            (inner, nodes_known, "node"),
            (on_edges, edges_known, "edge"),
        ):
            for label in labels:
                if label not in allowed:
                    raise ValueError(
                        f"unknown {place} label {label!r} in the space {self.name}, whose "
                        f"operations sit on {self.on} and are {list(self.operations)}"
                    )

    def _place(self, cell: Architecture, placement: Sequence[int]) -> Row | None:
        """Return the row with the cell's inner nodes at given positions; None if out of order."""
        positions = iter(placement)
        position = [
            0 if label == INPUT else self.nodes - 1 if label == OUTPUT else next(positions)
            for label in cell.nodes
        ]
        taken = {(position[u], position[v]): label for u, v, label in cell.edges}
        if any(u >= v for u, v in taken):
            return None
        return tuple(
            self.operations.index(taken[pair]) + 1 if pair in taken else 0 for pair in self.pairs
        )

    def _lay_out(self, cell: Architecture) -> Row:
        inner = [i for i, label in enumerate(cell.nodes) if label not in (INPUT, OUTPUT)]
        position = {cell.input: 0, cell.output: self.nodes - 1}
        position |= {node: i for i, node in enumerate(inner, start=1)}
        choices = [self.operations.index(cell.nodes[node]) for node in inner]
        there = {(position[u], position[v]) for u, v, _ in cell.edges}
        unused = [0] * (self.nodes - len(cell))
        return (*choices, *unused, *(int(pair in there) for pair in self.pairs))
