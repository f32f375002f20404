"""Kernels on the distances between nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphbo.architecture import Architecture
from graphbo.kernels.base import LinearFeatureKernel
from graphbo.kernels.counts import Counts, mix
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.flat import FlatGraphs
from graphbo.kernels.store import Decoder, FeatureStore


class ShortestPathMap(FeatureMap):
    """Counts of the triples (label of u, label of v, edges on the shortest path from u to v).

    Taken over all ordered pairs of different nodes of which the second can be reached along
    directed edges from the first, in one block.

    Reference: Borgwardt and Kriegel, "Shortest-path kernels on graphs", ICDM 2005.
    """

    blocks = ("shortest_paths",)

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        flat = FlatGraphs.of(graphs)
        frontier = reached = flat.adjacency
        rows, columns, distance = [flat.owner[:0]], [flat.labels[:0]], 0
        while frontier.nnz:
            distance += 1
            u, v = (nodes.astype(np.int64) for nodes in frontier.nonzero())
            rows.append(flat.owner[u])
            columns.append(mix(mix(mix(flat.labels[u]) + flat.labels[v]) + np.uint64(distance)))
            further = (frontier @ flat.adjacency).sign()
            frontier = further - further.multiply(reached)
            frontier.eliminate_zeros()
            reached = reached + frontier
        return [Counts.of(flat.n, np.concatenate(rows), np.concatenate(columns))]


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
