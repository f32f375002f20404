"""Kernels on walks along the edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphbo.architecture import Architecture
from graphbo.kernels.base import LinearFeatureKernel
from graphbo.kernels.counts import Counts
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.flat import FlatGraphs, gapped_walks
from graphbo.kernels.naming import Occurrence, walk_occurrences
from graphbo.kernels.store import Decoder, FeatureStore


class RandomWalkMap(FeatureMap):
    """Counts of the label sequences along directed walks, one block for each number of edges.

    Reference: Gärtner et al., "On graph kernels: hardness results and efficient alternatives",
    COLT 2003.

    Args:
        length: The largest number of edges in a walk, at least 0. A walk in an acyclic graph
            visits no node twice, so that a length one below the number of nodes takes them all.

    Raises:
        ValueError: If the length is negative.
    """

    def __init__(self, length: int = 4) -> None:
        if length < 0:
            raise ValueError(f"the length of walks must be at least 0; got {length}")
        self.length = length
        self.blocks = tuple(f"length_{edges}" for edges in range(length + 1))

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every walk and its nodes; see `FeatureMap.occurrences`."""
        graph = architecture.operations_on_nodes()
        blocks = {(n, 0): block for n, block in enumerate(self.blocks, 1)}
        return walk_occurrences(FlatGraphs.of([graph]), graph.nodes, blocks)

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        flat = FlatGraphs.of(graphs)
        return [walks.counted(flat) for walks in gapped_walks(flat, self.length + 1)]


class RandomWalkKernel(LinearFeatureKernel):
    r"""The random-walk kernel of the direct product graph, with a learnt weight for each length.

    .. math:: k(x, x') = \sum_{l=0}^{L} w_l \, e^\top A_\times^l e
        = \sum_{l=0}^{L} w_l \langle c_l(x), c_l(x') \rangle

    where :math:`A_\times` is the adjacency matrix of the direct product of the graphs, whose nodes
    are the pairs of nodes with equal labels, and :math:`c_l` counts the label sequences of walks
    of l edges: a walk in the product is a pair of walks with equal labels. In acyclic graphs walks
    end, so that the infinite series of general graphs is a finite sum: nothing is lost once L is
    the length of the longest path, and no decay is needed for convergence. The geometric series is
    :math:`w_l = \lambda^l`.

    Reference: Gärtner et al., "On graph kernels: hardness results and efficient alternatives",
    COLT 2003; Vishwanathan et al., "Graph kernels", JMLR 11 (2010).

    Args:
        decoder: From a row of integers to its architecture; picklable.
        length: The largest number of edges L.
        kwargs: What `LinearFeatureKernel` takes.
    """

    def __init__(self, decoder: Decoder, length: int = 4, **kwargs: Any) -> None:
        super().__init__(FeatureStore(decoder, RandomWalkMap(length)), **kwargs)
