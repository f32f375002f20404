"""What the features of a feature map are called, and where they are in an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphbo.architecture import INPUT, OUTPUT, Architecture


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
            operations of a path; empty where a feature has no place.
        times: How often it counts.
    """

    feature: Feature
    nodes: tuple[int, ...] = ()
    times: float = 1.0


def subtree_names(graph: Architecture, depth: int) -> list[list[str]]:
    """Return the names of the Weisfeiler-Lehman subtrees of a graph, by depth and root.

    At depth 0 a node is called by its label; at each further depth the names of its in-neighbours
    and its out-neighbours are added, as in ``"conv3x3(in: input, maxpool; out: output)"``.

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
            level.append(f"{name}({'; '.join(parts)})" if parts else f"{name}()")
        levels.append(level)
    return levels


def paths(graph: Architecture) -> list[tuple[int, ...]]:
    """Return the inner nodes of each path from the input to the output.

    Args:
        graph: A graph with operations on nodes.
    """
    successors: dict[int, list[int]] = {}
    for u, v, _ in graph.edges:
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
