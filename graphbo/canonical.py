"""Canonical order of the nodes of a labelled directed graph.

Colour refinement with individualisation, and pruning by the automorphisms found on the way
(McKay, "Practical graph isomorphism", 1981), written for graphs of a few dozen nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Edges = Sequence[tuple[int, int, str]]
Certificate = tuple[tuple[int, int, str], ...]


def canonical_order(labels: Sequence[str], edges: Edges) -> list[int]:
    """Return the nodes in an order that isomorphic graphs share.

    Args:
        labels: The label of each of the ``n`` nodes.
        edges: Triples ``(source, target, label)``.

    Returns:
        A permutation ``order`` of ``range(n)``: relabelling node ``order[i]`` as ``i`` turns
        isomorphic graphs into equal ones.
    """
    return _Search(labels, edges).run()


class _Search:
    def __init__(self, labels: Sequence[str], edges: Edges) -> None:
        self.n = len(labels)
        self.edges = edges
        self.into: list[list[tuple[int, str]]] = [[] for _ in labels]
        self.out: list[list[tuple[int, str]]] = [[] for _ in labels]
        for u, v, label in edges:
            self.out[u].append((v, label))
            self.into[v].append((u, label))
        self.start = _ranks(labels)
        self.first: tuple[Certificate, list[int], list[int]] | None = None
        self.best: tuple[Certificate, list[int]] | None = None
        self.automorphisms: list[list[int]] = []

    def run(self) -> list[int]:
        self._visit(self._refine(self.start), [])
        assert self.best is not None
        colours = self.best[1]
        return sorted(range(self.n), key=colours.__getitem__)

    def _refine(self, colours: list[int]) -> list[int]:
        """Split colour classes by their in- and out-neighbours until nothing changes."""
        classes = len(set(colours))
        while classes < self.n:
            signatures = [
                (
                    colours[v],
                    tuple(sorted([(colours[u], label) for u, label in self.into[v]])),
                    tuple(sorted([(colours[w], label) for w, label in self.out[v]])),
                )
                for v in range(self.n)
            ]
            colours = _ranks(signatures)
            if len(set(colours)) == classes:
                break
            classes = len(set(colours))
        return colours

    def _visit(self, colours: list[int], path: list[int]) -> int:
        """Explore one node of the search tree; return the depth from which to go on."""
        members: dict[int, list[int]] = {}
        for node, colour in enumerate(colours):
            members.setdefault(colour, []).append(node)
        ties = [cell for _, cell in sorted(members.items()) if len(cell) > 1]
        if not ties:
            return self._leaf(colours, path)
        explored: list[int] = []
        for node in ties[0]:
            if explored and self._equivalent(node, explored, path):
                continue
            # Doubling makes room below the node's colour, so that it alone comes first.
            split = [2 * colour + 1 for colour in colours]
            split[node] -= 1
            back_to = self._visit(self._refine(_ranks(split)), [*path, node])
            explored.append(node)
            if back_to < len(path):
                return back_to
        return len(path)

    def _leaf(self, colours: list[int], path: list[int]) -> int:
        certificate = tuple(sorted((colours[u], colours[v], label) for u, v, label in self.edges))
        if self.first is None:
            self.first = certificate, colours, path
        elif certificate == self.first[0]:
            # The same picture as the first leaf: an automorphism, and with it the whole branch.
            node_at = {colour: node for node, colour in enumerate(self.first[1])}
            self.automorphisms.append([node_at[colour] for colour in colours])
            common = 0
            while path[common] == self.first[2][common]:
                common += 1
            return common
        if self.best is None or certificate < self.best[0]:
            self.best = certificate, colours
        return len(path)

    def _equivalent(self, node: int, explored: list[int], path: list[int]) -> bool:
        """Whether an automorphism that fixes the path maps the node to an explored one."""
        fixing = [g for g in self.automorphisms if all(g[fixed] == fixed for fixed in path)]
        orbit, frontier = {node}, [node]
        while frontier:
            current = frontier.pop()
            for g in fixing:
                if g[current] not in orbit:
                    orbit.add(g[current])
                    frontier.append(g[current])
        return any(other in orbit for other in explored)


def _ranks(values: Sequence[Any]) -> list[int]:
    """Replace each value by its rank among the distinct ones."""
    rank = {value: i for i, value in enumerate(sorted(set(values)))}
    return [rank[value] for value in values]
