"""A layout of chains with many skip connections: one row of nodes, and rails above and below."""

from __future__ import annotations

from graphbo.architecture import Architecture
from graphbo.report.layout import Item


def is_chain_with_skips(architecture: Architecture) -> bool:
    """Whether an unlabelled path leads through all nodes, and many further edges skip nodes.

    Many are more than half as many as there are nodes; with fewer, layers are as easy to read.
    """
    n = len(architecture)
    # Nodes are in topological order, so that such a path links each to the next.
    chained = {(i, i + 1, "") for i in range(n - 1)} <= set(architecture.edges)
    skips = len(architecture.edges) - (n - 1)
    return chained and 2 * skips > n and not any(label for *_, label in architecture.edges)


def rail_layout(architecture: Architecture) -> list[Item]:
    """Place the nodes of a chain in one row, and its skip connections on rails along it.

    All skip connections from one node share a rail, a straight line from which they branch off.
    Rails lie alternately above and below the row, as near to it as others leave room; one that
    begins later lies nearer.

    Args:
        architecture: A chain with skip connections; see `is_chain_with_skips`.

    Returns:
        The items, the nodes first and in their order, as `layered_layout` gives them.
    """
    items = [Item(layer, label) for layer, label in enumerate(architecture.nodes)]
    nodes = list(items)
    targets: list[list[int]] = [[] for _ in nodes]
    for u, v, _ in architecture.edges:
        if v > u + 1:
            targets[u].append(v)
        else:
            nodes[u].targets.append(nodes[v])
    taken: dict[int, int] = {}  # by lane, the source of the rail that begins first
    side = 1
    for source in reversed(range(len(nodes))):
        if not targets[source]:
            continue
        end = max(targets[source])
        lane = next(
            lane
            for distance in range(1, len(nodes) + 1)
            for lane in (side * distance, -side * distance)
            # In the gap before the next node a rail that ends would cross one that begins.
            if end <= taken.get(lane, len(nodes))
        )
        taken[lane] = source
        side = -1 if lane > 0 else 1
        last = nodes[source]
        for layer in range(source + 1, end):
            bend = Item(layer, None, lane=lane)
            items.append(bend)
            last.targets.append(bend)
            last = bend
            if layer + 1 in targets[source]:
                bend.targets.append(nodes[layer + 1])
    return items
