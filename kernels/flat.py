"""Many small graphs as one, in arrays, so that feature maps treat them all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels.counts import Counts, Hashes, Indices, hash_text, hash_texts, mix

Weights = npt.NDArray[np.float64]

_MOST_WALKS = 200_000


@dataclass(frozen=True)
class FlatGraphs:
    """The disjoint union of ``n`` directed acyclic graphs with labelled nodes.

    Attributes:
        n: The number of graphs.
        owner: The graph of each node, ascending.
        labels: The hash of each node's label.
        source: The node that each edge leaves; smaller than the one it enters.
        target: The node that each edge enters.
    """

    n: int
    owner: Indices
    labels: Hashes
    source: Indices
    target: Indices

    @classmethod
    def of(cls, graphs: Sequence[Architecture]) -> FlatGraphs:
        """Lay out graphs with operations on nodes, whose edges have no labels."""
        sizes = np.array([len(graph.nodes) for graph in graphs], np.int64)
        degrees = np.array([len(graph.edges) for graph in graphs], np.int64)
        edges = list(chain.from_iterable(graph.edges for graph in graphs))
        shift = np.repeat(np.cumsum(sizes) - sizes, degrees)
        source, target = (
            np.fromiter(map(itemgetter(end), edges), np.int64, len(edges)) for end in (0, 1)
        )
        owner = np.repeat(np.arange(len(graphs)), sizes)
        labels = hash_texts(list(chain.from_iterable(graph.nodes for graph in graphs)))
        return cls(len(graphs), owner, labels, source + shift, target + shift)

    @classmethod
    def of_strings(cls, strings: Sequence[Sequence[str]]) -> FlatGraphs:
        """Lay out strings of tokens as chains."""
        sizes = np.fromiter((len(string) for string in strings), np.int64, len(strings))
        owner = np.repeat(np.arange(len(strings)), sizes)
        source = np.flatnonzero(owner[1:] == owner[:-1])
        labels = hash_texts([token for string in strings for token in string])
        return cls(len(strings), owner, labels, source, source + 1)

    @cached_property
    def adjacency(self) -> sp.csr_matrix:
        """The `nodes x nodes` matrix with a one for each edge."""
        size = len(self.owner)
        entries = (np.ones(len(self.source)), (self.source, self.target))
        return sp.csr_matrix(entries, shape=(size, size))

    def layers(self) -> Indices:
        """Return the number of edges on the longest path that leads to each node."""
        layer = np.zeros(len(self.owner), np.int64)
        while (behind := layer[self.target] <= layer[self.source]).any():
            late = self.target[behind]
            np.maximum.at(layer, late, layer[self.source[behind]] + 1)
        return layer

    def path_counts(self) -> tuple[Weights, Weights]:
        """Return how many paths lead from the input to each node, and from it to the output."""
        forward = _total_flow(self.adjacency.T.tocsr(), self.labels == hash_text(INPUT))
        backward = _total_flow(self.adjacency, self.labels == hash_text(OUTPUT))
        return forward, backward


def _total_flow(matrix: sp.csr_matrix, start: npt.NDArray[np.bool_]) -> Weights:
    flow = start.astype(np.float64)
    total = np.zeros_like(flow)
    while flow.any():
        total += flow
        flow = matrix @ flow
    return total


@dataclass(frozen=True)
class Walks:
    """Label sequences of walks, as entries that may be repeated.

    Attributes:
        node: The last node of each entry.
        words: The hash of the sequence of labels.
        gaps: How many nodes were skipped on the way.
        counts: How many walks there are.
    """

    node: Indices
    words: Hashes
    gaps: Indices
    counts: Weights

    def chosen(self, which: npt.NDArray[np.bool_] | Indices) -> Walks:
        """Return some of the entries."""
        return Walks(self.node[which], self.words[which], self.gaps[which], self.counts[which])

    def counted(self, flat: FlatGraphs, last: Weights | None = None) -> Counts:
        """Count the label sequences in each graph.

        Args:
            flat: The graphs.
            last: How often a walk counts, by its last node; once by default.
        """
        if last is not None:
            ending = replace(self, counts=self.counts * last[self.node])
            return ending.chosen(ending.counts > 0).counted(flat)
        return Counts.of(flat.n, flat.owner[self.node], self.words, self.counts)


def gapped_walks(
    flat: FlatGraphs, length: int, max_gap: int = 0, first: Weights | None = None
) -> list[Walks]:
    r"""Count the label sequences of walks that may skip nodes on the way.

    A dynamic program over the number of labels: walks that agree in their last node, their labels
    and their gap are carried on as one, so that the cost does not grow with their number.

    Args:
        flat: The graphs.
        length: The largest number of labels in a sequence.
        max_gap: The largest number of skipped nodes. A skipped node lies between two whose labels
            are kept, and its label is not part of the sequence.
        first: How often a walk counts, by its first node; once by default.

    Returns:
        The walks with 1, 2, ... and ``length`` labels.

    Raises:
        ValueError: If there are more than 200,000 different ones in a graph, on average.
    """
    nodes = np.arange(len(flat.owner))
    weights = np.ones(len(nodes)) if first is None else first
    walks = Walks(nodes, mix(flat.labels), np.zeros_like(nodes), weights)
    result, steps = [walks], leaps(flat, max_gap)
    for _ in range(length - 1):
        merged = _merged(walks)
        if len(merged.node) > _MOST_WALKS * flat.n:
            raise ValueError(
                f"there are more than {_MOST_WALKS:,} different sequences of labels in a network; "
                "count shorter ones, or allow smaller gaps"
            )
        walks = _extended(merged, steps, flat.labels)
        result.append(walks)
    return result


def leaps(flat: FlatGraphs, max_gap: int) -> list[sp.csr_matrix]:
    """Return how many ways lead from node to node that skip 0, 1, ... and ``max_gap`` nodes."""
    result = [flat.adjacency]
    for _ in range(max_gap):
        result.append(result[-1] @ flat.adjacency)
    return result


def sequence_hashes(sequences: Sequence[Sequence[str]]) -> Hashes:
    """Return the hashes that walks have for their labels, of sequences of the same length."""
    shape = len(sequences), len(sequences[0]) if sequences else 0
    labels = hash_texts(list(chain.from_iterable(sequences))).reshape(shape)
    words = np.zeros(len(sequences), np.uint64)
    for column in labels.T:
        words = mix(words + column)
    return words


def _extended(walks: Walks, steps: Sequence[sp.csr_matrix], labels: Hashes) -> Walks:
    """Append one label to all walks, after none or more skipped nodes."""
    node: list[Indices] = []
    words: list[Hashes] = []
    gaps: list[Indices] = []
    counts: list[Weights] = []
    for skipped, leap in enumerate(steps):
        allowed = np.flatnonzero(walks.gaps + skipped < len(steps))
        begin = leap.indptr[walks.node[allowed]].astype(np.int64)
        degree = leap.indptr[walks.node[allowed] + 1] - begin
        entry = np.repeat(allowed, degree)
        place = np.arange(len(entry)) + np.repeat(begin - (np.cumsum(degree) - degree), degree)
        target = leap.indices[place].astype(np.int64)
        node.append(target)
        words.append(mix(walks.words[entry] + labels[target]))
        gaps.append(walks.gaps[entry] + skipped)
        counts.append(walks.counts[entry] * leap.data[place])
    columns = np.concatenate(node), np.concatenate(words), np.concatenate(gaps)
    return Walks(*columns, np.concatenate(counts))


def _merged(walks: Walks) -> Walks:
    """Add up the counts of entries that agree in everything else."""
    key = mix(mix(walks.words + walks.node.astype(np.uint64)) + walks.gaps.astype(np.uint64))
    _, chosen, group = np.unique(key, return_index=True, return_inverse=True)
    total = np.bincount(group, weights=walks.counts, minlength=len(chosen)).astype(np.float64)
    return replace(walks.chosen(chosen), counts=total).chosen(total > 0)
