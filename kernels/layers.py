"""The layers of networks, with their masses and how far they are from both ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels.distances import Floats

_NO_PATH = 1e6


@dataclass(frozen=True)
class Layers:
    """The layers of some networks.

    Attributes:
        starts: Where the operations of each network begin, and where the last end (``n + 1``).
        labels: The operation of each of ``k`` layers.
        masses: Their masses (``k``).
        paths: Their path lengths (``k x 6``).
        ends: The path lengths of the input and of the output (``n x 2 x 6``).
        totals: The mass of all operations, at least 1 (``n``).
    """

    starts: list[int]
    labels: list[str]
    masses: Floats
    paths: Floats
    ends: Floats
    totals: Floats

    @classmethod
    def of(cls, architectures: Sequence[Architecture], masses: Mapping[str, float]) -> Layers:
        """Lay out architectures as `operations_on_nodes` and `pruned` leave them.

        Args:
            architectures: The networks.
            masses: The mass of an operation by its label, 1 for those that are not named.
        """
        starts: list[int] = [0]
        labels: list[str] = []
        paths: list[Floats] = []
        ends: list[Floats] = []
        totals: list[float] = []
        for architecture in architectures:
            graph = architecture.operations_on_nodes().pruned()
            lengths = path_lengths(graph)
            inner = [i for i, label in enumerate(graph.nodes) if label not in (INPUT, OUTPUT)]
            labels.extend(graph.nodes[i] for i in inner)
            paths.extend(lengths[i] for i in inner)
            ends.append(lengths[[graph.input, graph.output]])
            totals.append(max(sum(masses.get(graph.nodes[i], 1.0) for i in inner), 1.0))
            starts.append(len(labels))
        return cls(
            starts,
            labels,
            np.array([masses.get(label, 1.0) for label in labels]),
            np.array(paths).reshape(-1, 6),
            np.array(ends).reshape(-1, 2, 6),
            np.array(totals),
        )

    def parts(self) -> list[slice]:
        """Return which layers are those of each network."""
        return [slice(a, b) for a, b in zip(self.starts, self.starts[1:], strict=False)]


def path_lengths(graph: Architecture) -> Floats:
    """Return how far each node is from the input and from the output.

    Args:
        graph: An architecture with ``n`` nodes.

    Returns:
        The shortest, the longest and the mean length of a path from the input, and the same to the
        output (``n x 6``). The mean is that of a random walk, which takes each edge with the same
        probability; from the input it is walked backwards.
    """
    n = len(graph)
    forward = [(u, v) for u, v, _ in graph.edges]
    backward = [(n - 1 - v, n - 1 - u) for u, v in forward]
    there = _lengths_from(graph.input, n, forward)
    back = _lengths_from(n - 1 - graph.output, n, backward)
    return np.concatenate([there, back[::-1]], axis=1)


def _lengths_from(start: int, n: int, edges: Sequence[tuple[int, int]]) -> Floats:
    """Return the shortest, longest and mean lengths; every edge leads to a larger number."""
    lengths = np.full((n, 3), _NO_PATH)
    lengths[start] = 0
    for v in range(n):
        before = lengths[[u for u, target in edges if target == v]]
        if len(before):
            lengths[v] = 1 + before[:, 0].min(), 1 + before[:, 1].max(), 1 + before[:, 2].mean()
    return lengths
