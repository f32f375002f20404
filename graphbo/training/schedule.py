"""Which operations of several networks run together, and where their results lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from graphbo.training.graph import Operation, Settings, Shape

Location = tuple[int, int]
"""A group, and the slot in its result that belongs to one of its members."""


@dataclass(frozen=True)
class Group:
    """Operations that differ in nothing but their weights, run as one.

    Attributes:
        kind: What they do.
        settings: Whatever else decides how.
        inputs: The shapes of what they read, for one image; only the first one of a sum.
        shape: The shape of a result for one image.
        members: The network of each.
        modules: The names of the modules whose weights each uses.
        sources: Where each finds what it reads.
        repeats: How many equal operations of its network each stands for.
    """

    kind: str
    settings: Settings
    inputs: tuple[Shape, ...]
    shape: Shape
    members: tuple[int, ...]
    modules: tuple[tuple[str, ...], ...]
    sources: tuple[tuple[Location, ...], ...]
    repeats: tuple[int, ...]


Key = tuple[str, Settings, tuple[Shape, ...]]


def schedule(networks: Sequence[Sequence[Operation]]) -> list[Group]:
    """Put the operations of several networks into groups, in an order in which they can run.

    Operations wait for others that could join them, in the manner of Neubig, Goldberg and Dyer,
    "On-the-fly Operation Batching in Dynamic Computation Graphs" (NeurIPS 2017). Of the kinds that
    are ready, that one runs next of which the largest share is ready, among equals the one whose
    operations lie farthest from the logits; this makes fewer groups than going by depth alone.

    Args:
        networks: For each network what `trace` returns.

    Returns:
        The groups; the first holds the images and the last the logits of all networks, in order.
    """
    keys = [[_key(operations, i) for i in range(len(operations))] for operations in networks]
    height = [_heights(operations) for operations in networks]
    waiting = [[len(set(o.inputs)) for o in operations] for operations in networks]
    readers = [_readers(operations) for operations in networks]
    left: dict[Key, list[int]] = defaultdict(lambda: [0, 0])
    ready: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    for n, operations in enumerate(networks):
        for i in range(len(operations)):
            left[keys[n][i]][0] += 1
            left[keys[n][i]][1] += height[n][i]
            if not waiting[n][i]:
                ready[keys[n][i]].append((n, i))
    where: dict[tuple[int, int], Location] = {}
    groups: list[Group] = []
    while ready:
        key = min(
            ready,
            key=lambda k: (_rank(k), -len(ready[k]) / left[k][0], -left[k][1] / left[k][0]),
        )
        chosen = ready.pop(key)

        def sources(at: tuple[int, int]) -> tuple[Location, ...]:
            return tuple(where[at[0], source] for source in networks[at[0]][at[1]].inputs)

        # Operations whose inputs lie side by side read them without a copy.
        chosen.sort(key=sources if _rank(key) == 1 else None)
        first = networks[chosen[0][0]][chosen[0][1]]
        groups.append(
            Group(
                first.kind,
                first.settings,
                key[2],
                first.shape,
                tuple(n for n, _ in chosen),
                tuple(networks[n][i].modules for n, i in chosen),
                tuple(sources(at) for at in chosen),
                tuple(networks[n][i].repeats for n, i in chosen),
            )
        )
        for slot, (n, i) in enumerate(chosen):
            where[n, i] = (len(groups) - 1, slot)
            left[key][0] -= 1
            left[key][1] -= height[n][i]
        for n, i in chosen:
            for reader in readers[n][i]:
                waiting[n][reader] -= 1
                if not waiting[n][reader]:
                    ready[keys[n][reader]].append((n, reader))
    return groups


def _rank(key: Key) -> int:
    """Return 0 for the images, which go first, and 2 for the logits, which wait for all."""
    return {"images": 0, "output": 2}.get(key[0], 1)


def _key(operations: Sequence[Operation], i: int) -> Key:
    operation = operations[i]
    shapes = tuple(operations[source].shape for source in operation.inputs)
    # Sums of any number of terms of a shape are alike; `zeros` has its shape from nowhere else.
    inputs = shapes[:1] if operation.kind == "sum" else shapes or (operation.shape,)
    return operation.kind, operation.settings, inputs


def _heights(operations: Sequence[Operation]) -> list[int]:
    """Return how many operations, at most, lie between each and the logits."""
    heights = [0] * len(operations)
    for i in reversed(range(len(operations))):
        for source in operations[i].inputs:
            heights[source] = max(heights[source], heights[i] + 1)
    return heights


def _readers(operations: Sequence[Operation]) -> list[list[int]]:
    readers: list[list[int]] = [[] for _ in operations]
    for i, operation in enumerate(operations):
        for source in set(operation.inputs):
            readers[source].append(i)
    return readers
