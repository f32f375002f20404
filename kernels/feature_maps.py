"""Feature maps: from architectures to blocks of counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from graphbo.architecture import Architecture
from graphbo.kernels.counts import Counts, Hashes, Indices, hash_texts, mix
from graphbo.kernels.naming import Feature, Occurrence, subtree_names


class FeatureMap(ABC):
    """Maps architectures to one or more blocks of sparse counts.

    Operations on edges are first moved to nodes (`Architecture.operations_on_nodes`).

    Attributes:
        blocks: The names of the blocks.
    """

    blocks: tuple[str, ...]

    @abstractmethod
    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        """Return one `Counts` for each block, of graphs with operations on nodes."""

    def __call__(self, architectures: Sequence[Architecture]) -> list[Counts]:
        """Return one `Counts` for each block, with a row for each architecture."""
        return self._counts([graph.operations_on_nodes() for graph in architectures])

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return where each feature occurs in an architecture, named and located.

        Without an override of its own a map calls features by their hashes and gives them no
        place.
        """
        return [
            Occurrence(Feature(block, int(key), f"{block} {int(key):016x}"), times=float(count))
            for block, counts in zip(self.blocks, self([architecture]), strict=True)
            for key, count in zip(counts.columns, counts.values, strict=True)
        ]


class WeisfeilerLehmanMap(FeatureMap):
    """Counts of Weisfeiler-Lehman subtree labels, one block for each depth.

    At depth 0 a node's label is its own. At each further depth it is renamed by its label and the
    multisets of its in-neighbours' and its out-neighbours' labels, which are told apart. All nodes
    of all graphs are renamed at once, in time linear in the number of edges.

    Reference: Shervashidze et al., "Weisfeiler-Lehman graph kernels", JMLR 12 (2011).

    Args:
        depth: The largest depth, at least 0.
    """

    def __init__(self, depth: int = 2) -> None:
        if depth < 0:
            raise ValueError(f"the depth must be at least 0; got {depth}")
        self.depth = depth
        self.blocks = tuple(f"depth_{h}" for h in range(depth + 1))

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        sizes = np.fromiter((len(graph) for graph in graphs), np.int64, len(graphs))
        owner = np.repeat(np.arange(len(graphs)), sizes)
        return [Counts.of(len(graphs), owner, labels) for labels in self._labels(graphs)]

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every occurrence of every subtree; see `FeatureMap.occurrences`."""
        graph = architecture.operations_on_nodes()
        levels = zip(
            self.blocks, self._labels([graph]), subtree_names(graph, self.depth), strict=True
        )
        return [
            Occurrence(Feature(block, int(key), name), (node,))
            for block, keys, names in levels
            for node, (key, name) in enumerate(zip(keys, names, strict=True))
        ]

    def _labels(self, graphs: Sequence[Architecture]) -> list[Hashes]:
        """Return the label of each node of each graph, at each depth."""
        sizes = np.fromiter((len(graph) for graph in graphs), np.int64, len(graphs))
        labels = hash_texts([label for graph in graphs for label in graph.nodes])
        offsets = np.cumsum(sizes) - sizes
        degrees = [len(graph.edges) for graph in graphs]
        ends = np.array(
            [edge[:2] for graph in graphs for edge in graph.edges], dtype=np.int64
        ).reshape(-1, 2) + np.repeat(offsets, degrees).reshape(-1, 1)
        source, target = ends[:, 0], ends[:, 1]
        words = hash_texts([edge[2] for graph in graphs for edge in graph.edges])
        result = [labels]
        for _ in range(self.depth):
            result.append(self._renamed(result[-1], source, target, words))
        return result

    @staticmethod
    def _renamed(labels: Hashes, source: Indices, target: Indices, words: Hashes) -> Hashes:
        """Hash each node's label with the multisets of its neighbours' labels."""
        into, out = np.zeros_like(labels), np.zeros_like(labels)
        # A sum of scrambled values modulo 2^64 is a hash of a multiset.
        np.add.at(into, target, mix(mix(labels[source]) ^ words))
        np.add.at(out, source, mix(mix(labels[target]) ^ words))
        return mix(mix(mix(labels) + into) + mix(out))
