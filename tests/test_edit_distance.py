"""Edit distances against networkx, their bound, and the search for the nearest."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces import CellSpace, ChainSpace, EditDistances, NASBench101Space, edit_distance


def by_networkx(first: Architecture, second: Architecture) -> float:
    def substitution(a: dict[str, str], b: dict[str, str]) -> float:
        if {a["label"], b["label"]} & {INPUT, OUTPUT}:
            return 0 if a["label"] == b["label"] else 1000
        return float(a["label"] != b["label"])

    distance: float = nx.graph_edit_distance(
        first.operations_on_nodes().to_networkx(),
        second.operations_on_nodes().to_networkx(),
        node_subst_cost=substitution,
    )
    return distance


@pytest.mark.parametrize(
    "space",
    [CellSpace(4, ["a", "b"], on="nodes"), CellSpace(3, ["a", "b"], on="edges")],
    ids=["nodes", "edges"],
)
def test_the_distance_is_networkx_graph_edit_distance(space: CellSpace) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        first, second = space.sample(rng).architecture, space.sample(rng).architecture
        assert edit_distance(first, second) == by_networkx(first, second)


@pytest.mark.parametrize(
    ("nodes", "edges", "distance"),
    [
        ([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3)], 0),
        ([INPUT, "a", "c", OUTPUT], [(0, 1), (1, 2), (2, 3)], 1),  # a label that is unknown
        ([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3), (0, 3)], 1),
        ([INPUT, "b", "a", OUTPUT], [(0, 1), (1, 2), (2, 3)], 2),
        ([INPUT, "a", OUTPUT], [(0, 1), (1, 2)], 4),  # a node and two edges less, one edge more
        ([INPUT, OUTPUT], [], 5),
    ],
)
def test_distances_that_can_be_counted_by_hand(
    nodes: list[str], edges: list[tuple[int, int]], distance: int
) -> None:
    chain = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    other = Architecture(nodes, edges)
    assert edit_distance(chain, other) == distance
    assert edit_distance(other, chain) == distance


def test_two_empty_cells_are_at_no_distance() -> None:
    empty = Architecture([INPUT, OUTPUT], [])
    assert edit_distance(empty, empty) == 0


def test_the_distance_is_a_metric_and_the_bound_lies_below() -> None:
    space = NASBench101Space(5)
    members = [design.architecture for design in space.enumerate()[::40]]
    index = EditDistances(members)
    assert index.exact
    table = np.stack([index.distances(member) for member in members])
    bounds = np.stack([index.bounds(member) for member in members])
    assert (table == table.T).all()
    assert ((table == 0) == np.eye(len(members), dtype=bool)).all()
    assert (table[:, None, :] <= table[:, :, None] + table[None, :, :]).all()
    assert (bounds <= table).all()
    assert (bounds > 0).any()


def test_the_nearest_are_those_of_a_full_search() -> None:
    members = [design.architecture for design in NASBench101Space(5).enumerate()[::5]]
    index = EditDistances(members)
    allowed = np.ones(len(members), bool)
    allowed[::3] = False
    for centres in ([members[7]], [members[7], members[300]]):
        sums = sum(index.distances(centre) for centre in centres)
        found, distances = index.nearest(centres, 24, allowed)
        expected = np.sort(sums[allowed])
        assert (distances == expected[: len(found)]).all()
        assert len(found) >= 24
        assert len(found) == (sums[allowed] <= expected[23]).sum()
        assert (sums[found] == distances).all()
        assert allowed[found].all()


def test_fewer_are_found_where_fewer_are_allowed() -> None:
    members = [design.architecture for design in CellSpace(3, ["a", "b"], on="edges").enumerate()]
    allowed = np.zeros(len(members), bool)
    assert len(EditDistances(members).nearest([members[0]], 5, allowed)[0]) == 0
    allowed[[2, 4]] = True
    assert set(EditDistances(members).nearest([members[0]], 5, allowed)[0].tolist()) == {2, 4}


def test_larger_graphs_are_compared_by_their_counts() -> None:
    space = ChainSpace(9, ["conv"], ["pool"], [8, 16])

    def chain(*layers: str) -> Architecture:
        n = len(layers) + 2
        return Architecture([INPUT, *layers, OUTPUT], [(i, i + 1) for i in range(n - 1)])

    base = chain(*["conv-8"] * 7, "pool")
    members = [base, chain(*["conv-8"] * 8), chain("pool", *["conv-8"] * 7), chain("other")]
    index = EditDistances(members)
    assert not index.exact
    assert base in space
    distances = index.distances(base)
    # One label and two edges of other kinds; three edges of other kinds.
    assert distances[:3].tolist() == [0, 1 + 2, 0 + 3]
    # Seven labels more and one that cannot be matched; all edges differ: nine and two.
    assert distances[3] == 8 + 11 / 2
    assert (index.bounds(base) == distances).all()
