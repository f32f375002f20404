"""Progressive search: what is simplest, how it grows, and what is evaluated next."""

from __future__ import annotations

import numpy as np
import pytest

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.optimizers import PNAS, RandomSearch
from graphbo.optimizers.growth import Growth
from graphbo.optimizers.pnas import block_counts
from graphbo.spaces import CellSpace, ChainSpace, Design, PoolSpace, SearchSpace
from graphbo.trial import Trial

ON_EDGES = CellSpace(3, ["a", "b"], on="edges")
ON_NODES = CellSpace(4, ["a"], on="nodes")
CHAINS = ChainSpace(3, ["conv3x3"], ["maxpool2"], [8])
SPACE = CellSpace(4, ["a", "b"], on="edges")


def growth(space: SearchSpace) -> Growth:
    rng = np.random.default_rng(0)
    return Growth(space, [space.sample(rng) for _ in range(50)])


def children(space: SearchSpace, *parents: Architecture) -> set[Architecture]:
    designs = [space.design_of(parent) for parent in parents]
    found = growth(space).children(designs, (), np.random.default_rng(0))
    return {design.architecture for design in found}


def chain(*layers: str) -> Architecture:
    edges = [(i, i + 1) for i in range(len(layers) + 1)]
    return Architecture(["input", *layers, "output"], edges)


def cell(*edges: tuple[int, int, str]) -> Architecture:
    nodes = 1 + max(v for _, v, _ in edges)
    return Architecture(["input", *[""] * (nodes - 2), "output"], edges)


def error(design: Design) -> float:
    labels = [label for *_, label in design.architecture.edges]
    return 20.0 - 2 * labels.count("b") - labels.count("a")


def test_the_simplest_have_one_operation_or_none() -> None:
    empty = Architecture(["input", "output"], [])
    assert {design.architecture for design in growth(ON_EDGES).simplest()} == {
        empty,
        cell((0, 1, "a")),
        cell((0, 1, "b")),
    }
    direct = Architecture(["input", "output"], [(0, 1)])
    assert {d.architecture for d in growth(ON_NODES).simplest()} == {direct, chain("a")}
    layers = {chain("conv3x3-8"), chain("maxpool2")}
    assert {d.architecture for d in growth(CHAINS).simplest()} == layers


def test_a_cell_with_operations_on_edges_grows_by_an_edge_or_a_way() -> None:
    ways = {cell((0, 1, x), (1, 2, y), (0, 2, "a")) for x in "ab" for y in "ab"}
    assert children(ON_EDGES, cell((0, 1, "a"))) == ways
    shortcuts = {cell((0, 1, "a"), (1, 2, "b"), (0, 2, x)) for x in "ab"}
    assert children(ON_EDGES, cell((0, 1, "a"), (1, 2, "b"))) == shortcuts


def test_a_cell_with_operations_on_nodes_grows_by_an_edge_or_a_node() -> None:
    beside = Architecture(["input", "a", "a", "output"], [(0, 1), (0, 2), (1, 3), (2, 3)])
    before = Architecture(["input", "a", "a", "output"], [(0, 1), (0, 2), (1, 2), (2, 3)])
    after = Architecture(["input", "a", "a", "output"], [(0, 1), (1, 2), (1, 3), (2, 3)])
    shortcut = Architecture(["input", "a", "output"], [(0, 1), (1, 2), (0, 2)])
    assert children(ON_NODES, chain("a")) == {beside, before, after, shortcut, chain("a", "a")}


def test_a_chain_grows_by_a_layer_at_any_place() -> None:
    assert children(CHAINS, chain("conv3x3-8", "maxpool2")) == {
        chain(*layers)
        for layers in [
            ("maxpool2", "conv3x3-8", "maxpool2"),
            ("conv3x3-8", "conv3x3-8", "maxpool2"),
            ("conv3x3-8", "maxpool2", "maxpool2"),
            ("conv3x3-8", "maxpool2", "conv3x3-8"),
        ]
    }
    assert not children(CHAINS, chain("maxpool2", "maxpool2", "maxpool2"))


