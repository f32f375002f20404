"""Architectures as strings of tokens, and the spectrum kernel on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from graphbo.architecture import Architecture
from graphbo.canonical import canonical_order
from graphbo.kernels.base import LinearFeatureKernel, RBFFeatureKernel
from graphbo.kernels.counts import Counts
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.flat import FlatGraphs, gapped_walks
from graphbo.kernels.naming import Occurrence, walk_occurrences
from graphbo.kernels.store import Decoder, FeatureStore

Strings = Literal["paths", "tokens"]
"""How an architecture is read: as all its input-output paths, or as its `token_string`."""


def token_string(architecture: Architecture) -> tuple[str, ...]:
    """Return the canonical string of an architecture.

    Nodes are written layer by layer: sorted by the number of edges on the longest path that leads
    to them, then by label, then in the order of `canonical_order`. The input comes first and the
    output last, as markers of both ends; operations on edges become nodes. A node whose only input
    is the node just before it is its label alone, so that a chain is the sequence of its layers.
    Any other label is preceded by references to its inputs, ``"@1"`` for the node just before it,
    ``"@2"`` for the one before that; by ``"@"`` alone if it has no input. Labels that begin with
    ``"@"`` are written with a second one.

    Two architectures with operations on nodes have the same string if and only if they are
    isomorphic.

    Example:
        >>> token_string(Architecture(["input", "a", "b", "output"],
        ...                           [(0, 1), (0, 2), (1, 3), (2, 3)]))
        ('input', 'a', '@2', 'b', '@1', '@2', 'output')
    """
    return tuple(token for token, _ in _tokens(architecture.operations_on_nodes()))


def _tokens(graph: Architecture) -> list[tuple[str, int]]:
    """Return the tokens of a graph with operations on nodes, and the node that each describes."""
    inputs: list[list[int]] = [[] for _ in graph.nodes]
    for u, v, _ in graph.edges:
        inputs[v].append(u)
    layer = [0] * len(graph)
    for node in range(len(graph)):  # in topological order
        layer[node] = 1 + max((layer[u] for u in inputs[node]), default=0)
    layer[graph.input], layer[graph.output] = 0, len(graph) + 1
    digits = len(str(len(graph) + 1))
    ranked = [f"{layer[i]:0{digits}d} {label}" for i, label in enumerate(graph.nodes)]
    order = canonical_order(ranked, graph.edges)
    position = {node: i for i, node in enumerate(order)}
    tokens: list[tuple[str, int]] = []
    for i, node in enumerate(order):
        back = sorted(i - position[u] for u in inputs[node])
        if back != [1] and i > 0:
            references = [f"@{steps}" for steps in back] or ["@"]
            tokens.extend((reference, node) for reference in references)
        label = graph.nodes[node]
        tokens.append((f"@{label}" if label.startswith("@") else label, node))
    return tokens


def string_graphs(graphs: Sequence[Architecture], strings: Strings) -> FlatGraphs:
    """Return graphs whose input-output paths are the strings of the architectures.

    Args:
        graphs: Graphs with operations on nodes.
        strings: The graphs themselves for ``"paths"``, chains of tokens for ``"tokens"``.

    Raises:
        ValueError: If ``strings`` is neither.
    """
    if strings == "paths":
        return FlatGraphs.of(graphs)
    if strings == "tokens":
        return FlatGraphs.of_strings([token_string(graph) for graph in graphs])
    raise ValueError(f'strings are "paths" or "tokens"; got {strings!r}')


def string_occurrences(
    architecture: Architecture, strings: Strings, blocks: Mapping[tuple[int, int], str]
) -> list[Occurrence]:
    """Return where subsequences of an architecture's strings occur.

    A subsequence of all its paths is where its labels are, once for all paths through them; one of
    its tokens is at the nodes that they describe.

    Args:
        architecture: The architecture.
        strings: ``"paths"`` or ``"tokens"``.
        blocks: The names of blocks by number of tokens and gap.
    """
    graph = architecture.operations_on_nodes()
    flat = string_graphs([graph], strings)
    ends = flat.path_counts()
    if strings == "paths":
        return walk_occurrences(flat, graph.nodes, blocks, ends=ends)
    words, places = zip(*_tokens(graph), strict=True)
    return walk_occurrences(flat, words, blocks, ends=ends, places=places, between=" ")


class SpectrumMap(FeatureMap):
    """Counts of the n-grams of an architecture's strings, one block for each n.

    An architecture is read as the bag of its input-output paths, or as its `token_string`; in both
    the input and the output mark the ends. On chains the two are the same; a network in which
    nothing leads from the input to the output has no paths, and so no features. The n-grams of
    all paths are counted by the number of paths through them, without going through the paths.

    Reference: Leslie et al., "The spectrum kernel: a string kernel for SVM protein
    classification", PSB 2002.

    Args:
        n: The largest n, at least 1; all from 1 on are counted.
        strings: ``"paths"`` or ``"tokens"``.

    Raises:
        ValueError: If n is less than 1, or ``strings`` neither of the two.
    """

    def __init__(self, n: int = 3, strings: Strings = "paths") -> None:
        if n < 1:
            raise ValueError(f"the length of n-grams must be at least 1; got {n}")
        string_graphs([], strings)  # refuses what it does not know
        self.n = n
        self.strings: Strings = strings
        self.blocks = tuple(f"{k}-grams" for k in range(1, n + 1))

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every n-gram and its nodes; see `FeatureMap.occurrences`."""
        blocks = {(n, 0): block for n, block in enumerate(self.blocks, 1)}
        return string_occurrences(architecture, self.strings, blocks)

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        flat = string_graphs(graphs, self.strings)
        first, last = flat.path_counts()
        return [walks.counted(flat, last) for walks in gapped_walks(flat, self.n, first=first)]


