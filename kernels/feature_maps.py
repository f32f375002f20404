"""Feature maps: from architectures to blocks of counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from graphbo.architecture import Architecture
from graphbo.kernels.counts import Counts, Hashes, mix
from graphbo.kernels.flat import FlatGraphs
from graphbo.kernels.naming import Feature, Occurrence, subtree_names

_AT_ONCE = 100_000


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
        graphs = [graph.operations_on_nodes() for graph in architectures]
        parts = [self._counts(part) for part in self._split(graphs)]
        return parts[0] if len(parts) == 1 else [*map(Counts.concatenate, zip(*parts, strict=True))]

    def _cost(self, graph: Architecture) -> int:
        """Return a number to which the memory that the graph takes is about proportional."""
        return len(graph.edges)

    def _split(self, graphs: Sequence[Architecture]) -> Iterator[Sequence[Architecture]]:
        """Yield runs of graphs that take a bounded amount of memory, or one graph alone."""
        start, total = 0, 0
        for i, cost in enumerate(map(self._cost, graphs)):
            total += cost
            if total > _AT_ONCE and i > start:
                yield graphs[start:i]
                start, total = i, cost
        yield graphs[start:]

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


class DerivedMap(FeatureMap):
    """Blocks that are a function of the counts of another map.

    What occurs in an architecture are the features of the other map.

    Args:
        source: The other map.
    """

    def __init__(self, source: FeatureMap) -> None:
        self.source = source

    @abstractmethod
    def derived(self, counts: Sequence[Counts]) -> list[Counts]:
        """Return one `Counts` for each block, from one for each block of the other map."""

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return where the features of the other map occur; see `FeatureMap.occurrences`."""
        return self.source.occurrences(architecture)

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        return self.derived(self.source._counts(graphs))


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
        flat = FlatGraphs.of(graphs)
        return [Counts.of(flat.n, flat.owner, labels) for labels in self._labels(flat)]

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every occurrence of every subtree; see `FeatureMap.occurrences`."""
        graph = architecture.operations_on_nodes()
        levels = zip(
            self.blocks,
            self._labels(FlatGraphs.of([graph])),
            subtree_names(graph, self.depth),
            strict=True,
        )
        return [
            Occurrence(Feature(block, int(key), name), (node,))
            for block, keys, names in levels
            for node, (key, name) in enumerate(zip(keys, names, strict=True))
        ]

    def _labels(self, flat: FlatGraphs) -> list[Hashes]:
        """Return the label of each node of each graph, at each depth."""
        result = [flat.labels]
        for _ in range(self.depth):
            labels = mix(result[-1])
            into, out = np.zeros_like(labels), np.zeros_like(labels)
            # A sum of scrambled values modulo 2^64 is a hash of a multiset.
            words = mix(labels)
            np.add.at(into, flat.target, words[flat.source])
            np.add.at(out, flat.source, words[flat.target])
            result.append(mix(mix(labels + into) + mix(out)))
        return result
