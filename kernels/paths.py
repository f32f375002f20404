"""Paths from the input to the output, by their operations."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from graphbo.architecture import INPUT, Architecture
from graphbo.kernels.counts import Counts, hash_text, hash_texts
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.naming import MOST_PLACES, Feature, Occurrence, path_name, paths

_CUT = "..."
_MOST_NAMES = 200_000


class PathMap(FeatureMap):
    """Counts of the operation sequences on the paths from the input to the output, in one block.

    A feature's name is that of `path_counts`. Paths are counted by a dynamic program over the
    nodes, in which paths of the same name go on as one: the cost grows with the number of
    different names and not with the number of paths, and with ``max_length`` the former is bounded.

    Reference: White et al., "BANANAS", AAAI 2021, whose encoding says which paths exist; on
    truncation White et al., "A study on encodings for neural architecture search", NeurIPS 2020.

    Args:
        max_length: The number of operations to which longer paths are cut: they count by their
            first ``max_length`` operations, under a name that shows the cut. (White et al. leave
            them out, which makes all networks alike that have no others.) By default paths count
            whole.
        contract: Labels that are dropped from the paths, such as ``{"skip_connect"}``, so that
            a path through such a node is the path around it.

    Raises:
        ValueError: If ``max_length`` is less than 1, or ``contract`` a text; and when it is called,
            if an architecture has more than 200,000 different paths.
    """

    blocks = ("paths",)

    def __init__(self, max_length: int | None = None, contract: Collection[str] = ()) -> None:
        if max_length is not None and max_length < 1:
            raise ValueError(f"paths are cut to at least 1 operation; got max_length={max_length}")
        if isinstance(contract, str):
            raise ValueError(f"contract is a collection of labels: {{{contract!r}}}")
        self.max_length = max_length
        self.contract = frozenset(contract)

    def names(self, graph: Architecture) -> dict[str, int]:
        """Return the names of a graph's paths and their counts; see `path_counts`."""
        return path_counts(graph, self.max_length, self.contract)

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return every path and its operations; see `FeatureMap.occurrences`.

        Where there are more than `MOST_PLACES` paths, they are counted without a place.
        """
        graph = architecture.operations_on_nodes()
        counts = _path_counts(graph, self.max_length, self.contract)
        if sum(counts.values()) > MOST_PLACES:
            pairs = counts.items()
            return [Occurrence(self._feature(path), times=float(count)) for path, count in pairs]
        result = []
        for nodes in paths(graph):
            path: tuple[str, ...] = ()
            kept = tuple(node for node in nodes if graph.nodes[node] not in self.contract)
            for node in kept:
                path = _extended(path, _escaped(graph.nodes[node]), self.max_length)
            result.append(Occurrence(self._feature(path), kept))
        return result

    def _feature(self, path: tuple[str, ...]) -> Feature:
        return Feature(self.blocks[0], hash_text(_name(path)), path_name(path))

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        parts = [self.names(graph) for graph in graphs]
        rows = np.repeat(np.arange(len(graphs)), [len(part) for part in parts])
        names = hash_texts([name for part in parts for name in part])
        values = [float(count) for part in parts for count in part.values()]
        return [Counts.of(len(graphs), rows, names, np.array(values))]


def path_counts(
    graph: Architecture, max_length: int | None = None, contract: Collection[str] = ()
) -> dict[str, int]:
    r"""Return the names of the input-output paths, and how many paths have each.

    A name is every operation preceded by ``"/"``, such as ``"/conv3x3/maxpool"``; the direct edge
    from the input to the output has the name ``""``. A slash or a backslash in a label is preceded
    by a backslash. A path that is cut ends in ``"/..."``.

    Args:
        graph: A graph with operations on nodes.
        max_length: The number of operations to which paths are cut; see `PathMap`.
        contract: The labels that are left out; see `PathMap`.
    """
    counts = _path_counts(graph, max_length, contract)
    return {_name(path): count for path, count in counts.items()}


def _path_counts(
    graph: Architecture, max_length: int | None, contract: Collection[str]
) -> dict[tuple[str, ...], int]:
    """Return how many paths have each sequence of (escaped) operations."""
    successors: list[list[int]] = [[] for _ in graph.nodes]
    for u, v, _ in graph.edges:
        successors[u].append(v)
    # By node: the paths that reach it, as tuples of operations, and their numbers.
    reached: list[dict[tuple[str, ...], int]] = [{} for _ in graph.nodes]
    reached[graph.input][()] = 1
    for node, label in enumerate(graph.nodes):  # in topological order
        word = None if label == INPUT or label in contract else _escaped(label)
        if len(reached[node]) > _MOST_NAMES:
            raise ValueError(
                f"there are more than {_MOST_NAMES:,} different paths; cut them by max_length"
            )
        for path, count in reached[node].items() if successors[node] else ():
            longer = path if word is None else _extended(path, word, max_length)
            for target in successors[node]:
                reached[target][longer] = reached[target].get(longer, 0) + count
    return reached[graph.output]


def operation_paths(graph: Architecture) -> list[str]:
    """Return the name of each input-output path, with repetitions; see `path_counts`."""
    return [name for name, count in path_counts(graph).items() for _ in range(count)]


def _extended(path: tuple[str, ...], word: str, max_length: int | None) -> tuple[str, ...]:
    if max_length is None or len(path) < max_length:
        return (*path, word)
    return path if len(path) > max_length else (*path, _CUT)


def _name(path: tuple[str, ...]) -> str:
    return "".join(f"/{word}" for word in path)


def _escaped(label: str) -> str:
    if label == _CUT:
        return f"\\{_CUT}"
    if "/" in label or "\\" in label:
        return label.replace("\\", "\\\\").replace("/", "\\/")
    return label