class SpectrumKernel(LinearFeatureKernel):
    r"""The spectrum kernel on the strings of architectures, with a learnt weight for each n.

    .. math:: k(x, x') = \sum_{n=1}^{N} w_n \langle c_n(x), c_n(x') \rangle

    where :math:`c_n` counts n-grams; see `SpectrumMap`.

    Reference: Leslie et al., "The spectrum kernel: a string kernel for SVM protein
    classification", PSB 2002.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        n: The length N of the longest n-grams.
        strings: ``"paths"`` or ``"tokens"``.
        kwargs: What `LinearFeatureKernel` takes.
    """

    def __init__(
        self, decoder: Decoder, n: int = 3, strings: Strings = "paths", **kwargs: Any
    ) -> None:
        super().__init__(FeatureStore(decoder, SpectrumMap(n, strings)), **kwargs)


class SpectrumRBFKernel(RBFFeatureKernel):
    r"""A squared exponential of the differences between n-gram counts.

    .. math:: k(x, x') = \exp\Bigl(-\frac{1}{2} \sum_{n=1}^{N}
        \frac{\lVert c_n(x) - c_n(x') \rVert_1}{\ell_n^2}\Bigr)

    where :math:`c_n` counts n-grams; see `SpectrumMap`. The counts are coded in unary, so the
    squared distance is the sum of absolute differences.

    Reference: Leslie et al., "The spectrum kernel: a string kernel for SVM protein
    classification", PSB 2002, for the counts.

    Args:
        decoder: From a row of integers to its architecture; picklable.
        n: The length N of the longest n-grams.
        strings: ``"paths"`` or ``"tokens"``.
        kwargs: What `RBFFeatureKernel` takes.
    """

    def __init__(
        self, decoder: Decoder, n: int = 3, strings: Strings = "paths", **kwargs: Any
    ) -> None:
        super().__init__(FeatureStore(decoder, SpectrumMap(n, strings), unary=True), **kwargs)
