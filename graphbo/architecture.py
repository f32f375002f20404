"""The labelled directed acyclic graph that everything in graphbo passes around."""

from __future__ import annotations

import hashlib
import heapq
import json
import operator
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphbo.canonical import canonical_order

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data

INPUT = "input"
OUTPUT = "output"

Edge = tuple[int, int, str]
_label = operator.itemgetter(2)


class Architecture:
    """A neural architecture: an immutable labelled directed acyclic graph.

    Nodes and edges carry labels. An edge without an operation has the label ``""``, and so has a
    node that only sums what reaches it (a state of a cell whose operations sit on the edges).
    Exactly one node is labelled ``"input"`` and exactly one ``"output"``.

    Two architectures are equal, and hash alike, if and only if they are isomorphic as labelled
    graphs: the order of the nodes does not matter.

    Args:
        nodes: The label of each node.
        edges: Pairs ``(source, target)`` or triples ``(source, target, label)`` of node indices.
        operations: If given, the labels that nodes and edges may carry besides ``"input"``,
            ``"output"`` and ``""``.

    Attributes:
        nodes: The labels, in a topological order that keeps the given one where it can.
        edges: Triples ``(source, target, label)``, sorted, with ``source < target``.

    Raises:
        ValueError: If there is a cycle, a repeated edge, an edge to a node that does not exist,
            an edge into the input or out of the output, an unknown label, or not exactly one
            input and one output node.

    Example:
        >>> chain = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
        >>> chain == Architecture(["output", "conv3x3", "input"], [(2, 1), (1, 0)])
        True
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]

    def __init__(
        self,
        nodes: Iterable[str],
        edges: Iterable[tuple[int, int] | tuple[int, int, str]],
        *,
        operations: Collection[str] | None = None,
    ) -> None:
        labels = [str(label) for label in nodes]
        triples = [_triple(edge, len(labels)) for edge in edges]
        _check_ends(labels, triples)
        if operations is not None:
            _check_labels(labels, triples, operations)
        self.nodes, self.edges = _in_order(labels, triples)

    @classmethod
    def _trusted(cls, nodes: tuple[str, ...], edges: tuple[Edge, ...]) -> Architecture:
        """Build from nodes in topological order and sorted edges that are known to be valid."""
        architecture = cls.__new__(cls)
        architecture.nodes = nodes
        architecture.edges = edges
        return architecture

    # Identity ------------------------------------------------------------------------------

    @cached_property
    def _certificate(self) -> tuple[tuple[str, ...], tuple[Edge, ...]]:
        order = canonical_order(self.nodes, self.edges)
        position = {node: i for i, node in enumerate(order)}
        edges = sorted((position[u], position[v], label) for u, v, label in self.edges)
        return tuple(self.nodes[node] for node in order), tuple(edges)

    @cached_property
    def _hash(self) -> int:
        return hash(self._certificate)

    @cached_property
    def key(self) -> str:
        """Thirty-two hexadecimal digits that isomorphic architectures share."""
        text = json.dumps(self._certificate, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def canonical(self) -> Architecture:
        """Return the isomorphic architecture whose nodes are in canonical (topological) order."""
        return Architecture(*self._certificate)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        if self.nodes == other.nodes and self.edges == other.edges:
            return True  # which is much sooner known
        return self._certificate == other._certificate

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return Architecture._trusted, (self.nodes, self.edges)

    def __repr__(self) -> str:
        edges = [edge if edge[2] else edge[:2] for edge in self.edges]
        return f"Architecture({list(self.nodes)}, {edges})"

    def __len__(self) -> int:
        return len(self.nodes)

    # Structure -----------------------------------------------------------------------------

    @property
    def input(self) -> int:
        """Index of the input node."""
        return self.nodes.index(INPUT)

    @property
    def output(self) -> int:
        """Index of the output node."""
        return self.nodes.index(OUTPUT)

    @property
    def is_empty(self) -> bool:
        """Whether no path leads from the input to the output."""
        return not self.pruned().edges

    def pruned(self) -> Architecture:
        """Return the part that lies on paths from the input to the output.

        Nodes and edges that the input does not reach, or that do not reach the output, are
        dropped; input and output stay even when nothing is left between them.
        """
        forward, backward = {self.input}, {self.output}
        for u, v, _ in self.edges:
            if u in forward:
                forward.add(v)
        for u, v, _ in reversed(self.edges):
            if v in backward:
                backward.add(u)
        kept = sorted((forward & backward) | {self.input, self.output})
        if len(kept) == len(self.nodes):
            return self
        position = {node: i for i, node in enumerate(kept)}
        return Architecture._trusted(
            tuple(self.nodes[node] for node in kept),
            tuple(
                (position[u], position[v], label)
                for u, v, label in self.edges
                if u in position and v in position
            ),
        )

    def operations_on_nodes(self) -> Architecture:
        """Return the same network with every operation on a node and none on an edge.

        Each labelled edge becomes a node. States (nodes with the label ``""``) vanish: what fed
        them feeds what they fed. Architectures without either are returned as they are.
        """
        if "" not in self.nodes and not any(map(_label, self.edges)):
            return self
        return self._on_nodes

    @cached_property
    def _on_nodes(self) -> Architecture:
        states = {i for i, label in enumerate(self.nodes) if label == ""}
        nodes = list(self.nodes)
        successors: list[set[int]] = [set() for _ in nodes]
        for u, v, label in self.edges:
            if label:
                nodes.append(label)
                successors.append({v})
                successors[u].add(len(nodes) - 1)
            else:
                successors[u].add(v)
        # In reverse topological order a state's successors are already free of states.
        for state in sorted(states, reverse=True):
            for targets in successors:
                if state in targets:
                    targets.remove(state)
                    targets |= successors[state]
        kept = [i for i in range(len(nodes)) if i not in states]
        position = {node: i for i, node in enumerate(kept)}
        edges = [(position[u], position[v], "") for u in kept for v in successors[u]]
        return Architecture._trusted(*_in_order([nodes[i] for i in kept], edges))

    # Conversions ---------------------------------------------------------------------------

    def to_string(self) -> str:
        """Return a JSON text that `from_string` reads back."""
        edges = [edge if edge[2] else edge[:2] for edge in self.edges]
        return json.dumps({"nodes": self.nodes, "edges": edges}, separators=(",", ":"))

    @classmethod
    def from_string(cls, text: str, *, operations: Collection[str] | None = None) -> Architecture:
        """Read what `to_string` wrote.

        Raises:
            ValueError: If the text is not such a JSON object, or the graph is not valid.
        """
        try:
            content = json.loads(text)
            nodes, edges = content["nodes"], [tuple(edge) for edge in content["edges"]]
            if not isinstance(nodes, list):
                raise TypeError("nodes are a list")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                'an architecture string must look like {"nodes": [labels], "edges": '
                f"[[source, target], ...]}}; got {text[:80]!r}"
            ) from error
        return cls(nodes, edges, operations=operations)

    def to_networkx(self) -> nx.DiGraph:
        """Return a ``networkx.DiGraph`` whose nodes and edges have the attribute ``label``."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from((i, {"label": label}) for i, label in enumerate(self.nodes))
        graph.add_edges_from((u, v, {"label": label}) for u, v, label in self.edges)
        return graph

    @classmethod
    def from_networkx(
        cls, graph: nx.DiGraph, *, label: str = "label", operations: Collection[str] | None = None
    ) -> Architecture:
        """Build from a directed graph whose nodes carry their label in an attribute.

        Args:
            graph: Any ``networkx.DiGraph``; its nodes may be any hashable objects.
            label: The name of the node attribute, and of the optional edge attribute.
            operations: The labels that are allowed; see `Architecture`.

        Raises:
            ValueError: If a node has no label, the graph is not directed, or it is not valid.
        """
        if not graph.is_directed():
            raise ValueError("an architecture is a directed graph; this one is undirected")
        position: Mapping[Hashable, int] = {node: i for i, node in enumerate(graph.nodes)}
        labels = dict(graph.nodes(data=label))
        missing = [node for node in graph.nodes if labels[node] is None]
        if missing:
            raise ValueError(f"node {missing[0]!r} has no attribute {label!r}")
        return cls(
            [labels[node] for node in graph.nodes],
            [(position[u], position[v], text or "") for u, v, text in graph.edges(data=label)],
            operations=operations,
        )

    def to_pyg(self, vocabulary: Sequence[str] | None = None) -> Data:
        """Return a ``torch_geometric.data.Data`` that `from_pyg` reads back.

        Args:
            vocabulary: The labels, in the order that numbers them; by default the sorted labels
                of this architecture. Give one for a data set, so that its numbers agree.

        Returns:
            ``x`` holds each node's label number (``n``, int64), ``edge_index`` the edges
            (``2 x m``), ``edge_attr`` each edge's label number (``m``, int64).

        Raises:
            ValueError: If a label is not in the vocabulary.
        """
        import torch
        from torch_geometric.data import Data

        used = {*self.nodes, *(label for _, _, label in self.edges)}
        words = tuple(vocabulary) if vocabulary is not None else tuple(sorted(used))
        number = {word: i for i, word in enumerate(words)}
        unknown = sorted(used - set(number))
        if unknown:
            raise ValueError(f"label {unknown[0]!r} is not in the vocabulary {list(words)}")
        sources_and_targets = [[u for u, _, _ in self.edges], [v for _, v, _ in self.edges]]
        data = Data(
            x=torch.tensor([number[label] for label in self.nodes]),
            edge_index=torch.tensor(sources_and_targets, dtype=torch.long),
            edge_attr=torch.tensor([number[label] for _, _, label in self.edges]).long(),
        )
        data.vocabulary = words
        return data

    @classmethod
    def from_pyg(cls, data: Data, vocabulary: Sequence[str] | None = None) -> Architecture:
        """Build from what `to_pyg` returned, or any ``Data`` of that form and its vocabulary.

        Raises:
            ValueError: If there is no vocabulary, a number lies outside it, or the graph is not
                valid.
        """
        words = vocabulary if vocabulary is not None else getattr(data, "vocabulary", None)
        if words is None:
            raise ValueError("the Data object has no vocabulary; pass the list of labels")
        if data.x is None or data.x.is_floating_point() or data.edge_index is None:
            raise ValueError(
                "the Data object needs an edge_index, and for each node the number of its label "
                "in x, whole numbers"
            )
        numbers = [*data.x.view(-1).tolist()]
        pairs = data.edge_index.t().tolist()
        edge_numbers = None if data.edge_attr is None else data.edge_attr.view(-1).tolist()
        outside = [n for n in [*numbers, *(edge_numbers or [])] if not 0 <= n < len(words)]
        if outside:
            raise ValueError(f"label number {outside[0]} is outside the {len(words)} labels")
        labels = [words[n] for n in edge_numbers] if edge_numbers is not None else [""] * len(pairs)
        return cls(
            [words[n] for n in numbers],
            [(u, v, label) for (u, v), label in zip(pairs, labels, strict=True)],
        )


