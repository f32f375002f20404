"""Edit distances between architectures, and the nearest of many."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbo.architecture import INPUT, OUTPUT, Architecture

MAX_EXACT = 6
"""The largest number of inner nodes for which the distance is exact: 720 placements."""
_CHUNK = 2048

Array = NDArray[Any]


def edit_distance(first: Architecture, second: Architecture) -> int:
    """Return the edit distance of two architectures; see `EditDistances`."""
    return int(EditDistances([second]).distances(first)[0])


class EditDistances:
    """Edit distances from any architecture to each of a fixed sequence of architectures.

    Architectures are compared as they are after `Architecture.operations_on_nodes`. The distance
    is the least number of edits that turn one graph into the other, where an edit relabels, adds
    or removes an inner node, or adds or removes an edge; input and output stay what they are. It is
    found exactly by trying every placement of one graph's inner nodes on the other's, all of them
    in one matrix product.

    Where a graph has more than six inner nodes, no edit distance is computed. Instead the counts
    of node labels and of edges by the labels of their ends are compared: the labels that cannot be
    matched, plus half of the L1 distance of the edge counts. This is zero for some pairs of
    different graphs.

    Args:
        architectures: The ``n`` architectures to which distances are measured.
    """

    def __init__(self, architectures: Iterable[Architecture]) -> None:
        self._graphs = [_graph(architecture) for architecture in architectures]
        self.exact = all(len(graph.labels) <= MAX_EXACT for graph in self._graphs)
        self._label_number = _numbering(label for graph in self._graphs for label in graph.labels)
        self._kind_number = _numbering(kind for graph in self._graphs for kind in graph.kinds)
        # Which of equally distant architectures comes first must not depend on the given order:
        # tables are often sorted by their results.
        self._tie_break = np.random.default_rng(0).permutation(len(self._graphs))

    def distances(self, architecture: Architecture, among: Array | None = None) -> Array:
        """Return the distance to each architecture.

        Args:
            architecture: The one from which distances are measured.
            among: Indices of those that matter (``m``); by default all ``n``.

        Returns:
            The distances, ``m`` float64.
        """
        graph = _graph(architecture)
        among = np.arange(len(self._graphs)) if among is None else among
        if not self._is_exact(graph):
            return self._profile_distances(graph)[among]
        slots = max(self._slots, len(graph.labels), 1)
        targets, used = self._placed(slots)
        placements = _distinct(self._placements(graph, slots)[:, used])
        matches = np.empty(len(among))
        for start in range(0, len(among), _CHUNK):
            part = slice(start, start + _CHUNK)
            matches[part] = (placements @ targets[among[part]].T).max(axis=0)
        result: Array = slots + len(graph.edges) + self._edge_counts[among] - matches
        return result

    def bounds(self, architecture: Architecture) -> Array:
        """Return a lower bound on each distance (``n`` float64), far cheaper than the distances.

        Labels that cannot be matched, plus the least change of the sorted out-degrees or
        in-degrees, whichever is larger. Where distances are not exact, the distances themselves.
        """
        graph = _graph(architecture)
        if not self._is_exact(graph):
            return self._profile_distances(graph)
        changes = np.abs(self._degrees - graph.degrees.astype(np.int16)).sum(axis=2)
        result: Array = self._label_distances(graph) + changes.max(axis=1)
        return result

    def nearest(
        self, centres: Sequence[Architecture], count: int, allowed: Array
    ) -> tuple[Array, Array]:
        """Return the architectures with the smallest sum of distances to one or more centres.

        Args:
            centres: Where distances are measured from.
            count: How many to find.
            allowed: Which architectures may be returned (``n`` bool).

        Returns:
            Their indices, nearest first, and their sums of distances. Those as near as the last
            of the ``count`` are included, so there may be more; there are fewer if fewer are
            allowed.
        """
        candidates = np.flatnonzero(allowed)
        bounds = sum((self.bounds(centre)[candidates] for centre in centres), np.zeros(1))
        order = np.argsort(bounds, kind="stable")
        candidates, bounds = candidates[order], bounds[order]
        found = np.empty(0)
        size = 4 * count
        while len(found) < len(candidates):
            if len(found) >= count:
                worst = np.partition(found, count - 1)[count - 1]
                if bounds[len(found)] > worst:
                    break
            part = candidates[len(found) : len(found) + size]
            sums = sum((self.distances(centre, part) for centre in centres), np.zeros(1))
            found = np.concatenate([found, sums])
            size = min(2 * size, _CHUNK)
        candidates = candidates[: len(found)]
        order = np.lexsort((self._tie_break[candidates], found))
        candidates, found = candidates[order], found[order]
        if len(found) > count:
            kept = found <= found[count - 1]
            candidates, found = candidates[kept], found[kept]
        return candidates, found

    # Counts ---------------------------------------------------------------------------------

    def _is_exact(self, graph: _Graph) -> bool:
        return self.exact and len(graph.labels) <= MAX_EXACT

    @cached_property
    def _label_counts(self) -> Array:
        return _counts([graph.labels for graph in self._graphs], self._label_number)

    @cached_property
    def _kind_counts(self) -> Array:
        return _counts([graph.kinds for graph in self._graphs], self._kind_number)

    @cached_property
    def _degrees(self) -> Array:
        return np.stack([graph.degrees for graph in self._graphs]).astype(np.int16)

    @cached_property
    def _sizes(self) -> Array:
        return np.array([len(graph.labels) for graph in self._graphs])

    @cached_property
    def _edge_counts(self) -> Array:
        return np.array([len(graph.edges) for graph in self._graphs])

    def _label_distances(self, graph: _Graph) -> Array:
        [counts] = _counts([graph.labels], self._label_number)
        matched = np.minimum(self._label_counts, counts).sum(axis=1)
        result: Array = np.maximum(self._sizes, len(graph.labels)) - matched
        return result.astype(float)

    def _profile_distances(self, graph: _Graph) -> Array:
        [counts] = _counts([graph.kinds], self._kind_number)
        unknown = sum(kind not in self._kind_number for kind in graph.kinds)
        kinds = np.abs(self._kind_counts - counts).sum(axis=1) + unknown
        result: Array = self._label_distances(graph) + kinds / 2
        return result

    # Placements -----------------------------------------------------------------------------

    @cached_property
    def _slots(self) -> int:
        return max(len(graph.labels) for graph in self._graphs)

    def _placed(self, slots: int) -> tuple[Array, Array]:
        """Return features (``n x d`` float32), and which of all features these are."""
        if slots not in self._placed_cache:
            rows = [self._features(graph, slots) for graph in self._graphs]
            features = np.concatenate(
                [
                    np.stack([labels.ravel() for labels, _ in rows]),
                    np.stack([adjacency.ravel() for _, adjacency in rows]),
                ],
                axis=1,
            )
            used: Array = np.asarray(features.any(axis=0))
            self._placed_cache[slots] = features[:, used], used
        return self._placed_cache[slots]

    @cached_property
    def _placed_cache(self) -> dict[int, tuple[Array, Array]]:
        return {}

    def _features(self, graph: _Graph, slots: int) -> tuple[Array, Array]:
        """Return one-hot labels (absent the last; none if unknown) and the adjacency matrix."""
        absent = len(self._label_number)
        labels = np.zeros((slots, absent + 1), np.float32)
        for slot in range(slots):
            if slot >= len(graph.labels):
                labels[slot, absent] = 1
            elif graph.labels[slot] in self._label_number:
                labels[slot, self._label_number[graph.labels[slot]]] = 1
        adjacency = np.zeros((slots + 2, slots + 2), np.float32)
        for u, v in graph.edges:
            adjacency[u, v] = 1
        return labels, adjacency

    def _placements(self, graph: _Graph, slots: int) -> Array:
        """Return the features of every placement; an edge weighs 2, as both graphs count it."""
        labels, adjacency = self._features(graph, slots)
        order = _permutations(slots)
        whole = np.concatenate([np.zeros((len(order), 1), int), order + 1], axis=1)
        whole = np.concatenate([whole, np.full((len(order), 1), slots + 1)], axis=1)
        placed_labels = labels[order].reshape(len(order), -1)
        placed_edges = adjacency[whole[:, :, None], whole[:, None, :]].reshape(len(order), -1)
        return np.concatenate([placed_labels, 2 * placed_edges], axis=1)


@dataclass(frozen=True)
class _Graph:
    """Inner nodes numbered from 1, input 0, output -1 (so that it is last in any matrix)."""

    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    kinds: tuple[tuple[str, str], ...]
    degrees: Array
    """Out- and in-degrees: input, output, then the inner nodes from the largest (``2 x 8``)."""


def _graph(architecture: Architecture) -> _Graph:
    flat = architecture.operations_on_nodes()
    inner = [i for i, label in enumerate(flat.nodes) if label not in (INPUT, OUTPUT)]
    number = {node: i for i, node in enumerate(inner, start=1)}
    number |= {flat.input: 0, flat.output: -1}
    edges = tuple((number[u], number[v]) for u, v, _ in flat.edges)
    degrees = np.zeros((2, max(MAX_EXACT, len(inner)) + 2), np.int64)
    for u, v in edges:
        degrees[0, u] += 1
        degrees[1, v] += 1
    inner_degrees = -np.sort(-degrees[:, 1:-1], axis=1)
    return _Graph(
        tuple(flat.nodes[i] for i in inner),
        edges,
        tuple((flat.nodes[u], flat.nodes[v]) for u, v, _ in flat.edges),
        np.concatenate([degrees[:, [0, -1]], inner_degrees], axis=1),
    )


def _numbering(items: Iterable[Any]) -> dict[Any, int]:
    return {item: i for i, item in enumerate(dict.fromkeys(items))}


def _counts(bags: Sequence[Sequence[Any]], number: dict[Any, int]) -> Array:
    """Return how often each numbered item is in each bag (``n x len(number)``)."""
    counts = np.zeros((len(bags), len(number)), np.int64)
    for i, bag in enumerate(bags):
        for item in bag:
            if item in number:
                counts[i, number[item]] += 1
    return counts


def _distinct(rows: Array) -> Array:
    """Return the distinct rows of a matrix, each of whose columns holds 0 and one other value."""
    # Some times faster than `numpy.unique`, which sorts.
    packed = np.packbits(rows > 0, axis=1)
    return rows[list(dict(zip(map(bytes, packed), range(len(rows)), strict=True)).values())]


@cache
def _permutations(n: int) -> Array:
    return np.array(list(itertools.permutations(range(n))), dtype=int).reshape(-1, n)
