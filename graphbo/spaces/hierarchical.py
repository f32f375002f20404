"""Hierarchical cells: a graph of motifs, which are graphs of operations themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graphbo.architecture import INPUT, OUTPUT, Architecture, Edge
from graphbo.errors import InputError
from graphbo.spaces.base import Decision, Row, SearchSpace
from graphbo.spaces.cell import CellSpace
from graphbo.spaces.counting import distinct_edge_cells

OPERATIONS = ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect")
TOP = "top"
"""The label of the nodes of the top graph between its input and its output."""
_MAX_ENUMERABLE = 200_000
_MAX_COUNTED = 5


class Hierarchy(NamedTuple):
    """A top graph and what its edges stand for.

    Attributes:
        top: A graph with the name of a motif on each edge.
        motifs: The motifs by name; graphs with an operation on each edge.
    """

    top: Architecture
    motifs: Mapping[str, Architecture]


class HierarchicalSpace(SearchSpace):
    """Cells in three levels: operations, motifs of them, and a top graph of motifs.

    A motif is a small graph with an operation on each edge. The top graph has a motif on each edge,
    and may use one several times; so a change of one motif changes the network everywhere. An edge
    of either may carry ``"none"``, which removes it, and nodes sum what reaches them.

    An architecture is the cell in full, with operations on edges: each edge of the top graph is a
    copy of its motif. Its nodes of the top graph are labelled ``"top"``, and those inside of motifs
    are states. So the hierarchy can be read off, as a copy is what lies between two nodes of the
    top graph, and two architectures are equal if and only if their top graphs and the motifs used
    in them are: neither names and order of motifs matter, nor unused or equal ones, nor the
    numbering of nodes. That two different hierarchies give one network, such as a chain of two
    operations as one motif or as two, is not seen; only `flattened` forgets where motifs end. To
    find out whether some hierarchy gives a network would be a search of its own.

    Reference: Liu et al., "Hierarchical representations for efficient architecture search", ICLR
    2018, whose motifs and top graph have the default sizes. There nodes concatenate.

    Args:
        operations: The operations, without ``"none"``.
        motifs: The number of motifs, at least 1.
        motif_nodes: Number of nodes of a motif, input and output included; at least 2.
        nodes: Number of nodes of the top graph, input and output included; at least 2.
        name: The name of the space.

    Raises:
        InputError: If an argument is out of range or an operation is repeated or reserved.

    Example:
        >>> space = HierarchicalSpace(["conv3x3", "skip"], motifs=2, motif_nodes=2, nodes=3)
        >>> [decision.name for decision in space.decisions]
        ['motif_1/edge_0_1', 'motif_2/edge_0_1', 'top/edge_0_1', 'top/edge_0_2', 'top/edge_1_2']
        >>> space.design((1, 2, 1, 0, 2)).architecture
        Architecture(['input', 'top', 'output'], [(0, 1, 'conv3x3'), (1, 2, 'skip')])
    """

    ports = (TOP,)

    def __init__(
        self,
        operations: Sequence[str] = OPERATIONS,
        motifs: int = 6,
        motif_nodes: int = 4,
        nodes: int = 5,
        name: str = "hierarchical",
    ) -> None:
        if motifs < 1:
            raise InputError(f"there is at least 1 motif; got {motifs}")
        if TOP in operations:
            raise InputError(f"{TOP!r} is reserved and cannot be an operation")
        self.name = name
        self.names = tuple(f"motif_{i}" for i in range(1, motifs + 1))
        try:
            self.motif = CellSpace(motif_nodes, operations, on="edges", name=f"{name} (motifs)")
            self.top = CellSpace(nodes, self.names, on="edges", name=f"{name} (top)")
        except ValueError as error:
            raise InputError(str(error)) from error
        self.operations = tuple(operations)
        parts = [*((name, self.motif) for name in self.names), (TOP, self.top)]
        self.decisions = tuple(
            Decision(f"{part}/{decision.name}", decision.choices)
            for part, space in parts
            for decision in space.decisions
        )
        rows = math.prod(len(decision.choices) for decision in self.decisions)
        self.enumerable = rows <= _MAX_ENUMERABLE

    def __repr__(self) -> str:
        return (
            f"HierarchicalSpace({list(self.operations)}, {len(self.names)}, {self.motif.nodes}, "
            f"{self.top.nodes})"
        )

    @property
    def size(self) -> int | None:
        """The number of distinct architectures; None if a graph has more than five nodes.

        The number of sets of motifs of each size, times that of top graphs that use all of a set.
        """
        if max(self.motif.nodes, self.top.nodes) > _MAX_COUNTED:
            return None
        motifs = distinct_edge_cells(self.motif.nodes, len(self.operations)) - 1
        tops = [distinct_edge_cells(self.top.nodes, i) for i in range(len(self.names) + 1)]
        using_all: list[int] = []
        total = 0
        for used, count in enumerate(tops):
            fewer = sum(math.comb(used, i) * using_all[i] for i in range(used))
            using_all.append(count - fewer)
            total += math.comb(motifs, used) * using_all[used]
        return total

    def join(self, hierarchy: Hierarchy) -> Architecture:
        """Return the architecture of a hierarchy; an edge with an empty motif is none.

        Raises:
            InputError: If the top graph has a motif that is not given.
        """
        top = hierarchy.top.pruned()
        unknown = {name for *_, name in top.edges} - set(hierarchy.motifs)
        if unknown:
            raise InputError(
                f"the top graph has motifs of {list(hierarchy.motifs)}; got {min(unknown)!r}"
            )
        motifs = {name: motif.pruned() for name, motif in hierarchy.motifs.items()}
        nodes: list[str] = []
        edges: list[Edge] = []
        place: list[int] = []
        for node, label in enumerate(top.nodes):
            inside: list[tuple[Architecture, dict[int, int]]] = []
            for u, v, name in top.edges:
                motif = motifs[name]
                if v == node and motif.edges:
                    inner = range(1, len(motif) - 1)  # its input is the first, its output the last
                    places = {i: len(nodes) + i - 1 for i in inner} | {0: place[u]}
                    nodes += [""] * len(inner)
                    inside.append((motif, places))
            place.append(len(nodes))
            nodes.append(label or TOP)
            for motif, places in inside:
                places[len(motif) - 1] = place[node]
                edges += [(places[u], places[v], operation) for u, v, operation in motif.edges]
        return Architecture._trusted(tuple(nodes), tuple(sorted(edges))).pruned()

    def split(self, architecture: Architecture) -> Hierarchy:
        """Return the hierarchy of an architecture; the inverse of `join`.

        Its motifs are those that are used, in the order of their rows.

        Raises:
            ValueError: If the architecture does not belong to the space.
        """
        whole = architecture.pruned()
        rows = {ends: self.motif.encode(copy) for ends, copy in _copies(whole).items()}
        used = sorted(set(rows.values()))
        if len(used) > len(self.names):
            raise ValueError(
                f"an architecture of the space {self.name} has at most {len(self.names)} motifs; "
                f"this one has {len(used)}"
            )
        names = dict(zip(used, self.names, strict=False))
        kept = [i for i, label in enumerate(whole.nodes) if label]
        position = {node: i for i, node in enumerate(kept)}
        top = Architecture(
            [whole.nodes[node] if whole.nodes[node] != TOP else "" for node in kept],
            [(position[u], position[v], names[row]) for (u, v), row in rows.items()],
        )
        return Hierarchy(top, {name: self.motif.decode(row) for row, name in names.items()})

    def decode(self, row: Row) -> Architecture:
        """Return the architecture that a row encodes."""
        if len(row) != len(self.decisions):
            raise ValueError(
                f"a row of the space {self.name} has {len(self.decisions)} entries; got {len(row)}"
            )
        n = len(self.motif.decisions)
        motifs = {
            name: self.motif.decode(row[n * i : n * (i + 1)]) for i, name in enumerate(self.names)
        }
        return self.join(Hierarchy(self.top.decode(row[n * len(motifs) :]), motifs))

    def encode(self, architecture: Architecture) -> Row:
        """Return the canonical row of an architecture.

        The motifs that are used come first, in the order of their canonical rows, then motifs of
        one operation, so that a step of the top graph can take up another one.
        """
        top, motifs = self.split(architecture)
        rows = [self.motif.encode(motif) for motif in motifs.values()]
        single = (Architecture([INPUT, OUTPUT], [(0, 1, label)]) for label in self.operations)
        spare = [row for row in map(self.motif.encode, single) if row not in rows]
        empty = [(0,) * len(self.motif.decisions)] * len(self.names)
        filled = [*rows, *spare, *empty][: len(self.names)]
        return (*(choice for row in filled for choice in row), *self.top.encode(top))


def flattened(architecture: Architecture) -> Architecture:
    """Return an architecture of a `HierarchicalSpace` without the marks of where motifs end.

    What is left is a cell whose operations sit on its edges, as those of a `CellSpace`.
    """
    nodes = tuple("" if label == TOP else label for label in architecture.nodes)
    return Architecture._trusted(nodes, architecture.edges)


def _copies(whole: Architecture) -> dict[tuple[int, int], Architecture]:
    """Return the motifs in a pruned architecture by the nodes of the top graph at their ends."""
    marked = {i for i, label in enumerate(whole.nodes) if label}
    if any(whole.nodes[i] not in (INPUT, OUTPUT, TOP) for i in marked):
        raise ValueError(
            f"a node of hierarchical cells is labelled {TOP!r} or not at all; got {whole!r}"
        )
    # What a node inside of a motif is reached from, and leads to, in the top graph.
    begins: list[set[int]] = [{i} if i in marked else set() for i in range(len(whole))]
    ends: list[set[int]] = [set(found) for found in begins]
    for u, v, _ in whole.edges:  # sorted by source, so that a node is complete before it is read
        if v not in marked:
            begins[v] |= begins[u]
    for u, v, _ in reversed(whole.edges):
        if u not in marked:
            ends[u] |= ends[v]
    found: dict[tuple[int, int], list[Edge]] = {}
    for u, v, label in whole.edges:
        if len(begins[u]) > 1 or len(ends[v]) > 1:
            raise ValueError(
                f"a motif lies between two nodes of the top graph, and not between more; "
                f"got {whole!r}"
            )
        found.setdefault((min(begins[u]), min(ends[v])), []).append((u, v, label))
    return {ends: _copy(*ends, edges) for ends, edges in found.items()}


def _copy(begin: int, end: int, edges: Sequence[Edge]) -> Architecture:
    nodes = sorted({node for u, v, _ in edges for node in (u, v)})
    position = {node: i for i, node in enumerate(nodes)}
    labels = [INPUT if node == begin else OUTPUT if node == end else "" for node in nodes]
    return Architecture(labels, [(position[u], position[v], label) for u, v, label in edges])