def _triple(edge: Sequence[Any], n: int) -> Edge:
    if len(edge) not in (2, 3):
        raise ValueError(f"an edge is (source, target) or (source, target, label); got {edge!r}")
    try:
        u, v = operator.index(edge[0]), operator.index(edge[1])
    except TypeError as error:
        raise ValueError(f"an edge joins two node numbers; got {edge!r}") from error
    label = str(edge[2]) if len(edge) == 3 and edge[2] is not None else ""
    if not (0 <= u < n and 0 <= v < n):
        raise ValueError(f"edge {u} -> {v} leads outside the {n} nodes, numbered from 0")
    return u, v, label


def _check_ends(labels: Sequence[str], edges: Sequence[Edge]) -> None:
    for end in (INPUT, OUTPUT):
        if labels.count(end) != 1:
            raise ValueError(
                f"an architecture has exactly one node labelled {end!r}; "
                f"this one has {labels.count(end)}"
            )
    source, sink = labels.index(INPUT), labels.index(OUTPUT)
    pairs = [(u, v) for u, v, _ in edges]
    if len(set(pairs)) < len(pairs):
        repeated = next(pair for i, pair in enumerate(pairs) if pair in pairs[:i])
        raise ValueError(f"edge {repeated[0]} -> {repeated[1]} occurs twice")
    for u, v in pairs:
        if v == source and u != v:
            raise ValueError(f"edge {u} -> {v} enters the input node")
        if u == sink and u != v:
            raise ValueError(f"edge {u} -> {v} leaves the output node")


