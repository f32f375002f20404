"""A layered layout of small directed acyclic graphs (Sugiyama et al., 1981)."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphbo.architecture import Architecture


@dataclass(eq=False)
class Item:
    """A thing with a place of its own: a node, the label of an edge, or a bend of a long edge.

    Attributes:
        layer: The column, from 0.
        label: The text; None for a bend.
        edge: The edge whose label this is, as node indices; None for other things.
        lane: The row, as a real number; items of a layer are at least 1 apart.
        targets: Where lines lead from here, always in a later layer.
    """

    layer: int
    label: str | None
    edge: tuple[int, int] | None = None
    lane: float = 0.0
    targets: list[Item] = field(default_factory=list)

    @property
    def is_label(self) -> bool:
        """Whether this is the label of an edge."""
        return self.edge is not None

    @property
    def is_bend(self) -> bool:
        """Whether a line only passes here."""
        return self.label is None


def layered_layout(architecture: Architecture, sweeps: int = 24) -> list[Item]:
    """Place the nodes, edge labels and bends of an architecture.

    Nodes stand in layers by the longest path from the input. An edge that skips layers gets a
    lane of its own in each of them, so that no line crosses a box; its label sits halfway.

    Args:
        architecture: The graph.
        sweeps: How often the order in the layers is improved to reduce crossings.

    Returns:
        The items, the nodes first and in their order.
    """
    items = _items(architecture)
    layers: list[list[Item]] = [[] for _ in range(max(item.layer for item in items) + 1)]
    for item in items:
        layers[item.layer].append(item)
    sources = defaultdict(list)
    for item in items:
        for target in item.targets:
            sources[target].append(item)
    best = _order(layers, sources, sweeps)
    _straighten(best, sources)
    return items


def _items(architecture: Architecture) -> list[Item]:
    step = 2 if any(label for _, _, label in architecture.edges) else 1
    depth = [0] * len(architecture)
    for u, v, _ in sorted(architecture.edges, key=lambda edge: edge[1]):
        depth[v] = max(depth[v], depth[u] + step)
    depth[architecture.output] = max(step, *depth)
    items = [Item(layer, label) for layer, label in zip(depth, architecture.nodes, strict=True)]
    # The longest edges first: they start on the outside.
    for u, v, label in sorted(architecture.edges, key=lambda e: depth[e[0]] - depth[e[1]]):
        middle = (depth[u] + depth[v]) // 2
        last = items[u]
        for layer in range(depth[u] + 1, depth[v]):
            here = bool(label) and layer == middle
            item = Item(layer, label, edge=(u, v)) if here else Item(layer, None)
            items.append(item)
            last.targets.append(item)
            last = item
        last.targets.append(items[v])
    return items


def _order(
    layers: list[list[Item]], sources: dict[Item, list[Item]], sweeps: int
) -> list[list[Item]]:
    """Sort each layer by the mean place of the neighbours, and keep the order that crosses least.

    The main path starts in the middle, bends alternate above and below it.
    """
    for layer in layers:
        nodes = [item for item in layer if not item.is_bend and not item.is_label]
        others = [item for item in layer if item not in nodes]
        layer[:] = [*others[::2], *nodes, *others[1::2]]
    best, score = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(sweeps):
        if score == 0:
            break
        forward = sweep % 2 == 0
        places = {item: i - len(layer) / 2 for layer in layers for i, item in enumerate(layer)}
        for layer in layers if forward else layers[::-1]:

            def place(item: Item, forward: bool = forward) -> float:
                near = sources[item] if forward else item.targets
                return sum(places[n] for n in near) / len(near) if near else places[item]  # noqa: B023

            layer.sort(key=place)
            places |= {item: i - len(layer) / 2 for i, item in enumerate(layer)}
        crossings = _crossings(layers)
        if crossings < score:
            best, score = [list(layer) for layer in layers], crossings
    return best


def _crossings(layers: Sequence[Sequence[Item]]) -> int:
    count = 0
    for layer, following in itertools.pairwise(layers):
        place = {item: i for i, item in enumerate(following)}
        ends = [sorted(place[target] for target in item.targets) for item in layer]
        for i, first in enumerate(ends):
            for second in ends[i + 1 :]:
                count += sum(a > b for a in first for b in second)
    return count


def _straighten(layers: Sequence[Sequence[Item]], sources: dict[Item, list[Item]]) -> None:
    """Move items towards their neighbours, at least one lane apart and in their order."""
    for layer in layers:
        for i, item in enumerate(layer):
            item.lane = i - (len(layer) - 1) / 2
    for sweep in range(60):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            targets, weights = [], []
            for item in layer:
                near = [*sources[item], *item.targets]
                # A long line that bends is harder to follow than a short one that slants.
                pull = [8.0 if n.is_bend or n.is_label else 1.0 for n in near]
                straight = 8.0 if item.is_bend or item.is_label else 1.0
                weights.append(straight * sum(pull) or 1.0)
                wanted = sum(p * n.lane for p, n in zip(pull, near, strict=True))
                targets.append(wanted / sum(pull) if near else item.lane)
            for item, lane in zip(layer, _spread(targets, weights), strict=True):
                item.lane = lane
    # On a grid of half lanes nothing wiggles, and what was 1 apart still is.
    for layer in layers:
        for item in layer:
            item.lane = math.floor(2 * item.lane + 0.5) / 2


def _spread(targets: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the places nearest to the targets that are at least 1 apart, in the given order.

    Isotonic regression by pooling adjacent violators, on places minus their index.
    """
    blocks: list[tuple[float, float, int]] = []
    for i, (target, weight) in enumerate(zip(targets, weights, strict=True)):
        mean, total, count = target - i, weight, 1
        while blocks and blocks[-1][0] >= mean:
            above = blocks.pop()
            mean = (mean * total + above[0] * above[1]) / (total + above[1])
            total, count = total + above[1], count + above[2]
        blocks.append((mean, total, count))
    places = [mean for mean, _, count in blocks for _ in range(count)]
    return [place + i for i, place in enumerate(places)]
