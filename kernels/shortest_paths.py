"""Kernels on the distances between nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphbo.architecture import Architecture
from graphbo.kernels.base import LinearFeatureKernel
from graphbo.kernels.counts import Counts, Hashes, Indices, mix
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.flat import FlatGraphs
from graphbo.kernels.naming import Feature, Occurrence
from graphbo.kernels.store import Decoder, FeatureStore


class ShortestPathMap(FeatureMap):
    """Counts of the triples (label of u, label of v, edges on the shortest path from u to v).

    Taken over all ordered pairs of different nodes of which the second can be reached along
    directed edges from the first, in one block.

    Reference: Borgwardt and Kriegel, "Shortest-path kernels on graphs", ICDM 2005.
    """

    blocks = ("shortest_paths",)

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every pair of nodes that a path joins; see `FeatureMap.occurrences`."""
        graph = architecture.operations_on_nodes()
        result = []
        for u, v, length, key in zip(*_pairs(FlatGraphs.of([graph])), strict=True):
            edges = "1 edge" if length == 1 else f"{length} edges"
            name = f"{graph.nodes[u]} to {graph.nodes[v]}: {edges}"
            feature = Feature(self.blocks[0], int(key), name)
            result.append(Occurrence(feature, (int(u), int(v))))
        return result

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        flat = FlatGraphs.of(graphs)
        source, _, _, names = _pairs(flat)
        return [Counts.of(flat.n, flat.owner[source], names)]


def _pairs(flat: FlatGraphs) -> tuple[Indices, Indices, Indices, Hashes]:
    """Return the pairs of nodes that paths join, their distances, and the hashes of their names."""
    frontier = reached = flat.adjacency
    parts, distance = [np.zeros((3, 0), np.int64)], 0
    while frontier.nnz:
        distance += 1
        u, v = frontier.nonzero()
        parts.append(np.stack([u, v, np.full(len(u), distance)]).astype(np.int64))
        further = (frontier @ flat.adjacency).sign()
        frontier = further - further.multiply(reached)
        frontier.eliminate_zeros()
        reached = reached + frontier
    u, v, distances = np.concatenate(parts, axis=1)
    names = mix(mix(mix(flat.labels[u]) + flat.labels[v]) + distances.astype(np.uint64))
    return u, v, distances, names


class ShortestPathKernel(LinearFeatureKernel):
    r"""The shortest-path kernel.

    .. math:: k(x, x') = \sum_{u, v} \sum_{u', v'} [l(u) = l(u')] \, [l(v) = l(v')] \,
        [d(u, v) = d(u', v')]

    over the pairs of nodes that directed paths join, where l is a node's label and d the number of
    edges on the shortest path; see `ShortestPathMap`.

    Reference: Borgwardt and Kriegel, "Shortest-path kernels on graphs", ICDM 2005.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        kwargs: What `LinearFeatureKernel` takes.
    """

    def __init__(self, decoder: Decoder, **kwargs: Any) -> None:
        super().__init__(FeatureStore(decoder, ShortestPathMap()), **kwargs)