def _check_labels(
    labels: Sequence[str], edges: Sequence[Edge], operations: Collection[str]
) -> None:
    known = {*operations, INPUT, OUTPUT, ""}
    for label in (*labels, *(edge[2] for edge in edges)):
        if label not in known:
            raise ValueError(f"unknown label {label!r}; the operations are {sorted(operations)}")


def _in_order(
    labels: Sequence[str], edges: Sequence[Edge]
) -> tuple[tuple[str, ...], tuple[Edge, ...]]:
    """Return nodes in a topological order that keeps the given one where it can, sorted edges."""
    order = _topological_order(len(labels), edges)
    position = {node: i for i, node in enumerate(order)}
    moved = sorted([(position[u], position[v], label) for u, v, label in edges])
    return tuple([labels[node] for node in order]), tuple(moved)


def _topological_order(n: int, edges: Sequence[Edge]) -> list[int]:
    """Kahn's algorithm, the smallest index first."""
    degree = [0] * n
    successors: list[list[int]] = [[] for _ in range(n)]
    for u, v, _ in edges:
        successors[u].append(v)
        degree[v] += 1
    ready = [node for node in range(n) if degree[node] == 0]
    order = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for target in successors[node]:
            degree[target] -= 1
            if degree[target] == 0:
                heapq.heappush(ready, target)
    if len(order) < n:
        cycle = sorted(set(range(n)) - set(order))
        raise ValueError(f"an architecture has no cycle; there is one among the nodes {cycle}")
    return order
