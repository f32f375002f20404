"""Many architectures as one disconnected graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from graphbo.architecture import INPUT, OUTPUT, Architecture

PLAIN = ""
"""The label of nodes that only add up what comes in."""


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """The graphs of ``n`` architectures side by side, operations on nodes.

    Nodes are numbered through, ``N`` in all, those of a graph after each other and in topological
    order; ``E`` is the number of edges.

    Attributes:
        labels: Index of each node's label in the vocabulary, `N`.
        edges: Tails and heads of the edges, `2 x E`.
        graph: The graph that each node belongs to, `N`, ascending.
        depth: The length of the longest path from the input to each node, `N`.
        height: The length of the longest path from each node to the output, `N`.
        starts: The first node of each graph, and the number of nodes, `n + 1`.
    """

    labels: Tensor
    edges: Tensor
    graph: Tensor
    depth: Tensor
    height: Tensor
    starts: Tensor

    @classmethod
    def of(cls, architectures: Sequence[Architecture], vocabulary: Sequence[str]) -> GraphBatch:
        """Return the batch of some architectures.

        Raises:
            ValueError: If an architecture carries a label that is not in the vocabulary.
        """
        index = {label: i for i, label in enumerate(vocabulary)}
        labels: list[int] = []
        edges: list[tuple[int, int]] = []
        depth: list[int] = []
        height: list[int] = []
        starts = [0]
        for architecture in architectures:
            # The canonical form, so that isomorphic ones agree to the last bit.
            graph = architecture.operations_on_nodes().canonical()
            unknown = sorted(set(graph.nodes) - set(index))
            if unknown:
                raise ValueError(
                    f"the label {unknown[0]!r} is not among the operations {list(vocabulary)[3:]}"
                )
            first, n = starts[-1], len(graph)
            down, up = [0] * n, [0] * n
            for tail, head, _ in sorted(graph.edges):
                down[head] = max(down[head], down[tail] + 1)
            for tail, head, _ in sorted(graph.edges, reverse=True):
                up[tail] = max(up[tail], up[head] + 1)
            labels += [index[label] for label in graph.nodes]
            edges += [(first + tail, first + head) for tail, head, _ in graph.edges]
            depth += down
            height += up
            starts.append(first + n)
        counts = np.diff(starts)
        return cls(
            torch.tensor(labels, dtype=torch.long),
            torch.tensor(edges, dtype=torch.long).reshape(-1, 2).mT.contiguous(),
            torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).long(),
            torch.tensor(depth, dtype=torch.long),
            torch.tensor(height, dtype=torch.long),
            torch.tensor(starts, dtype=torch.long),
        )

    def __len__(self) -> int:
        """The number of graphs."""
        return len(self.starts) - 1

    def to(self, device: torch.device | str) -> GraphBatch:
        """Return the same batch on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items()}
        return GraphBatch(**moved)

    def with_labels(self, labels: Tensor) -> GraphBatch:
        """Return the same graphs with other labels, `N`."""
        return replace(self, labels=labels)

    def with_edges(self, kept: Tensor) -> GraphBatch:
        """Return the same nodes with some of the edges (a mask, `E`); depths stay as they are."""
        return replace(self, edges=self.edges[:, kept])

    def select(self, indices: Tensor) -> GraphBatch:
        """Return the batch of some of the graphs, `k` indices, in their order.

        Only for batches whose edges are ordered by graph, as those of `of` are.
        """
        nodes, sizes = _ranges(self.starts, indices)
        starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        edge_graph = self.graph[self.edges[0]]
        bounds = torch.searchsorted(edge_graph, torch.arange(len(self) + 1).to(edge_graph))
        edges, counts = _ranges(bounds, indices)
        shift = (starts[:-1] - self.starts[indices]).repeat_interleave(counts)
        return GraphBatch(
            self.labels[nodes],
            self.edges[:, edges] + shift,
            torch.arange(len(indices)).to(nodes).repeat_interleave(sizes),
            self.depth[nodes],
            self.height[nodes],
            starts,
        )

    def reversed(self) -> GraphBatch:
        """Return the graphs with all edges turned round."""
        return replace(self, edges=self.edges.flip(0), depth=self.height, height=self.depth)


def vocabulary(operations: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that nodes may carry: the ends, plain ones, and the operations.

    Raises:
        ValueError: If there is no operation, one is repeated, or one is called like an end or "".
    """
    labels = (INPUT, OUTPUT, PLAIN, *operations)
    if not operations or len(set(labels)) < len(labels):
        raise ValueError(
            "the operations must be distinct, and at least one, but none of "
            f"{INPUT!r}, {OUTPUT!r} and {PLAIN!r}; got {operations}"
        )
    return labels


def _ranges(starts: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions in the chosen ranges, one range after the other, and their sizes."""
    first = starts[indices]
    sizes = starts[indices + 1] - first
    ends = sizes.cumsum(0)
    offset = (first - ends + sizes).repeat_interleave(sizes)
    return offset + torch.arange(int(sizes.sum())).to(offset), sizes
