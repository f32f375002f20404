"""What the features of a feature map are called, and where they are in an architecture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels.counts import hash_text
from graphbo.kernels.flat import FlatGraphs, Weights, leaps, sequence_hashes

MOST_PLACES = 2000
"""The number of places of a block's features in one architecture beyond which they have none."""
_LONGEST_NAME = 400
_Walk = tuple[int, tuple[int, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Feature:
    """A feature of a feature map.

    Attributes:
        block: The block of the map that counts it.
        key: Its 64-bit hash.
        name: What people call it.
    """

    block: str
    key: int
    name: str


@dataclass(frozen=True)
class Occurrence:
    """A feature at a place in an architecture.

    Attributes:
        feature: What occurs.
        nodes: Where, as nodes of `Architecture.operations_on_nodes`: the root of a subtree, the
            operations of a path, all nodes of a walk or a graphlet; empty where a feature has no
            place, or where the features of its block have more than `MOST_PLACES`.
        times: How often it counts: an n-gram once for each path that goes on from it.
    """

    feature: Feature
    nodes: tuple[int, ...] = ()
    times: float = 1.0


def subtree_names(graph: Architecture, depth: int) -> list[list[str]]:
    """Return the names of the Weisfeiler-Lehman subtrees of a graph, by depth and root.

    At depth 0 a node is called by its label; at each further depth the names of its in-neighbours
    and its out-neighbours are added, as in ``"conv3x3(in: input, maxpool; out: output)"``. Long
    names are cut and end in a hash of the whole.

    Args:
        graph: A graph with operations on nodes.
        depth: The largest depth.
    """
    into: list[list[int]] = [[] for _ in graph.nodes]
    out: list[list[int]] = [[] for _ in graph.nodes]
    for u, v, _ in graph.edges:
        into[v].append(u)
        out[u].append(v)
    levels = [list(graph.nodes)]
    for _ in range(depth):
        last = levels[-1]
        level = []
        for node, name in enumerate(graph.nodes):
            sides = [("in", into[node]), ("out", out[node])]
            parts = [
                f"{side}: {', '.join(sorted(last[n] for n in ns))}" for side, ns in sides if ns
            ]
            level.append(_cut(f"{name}({'; '.join(parts)})"))
        levels.append(level)
    return levels


def walk_occurrences(
    flat: FlatGraphs,
    words: Sequence[str],
    blocks: Mapping[tuple[int, int], str],
    *,
    ends: tuple[Weights, Weights] | None = None,
    places: Sequence[int] | None = None,
    between: str = " -> ",
) -> list[Occurrence]:
    """Return where the label sequences of walks occur in one graph; see `gapped_walks`.

    Walks grow one label at a time, and from the length on at which there are more than
    `MOST_PLACES`, those that agree in their labels, gap and last node go on as one without place.

    Args:
        flat: The graph.
        words: The label of each of its nodes.
        blocks: The names of blocks by number of labels and gap.
        ends: How often a walk counts, by its first and by its last node; once by default.
        places: Where each node is in the architecture; by default it is the node itself.
        between: What stands between two labels in a name.
    """
    length, max_gap = (max(values) for values in zip(*blocks, strict=True))
    first, last = ends or (np.ones(len(words)), np.ones(len(words)))
    steps = [_successors(leap, last > 0) for leap in leaps(flat, max_gap)]
    # By gap, the nodes on the way or only the last of them, and the labels.
    walks: dict[_Walk, float] = {
        (0, (node,), (word,)): float(first[node])
        for node, word in enumerate(words)
        if first[node] and last[node]
    }
    result, located = [], True
    for n in range(1, length + 1):
        if len(walks) > MOST_PLACES and located:
            located = False
            walks = _summed(
                ((gap, nodes[-1:], labels), times) for (gap, nodes, labels), times in walks.items()
            )
        found = _summed(
            ((gap, nodes if located else (), labels), times * float(last[nodes[-1]]))
            for (gap, nodes, labels), times in walks.items()
        )
        keys = sequence_hashes([labels for _, _, labels in found])
        for ((gap, nodes, labels), times), key in zip(found.items(), keys, strict=True):
            name = between.join(labels) + (f" ({gap} skipped)" if gap else "")
            at = nodes if places is None else tuple(dict.fromkeys(places[node] for node in nodes))
            result.append(Occurrence(Feature(blocks[n, gap], int(key), name), at, times))
        if n < length:
            walks = _summed(
                (
                    (
                        gap + skipped,
                        (*nodes, target) if located else (target,),
                        (*labels, words[target]),
                    ),
                    times * ways,
                )
                for (gap, nodes, labels), times in walks.items()
                for skipped, successors in enumerate(steps[: max_gap - gap + 1])
                for target, ways in successors[nodes[-1]]
            )
    return result


def paths(graph: Architecture) -> list[tuple[int, ...]]:
    """Return the inner nodes of each path from the input to the output.

    Args:
        graph: A graph with operations on nodes.
    """
    arriving = {graph.output}
    successors: dict[int, list[int]] = {}
    for u, v, _ in reversed(graph.edges):  # dead ends are not walked
        if v in arriving:
            arriving.add(u)
            successors.setdefault(u, []).append(v)
    found: list[tuple[int, ...]] = []
    stack: list[tuple[int, tuple[int, ...]]] = [(graph.input, ())]
    while stack:
        node, inner = stack.pop()
        for target in successors.get(node, ()):
            if graph.nodes[target] == OUTPUT:
                found.append(inner)
            else:
                stack.append((target, (*inner, target)))
    return found


def path_name(operations: Sequence[str]) -> str:
    """Return the name of an input-output path, such as ``"input > conv3x3 > output"``."""
    return " > ".join([INPUT, *operations, OUTPUT])


def parts_of(architecture: Architecture) -> list[int | tuple[int, int]]:
    """Return where each node of `Architecture.operations_on_nodes` comes from.

    Returns:
        For each node of that form, the node or the edge ``(source, target)`` of the architecture
        that carries the operation.
    """
    origins: list[int | tuple[int, int]] = []

    def tagged(label: str, part: int | tuple[int, int]) -> str:
        if label in (INPUT, OUTPUT, ""):
            return label
        origins.append(part)
        return str(len(origins) - 1)

    nodes = [tagged(label, node) for node, label in enumerate(architecture.nodes)]
    edges = [(u, v, tagged(label, (u, v))) for u, v, label in architecture.edges]
    ends: dict[str, int | tuple[int, int]] = {
        INPUT: architecture.input,
        OUTPUT: architecture.output,
    }
    # The order of the nodes does not depend on their labels.
    form = Architecture(nodes, edges).operations_on_nodes()
    return [ends[label] if label in ends else origins[int(label)] for label in form.nodes]


def _summed(walks: Iterable[tuple[_Walk, float]]) -> dict[_Walk, float]:
    total: dict[_Walk, float] = defaultdict(float)
    for walk, times in walks:
        total[walk] += times
    return total


def _successors(
    leap: sp.csr_matrix, wanted: npt.NDArray[np.bool_]
) -> list[list[tuple[int, float]]]:
    """Return where a leap leads from each node, and in how many ways."""
    result: list[list[tuple[int, float]]] = [[] for _ in wanted]
    entries = leap.tocoo()
    for u, v, ways in zip(
        *(a.tolist() for a in (entries.row, entries.col, entries.data)), strict=True
    ):
        if wanted[v]:
            result[u].append((v, ways))
    return result


def _cut(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}... #{hash_text(name):016x}"
