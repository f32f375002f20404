"""How many cells there are if the numbering of their nodes does not matter."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping
from functools import lru_cache
from itertools import combinations, permutations, product
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)


@lru_cache
def distinct_cells(nodes: int, operations: int) -> int:
    """Return how many cells of DARTS there are if the numbering of their nodes does not matter.

    By Burnside's lemma: the mean, over all permutations of the nodes, of the number of cells that a
    permutation leaves as they are.

    Args:
        nodes: The number of nodes between inputs and output; the time is exponential in it.
        operations: The number of operations.
    """
    inner = range(2, nodes + 2)
    choices = [list(combinations((u for u in range(nodes + 2) if u != v), 2)) for v in inner]
    wirings = [
        dict(zip(inner, chosen, strict=True))
        for chosen in product(*choices)
        if _is_acyclic(dict(zip(inner, chosen, strict=True)))
    ]
    # Permutations with the same lengths of cycles leave as many cells as they are.
    of_kind: dict[tuple[int, ...], dict[int, int]] = {}
    number: Counter[tuple[int, ...]] = Counter()
    for image in permutations(inner):
        moved = {0: 0, 1: 1, **dict(zip(inner, image, strict=True))}
        kind = tuple(sorted(map(len, _cycles(moved))))
        of_kind.setdefault(kind, moved)
        number[kind] += 1
    total = 0
    for kind, moved in of_kind.items():
        for wiring in wirings:
            if all(
                set(wiring[moved[v]]) == {moved[u] for u in sources}
                for v, sources in wiring.items()
            ):
                # The operations are free on one edge of each cycle of edges.
                edges = {(u, v): (moved[u], moved[v]) for v, us in wiring.items() for u in us}
                total += number[kind] * operations ** len(_cycles(edges))
    return total // math.factorial(nodes)


@lru_cache
def distinct_edge_cells(nodes: int, operations: int) -> int:
    """Return how many cells there are with operations on edges, and at most so many nodes.

    By Burnside's lemma, for each graph without operations: the mean, over its symmetries, of the
    ways to put an operation on each edge that a symmetry leaves as they are.

    Args:
        nodes: The largest number of nodes, input and output included; the time is exponential in
            its square.
        operations: The number of operations.

    Returns:
        The number of cells, the empty one included.
    """
    total = 1
    for n in range(2, nodes + 1):
        pairs = list(combinations(range(n), 2))
        images = [(0, *inner, n - 1) for inner in permutations(range(1, n - 1))]
        known: set[frozenset[tuple[int, int]]] = set()
        for taken in product((False, True), repeat=len(pairs)):
            graph = frozenset(pair for pair, there in zip(pairs, taken, strict=True) if there)
            # Where each node has an edge from an earlier and one to a later, none can be pruned.
            if {u for u, _ in graph} != {*range(n - 1)} or {v for _, v in graph} != {*range(1, n)}:
                continue
            moved = [{(u, v): (image[u], image[v]) for u, v in graph} for image in images]
            if known.isdisjoint(frozenset(edges.values()) for edges in moved):
                known.add(graph)
                symmetries = [edges for edges in moved if graph == frozenset(edges.values())]
                fixed = sum(operations ** len(_cycles(edges)) for edges in symmetries)
                total += fixed // len(symmetries)
    return total


def _is_acyclic(wiring: dict[int, tuple[int, ...]]) -> bool:
    known, left = {0, 1}, set(wiring)
    while ready := {v for v in left if known.issuperset(wiring[v])}:
        known |= ready
        left -= ready
    return not left


def _cycles(moved: Mapping[_T, _T]) -> list[set[_T]]:
    """Return the cycles of a permutation."""
    cycles: list[set[_T]] = []
    left = set(moved)
    while left:
        cycle = {next(iter(left))}
        while (grown := cycle | {moved[x] for x in cycle}) != cycle:
            cycle = grown
        cycles.append(cycle)
        left -= cycle
    return cycles
