"""Kernels on small induced subgraphs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from graphbo.architecture import Architecture
from graphbo.kernels.base import LinearFeatureKernel
from graphbo.kernels.counts import Counts, Hashes, Indices, mix
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.flat import FlatGraphs
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

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        flat = FlatGraphs.of(graphs)
        neighbours = (flat.adjacency + flat.adjacency.T).tocsr()
        subsets = np.sort(np.stack([flat.source, flat.target], axis=1), axis=1)
        result = []
        for size in range(2, self.size + 1):
            if size > 2:
                subsets = _grown(subsets, neighbours)
            names = _names(subsets, flat)
            result.append(Counts.of(flat.n, flat.owner[subsets[:, 0]], names))
        return result


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


def _names(subsets: Indices, flat: FlatGraphs) -> Hashes:
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


def _contains(values: Indices, wanted: Indices) -> npt.NDArray[np.bool_]:
    """Return which numbers are among some sorted values."""
    if not len(values):
        return np.zeros(len(wanted), bool)
    position = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    there: npt.NDArray[np.bool_] = values[position] == wanted
    return there
