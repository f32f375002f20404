"""Random undirected graphs that are the same for a seed, whatever is installed.

networkx promises no graph for a seed beyond a version, and begins the graphs of Barabási and Albert
at another star; a study that is resumed years later needs its graphs. So these read nothing but
``random.Random(seed).random()``, the one sequence that Python promises to keep.
"""

from __future__ import annotations

from itertools import combinations
from random import Random

Pairs = list[tuple[int, int]]
"""The edges of an undirected graph, sorted, each with the smaller node first."""


def erdos_renyi(nodes: int, p: float, seed: int) -> Pairs:
    """Join each pair of nodes with some probability.

    The graphs of one seed are nested: a larger probability adds edges.

    Reference: Erdős and Rényi, "On the evolution of random graphs", 1960.

    Args:
        nodes: Their number.
        p: The probability of an edge.
        seed: The seed.
    """
    random = Random(seed)
    return [pair for pair in combinations(range(nodes), 2) if random.random() < p]


def barabasi_albert(nodes: int, m: int, seed: int) -> Pairs:
    """Add nodes one at a time, each joined to ``m`` earlier ones in proportion to their degrees.

    There are ``m`` nodes without edges at first, so that the next is joined to all of them, and
    ``m * (nodes - m)`` edges in the end.

    Reference: Albert and Barabási, "Statistical mechanics of complex networks", 2002.

    Args:
        nodes: Their number, greater than ``m``.
        m: The edges of a new node, at least 1.
        seed: The seed.
    """
    random = Random(seed)
    edges = [(u, m) for u in range(m)]
    for new in range(m + 1, nodes):
        chosen: set[int] = set()
        for _ in range(m):
            # Each earlier node stands here as often as it has edges.
            ends = [end for edge in edges for end in edge if end not in chosen and end != new]
            chosen.add(ends[int(random.random() * len(ends))])
        edges += [(u, new) for u in sorted(chosen)]
    return sorted(edges)


def watts_strogatz(nodes: int, k: int, p: float, seed: int) -> Pairs:
    """Join each node of a ring to its ``k`` nearest, and move the far end of some edges.

    For i from 1 to ``k / 2``, and clockwise for every node, the edge to the i-th next node goes
    with some probability to a random node instead that is not joined to it yet, if there is one.
    The numbers drawn do not depend on the probability, so that few edges move between two that are
    close.

    Reference: Watts and Strogatz, "Collective dynamics of 'small-world' networks", 1998.

    Args:
        nodes: Their number, greater than ``k``.
        k: The degree in the ring, even.
        p: The probability that an edge moves.
        seed: The seed.
    """
    random = Random(seed)
    joined = [set[int]() for _ in range(nodes)]
    steps = [(u, (u + i) % nodes) for i in range(1, k // 2 + 1) for u in range(nodes)]
    for u, v in steps:
        joined[u].add(v)
        joined[v].add(u)
    for u, v in steps:
        moves, where = random.random() < p, random.random()
        free = [w for w in range(nodes) if w != u and w not in joined[u]]
        if moves and free:
            w = free[int(where * len(free))]
            for end, other in ((u, v), (v, u)):
                joined[end].remove(other)
            joined[u].add(w)
            joined[w].add(u)
    return [(u, v) for u in range(nodes) for v in sorted(joined[u]) if u < v]
