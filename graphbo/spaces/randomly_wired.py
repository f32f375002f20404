"""Randomly wired networks (Xie et al., ICCV 2019): the space of a generator's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Decision, Row
from graphbo.spaces.first_row import FirstRowSpace
from graphbo.spaces.random_graphs import Pairs, barabasi_albert, erdos_renyi, watts_strogatz

NODE = "sepconv3x3"
"""The label of every node: a weighted sum, ReLU, a separable 3x3 convolution and batch norm."""
ERDOS_RENYI, BARABASI_ALBERT, WATTS_STROGATZ = "erdos-renyi", "barabasi-albert", "watts-strogatz"
_MOST_PAIRS = 10_000_000


class RandomlyWiredSpace(FirstRowSpace):
    """Graphs drawn by the generators of Erdős and Rényi, Barabási and Albert, Watts and Strogatz.

    The decisions are the generator, the number of nodes, the generator's parameters and a seed; see
    `graphbo.spaces.random_graphs`. Edges of the undirected graph lead from the smaller index to the
    larger. The input feeds every node that nothing else feeds, and every node that feeds no other
    feeds the output. A graph that is not connected is thereby a network of parallel branches, and
    none is refused.

    Which parameters drew a graph cannot be read off it, and several may draw the same. So all rows
    are drawn when an architecture is first encoded, and the first in lexicographic order stands for
    it; their number times the square of the largest number of nodes may not exceed 10 million.

    Reference: Xie et al., "Exploring randomly wired neural networks for image recognition", ICCV
    2019. There each network has 32 nodes and a few hundred are drawn of each generator.

    Args:
        nodes: The numbers of nodes between input and output, ascending.
        er_p: The probabilities of an edge in a graph of Erdős and Rényi, ascending; none leaves
            this generator out.
        ba_m: The edges of a new node in a graph of Barabási and Albert, ascending; likewise.
        ws_k: The degrees in the ring of Watts and Strogatz, even and ascending; likewise.
        ws_p: The probabilities that an edge of the ring moves, ascending.
        seeds: How many graphs can be drawn with the same parameters.
        name: The name of the space.

    Raises:
        InputError: If an argument is out of range or not ascending, there is no generator, or there
            are too many rows.

    Example:
        >>> space = RandomlyWiredSpace(nodes=[4], er_p=[], ba_m=[1], ws_k=[2], ws_p=[0], seeds=2)
        >>> [decision.name for decision in space.decisions]
        ['generator', 'nodes', 'ba_m', 'ws_k', 'ws_p', 'seed']
        >>> ring = space.from_configuration(
        ...     {"generator": "watts-strogatz", "nodes": 4, "ws_k": 2, "ws_p": 0, "seed": 1}
        ... )
        >>> len(ring.architecture.edges), space.encode(ring.architecture)
        (6, (1, 0, -1, 0, 0, 0))
    """

    operations = (NODE,)

    def __init__(
        self,
        nodes: Sequence[int] = (6, 8, 10),
        er_p: Sequence[float] = (0.2, 0.4, 0.6),
        ba_m: Sequence[int] = (1, 2, 3),
        ws_k: Sequence[int] = (2, 4),
        ws_p: Sequence[float] = (0.0, 0.25, 0.5, 0.75),
        seeds: int = 20,
        name: str = "randomly-wired",
    ) -> None:
        self.name = name
        self.grids: dict[str, tuple[Any, ...]] = {
            "nodes": tuple(nodes),
            "er_p": tuple(er_p),
            "ba_m": tuple(ba_m),
            "ws_k": tuple(ws_k),
            "ws_p": tuple(ws_p),
            "seed": tuple(range(seeds)),
        }
        self._check()
        self.decisions = tuple(self._list_decisions())
        self._names = [decision.name for decision in self.decisions]

    def __repr__(self) -> str:
        *grids, seeds = self.grids.values()
        return f"RandomlyWiredSpace({', '.join(str(list(grid)) for grid in grids)}, {len(seeds)})"

    def _check(self) -> None:
        nodes, er_p, ba_m, ws_k, ws_p, seeds = self.grids.values()
        for key, grid in self.grids.items():
            if list(grid) != sorted(set(grid)):
                raise InputError(f"{key} must be distinct and ascending; got {list(grid)}")
        if not nodes or nodes[0] < 1:
            raise InputError(f"a network has at least 1 node; got nodes={list(nodes)}")
        if not seeds:
            raise InputError("there must be at least 1 seed; got seeds=0")
        for key, grid in (("er_p", er_p), ("ws_p", ws_p)):
            if any(not 0 <= p <= 1 for p in grid):
                raise InputError(f"{key} must be probabilities; got {list(grid)}")
        if ba_m and not 1 <= ba_m[0] <= ba_m[-1] < nodes[0]:
            raise InputError(
                f"ba_m must be at least 1 and less than all nodes; got {list(ba_m)} and "
                f"nodes={list(nodes)}"
            )
        if ws_k and (any(k % 2 for k in ws_k) or not 2 <= ws_k[0] <= ws_k[-1] < nodes[0]):
            raise InputError(
                f"ws_k must be even, at least 2 and less than all nodes; got {list(ws_k)} and "
                f"nodes={list(nodes)}"
            )
        graphs = len(er_p) + len(ba_m) + len(ws_k) * len(ws_p)
        if not graphs:
            raise InputError("there is no generator: give er_p, ba_m, or ws_k with ws_p")
        rows = len(nodes) * graphs * len(seeds)
        if rows * nodes[-1] ** 2 > _MOST_PAIRS:
            raise InputError(
                f"with {nodes[-1]} nodes a space of drawn graphs has at most "
                f"{_MOST_PAIRS // nodes[-1] ** 2:,} rows; got {rows:,}"
            )

    def _list_decisions(self) -> list[Decision]:
        parameters = {
            ERDOS_RENYI: ("er_p",),
            BARABASI_ALBERT: ("ba_m",),
            WATTS_STROGATZ: ("ws_k", "ws_p"),
        }
        given = {
            generator: keys
            for generator, keys in parameters.items()
            if all(self.grids[key] for key in keys)
        }
        choices = {key: tuple(f"{value:g}" for value in grid) for key, grid in self.grids.items()}
        return [
            Decision("generator", tuple(given)),
            Decision("nodes", choices["nodes"], ordered=True),
            *(
                Decision(key, choices[key], {"generator": (generator,)}, ordered=True)
                for generator, keys in given.items()
                for key in keys
            ),
            Decision("seed", choices["seed"]),
        ]

    def decode(self, row: Row) -> Architecture:
        """Return the architecture of the graph that a row draws."""
        if self._activated(row) != tuple(row):
            raise ValueError(f"{row} is no row of the space {self.name}")
        chosen = {
            name: self.grids[name][index]
            for name, index in zip(self._names[1:], row[1:], strict=True)
            if index >= 0
        }
        generator = self.decisions[0].choices[row[0]]
        nodes, seed = chosen["nodes"], chosen["seed"]
        if generator == ERDOS_RENYI:
            pairs = erdos_renyi(nodes, chosen["er_p"], seed)
        elif generator == BARABASI_ALBERT:
            pairs = barabasi_albert(nodes, chosen["ba_m"], seed)
        else:
            pairs = watts_strogatz(nodes, chosen["ws_k"], chosen["ws_p"], seed)
        return wired(nodes, pairs)


def wired(nodes: int, pairs: Pairs) -> Architecture:
    """Return the architecture of an undirected graph.

    Args:
        nodes: The number of nodes, all labelled `NODE`.
        pairs: Its edges, each with the smaller index first.

    Example:
        >>> wired(3, [(0, 1)])  # the third node is a branch of its own
        Architecture(['input', 'sepconv3x3', 'sepconv3x3', 'sepconv3x3', 'output'], \
[(0, 1), (0, 3), (1, 2), (2, 4), (3, 4)])
    """
    fed, feeding = {v for _, v in pairs}, {u for u, _ in pairs}
    edges = [(u + 1, v + 1, "") for u, v in pairs]
    edges += [(0, v + 1, "") for v in range(nodes) if v not in fed]
    edges += [(u + 1, nodes + 1, "") for u in range(nodes) if u not in feeding]
    return Architecture._trusted((INPUT, *[NODE] * nodes, OUTPUT), tuple(sorted(edges)))
