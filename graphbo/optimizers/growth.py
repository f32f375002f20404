"""Growing an architecture by one block."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, product

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces.base import Design, SearchSpace

Edge = tuple[int, int, str]


class Growth:
    """What can be added to the architectures of a space.

    A step is one more connection between two nodes, or one more node on a new way between two
    nodes, or, where operations sit on nodes, one more node within a connection; each with every
    operation. A chain grows within its connections only, since nothing else leaves it one.

    Args:
        space: The search space.
        examples: Some of its designs, which show whether operations sit on nodes or on edges.
    """

    def __init__(self, space: SearchSpace, examples: Sequence[Design]) -> None:
        self.space = space
        self._on_edges = any(
            label for design in examples for *_, label in design.architecture.edges
        )

    def simplest(self) -> list[Design]:
        """Return the designs without an operation or with one, the empty network among them."""
        direct = self.space.operations if self._on_edges else ("",)
        found = [Architecture([INPUT, OUTPUT], [])]
        found += [Architecture([INPUT, OUTPUT], [(0, 1, label)]) for label in direct]
        if not self._on_edges:
            found += [
                Architecture([INPUT, operation, OUTPUT], [(0, 1), (1, 2)])
                for operation in self.space.operations
            ]
        designs = (self._design(architecture) for architecture in found)
        return [design for design in designs if design is not None]

    def children(
        self,
        parents: Sequence[Design],
        exclude: Collection[Design],
        rng: np.random.Generator,
        most: int = 1000,
    ) -> list[Design]:
        """Return distinct designs that are one step larger than a parent.

        Args:
            parents: What grows.
            exclude: Architectures to leave out.
            rng: The source of randomness, which decides where there are too many.
            most: The largest number of designs.
        """
        steps = [step for parent in parents for step in self._steps(parent.architecture)]
        found: dict[Design, Design] = {}
        for i in rng.permutation(len(steps)):
            if len(found) == most:
                break
            design = self._design(Architecture(*steps[int(i)]))
            if design is not None and design not in exclude:
                found.setdefault(design, design)
        return list(found.values())

    def _design(self, architecture: Architecture) -> Design | None:
        try:
            return self.space.design_of(architecture)
        except ValueError:
            return None

    def _steps(self, architecture: Architecture) -> Iterator[tuple[Sequence[str], list[Edge]]]:
        """Yield the nodes and edges of what an architecture can become, in the space or not."""
        nodes, edges = architecture.nodes, list(architecture.edges)
        joined = {(u, v) for u, v, _ in edges}
        new = len(nodes)
        for u, v in combinations(range(len(nodes)), 2):  # in topological order
            if nodes[u] == OUTPUT or nodes[v] == INPUT:
                continue
            if self._on_edges:
                operations = self.space.operations
                if (u, v) not in joined:
                    yield from ((nodes, [*edges, (u, v, label)]) for label in operations)
                for first, second in product(operations, repeat=2):
                    yield (*nodes, ""), [*edges, (u, new, first), (new, v, second)]
                continue
            if (u, v) not in joined:
                yield nodes, [*edges, (u, v, "")]
            for operation in self.space.operations:
                way: list[Edge] = [(u, new, ""), (new, v, "")]
                yield (*nodes, operation), [*edges, *way]
                if (u, v) in joined:
                    rest = [edge for edge in edges if edge[:2] != (u, v)]
                    yield (*nodes, operation), [*rest, *way]
