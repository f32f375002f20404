"""Feature maps: from architectures to blocks of counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from graphbo.architecture import OUTPUT, Architecture
from graphbo.kernels.counts import Counts, Hashes, Indices, hash_texts, mix


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
        labels = hash_texts([label for graph in graphs for label in graph.nodes])
        offsets = np.cumsum(sizes) - sizes
        degrees = [len(graph.edges) for graph in graphs]
        ends = np.array(
            [edge[:2] for graph in graphs for edge in graph.edges], dtype=np.int64
        ).reshape(-1, 2) + np.repeat(offsets, degrees).reshape(-1, 1)
        source, target = ends[:, 0], ends[:, 1]
        words = hash_texts([edge[2] for graph in graphs for edge in graph.edges])
        result = [Counts.of(len(graphs), owner, labels)]
        for _ in range(self.depth):
            labels = self._renamed(labels, source, target, words)
            result.append(Counts.of(len(graphs), owner, labels))
        return result

    @staticmethod
    def _renamed(labels: Hashes, source: Indices, target: Indices, words: Hashes) -> Hashes:
        """Hash each node's label with the multisets of its neighbours' labels."""
        into, out = np.zeros_like(labels), np.zeros_like(labels)
        # A sum of scrambled values modulo 2^64 is a hash of a multiset.
        np.add.at(into, target, mix(mix(labels[source]) ^ words))
        np.add.at(out, source, mix(mix(labels[target]) ^ words))
        return mix(mix(mix(labels) + into) + mix(out))


class PathMap(FeatureMap):
    """Counts of the operation sequences on the paths from the input to the output, in one block.

    Reference: White et al., "BANANAS", AAAI 2021, whose encoding says which paths exist.
    """

    blocks = ("paths",)

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        rows: list[int] = []
        names: list[str] = []
        for i, graph in enumerate(graphs):
            paths = operation_paths(graph)
            rows.extend([i] * len(paths))
            names.extend(paths)
        return [Counts.of(len(graphs), np.array(rows, dtype=np.int64), hash_texts(names))]


def operation_paths(graph: Architecture) -> list[str]:
    """Return the operations along each input-output path, joined by ``"/"``, with repetitions."""
    successors: dict[int, list[int]] = {}
    for u, v, _ in graph.edges:
        successors.setdefault(u, []).append(v)
    paths, stack = [], [(graph.input, "")]
    while stack:
        node, prefix = stack.pop()
        for target in successors.get(node, ()):
            if graph.nodes[target] == OUTPUT:
                paths.append(prefix)
            else:
                stack.append((target, f"{prefix}/{graph.nodes[target]}"))
    return paths