def test_a_limit_leaves_some_children_out() -> None:
    parent = SPACE.design_of(Architecture(["input", "output"], [(0, 1, "a")]))
    drawn = growth(SPACE).children([parent], (), np.random.default_rng(0), most=3)
    assert len(set(drawn)) == 3


def test_counts_of_blocks_by_hand() -> None:
    counts = block_counts([cell((0, 1, "a"), (1, 2, "b"), (0, 2, "b"))], ["a", "b"])
    # From the input to a and to b, from a to b, and from both b to the output.
    by_pair = [[1, 1, 0], [0, 1, 0], [0, 0, 2]]
    assert counts.reshape(3, 3).tolist() == by_pair


def test_the_best_of_a_stage_grow_and_the_best_predictions_are_the_next() -> None:
    optimizer = PNAS(SPACE, beam=2)
    first = [design for _ in range(3) for design in optimizer.ask()]
    assert {design.origin for design in first} == {"simplest"}
    assert optimizer.stage == 0
    # The empty cell is the worst: it does not grow.
    for design in first:
        optimizer.tell(Trial(design, value=error(design)))
    second = optimizer.ask(2)
    assert optimizer.stage == 1
    assert {design.origin for design in second} == {"growth"}
    assert all(len(design.architecture.edges) == 3 for design in second)
    optimizer.tell([Trial(design, value=error(design)) for design in second[:1]])
    (extra,) = optimizer.ask()
    assert optimizer.stage == 1, "the second of the stage is awaited"
    assert extra.origin == "growth"
    optimizer.tell([Trial(design, value=error(design)) for design in [*second[1:], extra]])
    optimizer.ask()
    assert optimizer.stage == 2


def test_after_the_largest_size_the_best_are_refined() -> None:
    optimizer = PNAS(ON_EDGES, beam=1, members=2)
    origins = []
    for _ in range(len(ON_EDGES.enumerate())):
        (design,) = optimizer.ask()
        origins.append(design.origin)
        optimizer.tell(Trial(design, value=error(design)))
    order = list(dict.fromkeys(origins))
    assert order[:3] == ["simplest", "growth", "refined"]
    assert optimizer.ask() == []


def test_a_stage_of_failures_gives_way_to_the_best_before() -> None:
    optimizer = PNAS(SPACE, beam=2, members=2)
    first = optimizer.ask(3)
    optimizer.tell([Trial(design, value=error(design)) for design in first])
    optimizer.tell([Trial(design, error="failed") for design in optimizer.ask(2)])
    (design,) = optimizer.ask()
    assert (optimizer.stage, design.origin) == (2, "growth")


def test_the_search_is_better_than_a_random_one() -> None:
    def best(kind: type[PNAS] | type[RandomSearch], seed: int) -> float:
        optimizer = kind(SPACE, seed=seed)
        for _ in range(30):
            (design,) = optimizer.ask()
            optimizer.tell(Trial(design, value=error(design)))
        assert optimizer.best is not None
        return optimizer.best.value or 0.0

    ours, theirs = (np.mean([best(kind, s) for s in range(2)]) for kind in (PNAS, RandomSearch))
    assert ours < theirs


def test_a_space_without_the_simplest_begins_with_its_smallest() -> None:
    large = [d.architecture for d in SPACE.enumerate() if len(d.architecture.edges) > 3]
    optimizer = PNAS(PoolSpace(large), beam=4)
    assert {len(design.architecture.edges) for design in optimizer.ask(4)} == {4}


def test_spaces_without_operations_and_settings_out_of_range_are_refused() -> None:
    alone = PoolSpace([Architecture(["input", "output"], [(0, 1)])], name="alone")
    with pytest.raises(InputError, match="the space alone has no operations"):
        PNAS(alone)
    with pytest.raises(InputError, match="at least 1; got 0 and 5"):
        PNAS(SPACE, beam=0)
