"""Kernels on small induced subgraphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from graphbo.architecture import Architecture
from graphbo.canonical import canonical_order
from graphbo.kernels.base import LinearFeatureKernel
from graphbo.kernels.counts import Counts, Hashes, Indices, mix
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.flat import FlatGraphs
from graphbo.kernels.naming import MOST_PLACES, Feature, Occurrence
from graphbo.kernels.store import Decoder, FeatureStore

_SIZES = (2, 3, 4)


class GraphletMap(FeatureMap):
    """Counts of the connected induced subgraphs with few nodes, one block for each number of nodes.

    Subgraphs count as the same if they are isomorphic as labelled directed graphs; connected is
    meant without regard to direction.

    Reference: Shervashidze et al., "Efficient graphlet kernels for large graph comparison",
    AISTATS 2009.

    Args:
        size: The largest number of nodes, 2 to 4; all from 2 on are counted.

    Raises:
        ValueError: If the size is none of these.
    """

    def __init__(self, size: int = 3) -> None:
        if size not in _SIZES:
            raise ValueError(f"graphlets have 2, 3 or 4 nodes; got {size}")
        self.size = size
        self.blocks = tuple(f"size_{nodes}" for nodes in range(2, size + 1))

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every graphlet and its nodes; see `FeatureMap.occurrences`.

        Where those of one size have more than `MOST_PLACES`, they are counted without.
        """
        graph = architecture.operations_on_nodes()
        result = []
        for block, (subsets, keys) in zip(
            self.blocks, self._subgraphs(FlatGraphs.of([graph])), strict=True
        ):
            distinct, chosen, which, times = np.unique(
                keys, return_index=True, return_inverse=True, return_counts=True
            )
            features = [
                Feature(block, int(key), _name(subsets[i].tolist(), graph))
                for key, i in zip(distinct, chosen, strict=True)
            ]
            if len(subsets) <= MOST_PLACES:
                places = map(tuple, subsets.tolist())
                result += [
                    Occurrence(features[i], nodes) for i, nodes in zip(which, places, strict=True)
                ]
            else:
                pairs = zip(features, times.tolist(), strict=True)
                result += [Occurrence(feature, times=float(count)) for feature, count in pairs]
        return result

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        flat = FlatGraphs.of(graphs)
        found = self._subgraphs(flat)
        return [Counts.of(flat.n, flat.owner[nodes[:, 0]], keys) for nodes, keys in found]

    def _cost(self, graph: Architecture) -> int:
        return comb(len(graph), self.size)

    def _subgraphs(self, flat: FlatGraphs) -> Iterator[tuple[Indices, Hashes]]:
        """Yield the nodes of the graphlets of each size and the hashes of their classes."""
        neighbours = (flat.adjacency + flat.adjacency.T).tocsr()
        subsets = np.stack([flat.source, flat.target], axis=1)
        for size in range(2, self.size + 1):
            if size > 2:
                subsets = _grown(subsets, neighbours)
            yield subsets, _hashes(subsets, flat)


class GraphletKernel(LinearFeatureKernel):
    r"""The graphlet kernel, with a learnt weight for each size.

    .. math:: k(x, x') = \sum_{s=2}^{S} w_s \langle c_s(x), c_s(x') \rangle

    where :math:`c_s` counts the connected induced subgraphs with s nodes; see `GraphletMap`.

    Reference: Shervashidze et al., "Efficient graphlet kernels for large graph comparison",
    AISTATS 2009.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        size: The largest number of nodes S, 2 to 4.
        kwargs: What `LinearFeatureKernel` takes.
    """

    def __init__(self, decoder: Decoder, size: int = 3, **kwargs: Any) -> None:
        super().__init__(FeatureStore(decoder, GraphletMap(size)), **kwargs)


def _grown(subsets: Indices, neighbours: sp.csr_matrix) -> Indices:
    """Return the connected sets of nodes that have one node more, each once.

    Args:
        subsets: `s x k`, each row ascending.
        neighbours: The symmetric adjacency matrix.

    Returns:
        `t x (k + 1)`, each row ascending.
    """
    parts = []
    for column in subsets.T:
        begin = neighbours.indptr[column].astype(np.int64)
        degree = neighbours.indptr[column + 1] - begin
        origin = np.repeat(np.arange(len(column)), degree)
        place = np.arange(len(origin)) + np.repeat(begin - (np.cumsum(degree) - degree), degree)
        added = neighbours.indices[place].astype(np.int64)
        new = (subsets[origin] != added[:, None]).all(axis=1)
        parts.append(np.column_stack([subsets[origin[new]], added[new]]))
    grown = np.sort(np.concatenate(parts), axis=1)
    grown = grown[np.lexsort(grown.T[::-1])]
    repeated = (grown[1:] == grown[:-1]).all(axis=1)
    kept: Indices = grown[np.concatenate([np.ones(min(len(grown), 1), bool), ~repeated])]
    return kept


def _hashes(subsets: Indices, flat: FlatGraphs) -> Hashes:
    """Hash induced subgraphs so that those and only those that are isomorphic agree."""
    k, size = subsets.shape[1], len(flat.owner)
    pairs = list(combinations(range(k), 2))
    edges = np.sort(flat.source * size + flat.target)
    joined = {(i, j): _contains(edges, subsets[:, i] * size + subsets[:, j]) for i, j in pairs}
    labels = flat.labels[subsets]
    names = np.zeros(len(subsets), np.uint64)
    # The multiset of all drawings is an invariant, and a complete one; a sum hashes it.
    for order in permutations(range(k)):
        drawing = np.zeros(len(subsets), np.uint64)
        for place in order:
            drawing = mix(drawing + labels[:, place])
        matrix = np.zeros(len(subsets), np.uint64)
        for (i, j), there in joined.items():
            matrix |= there.astype(np.uint64) << np.uint64(order.index(i) * k + order.index(j))
        names += mix(drawing + mix(matrix))
    return names


def _name(nodes: Sequence[int], graph: Architecture) -> str:
    """Return the edges of an induced subgraph, as in ``"conv -> conv#2, pool -> conv#2"``."""
    edges = [(u, v) for u, v, _ in graph.edges if u in nodes and v in nodes]
    depth = dict.fromkeys(nodes, 0)
    for u, v in edges:  # sorted, and so in topological order
        depth[v] = max(depth[v], depth[u] + 1)
    order = canonical_order(
        [f"{depth[node]} {graph.nodes[node]}" for node in nodes],
        [(nodes.index(u), nodes.index(v), "") for u, v in edges],
    )
    names: dict[int, str] = {}
    seen: Counter[str] = Counter()
    for node in (nodes[i] for i in order):
        label = graph.nodes[node]
        seen[label] += 1
        names[node] = label if seen[label] == 1 else f"{label}#{seen[label]}"
    place = {node: i for i, node in enumerate(names)}
    edges.sort(key=lambda edge: (place[edge[0]], place[edge[1]]))
    return ", ".join(f"{names[u]} -> {names[v]}" for u, v in edges)


def _contains(values: Indices, wanted: Indices) -> npt.NDArray[np.bool_]:
    """Return which numbers are among some sorted values."""
    if not len(values):
        return np.zeros(len(wanted), bool)
    position = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    there: npt.NDArray[np.bool_] = values[position] == wanted
    return there
