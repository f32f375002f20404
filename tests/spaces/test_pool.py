"""A finite pool: only its members are proposed, and near means few edits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces import CellSpace, NASBench101Space, PoolSpace, edit_distance


@pytest.fixture(scope="module")
def pool() -> PoolSpace:
    space = NASBench101Space(5)
    members = [design.architecture for design in space.enumerate()[::7]]
    return PoolSpace(members, name="part", parent=space)


def test_rows_are_indices_and_duplicates_are_merged() -> None:
    one = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2)])
    same = Architecture([OUTPUT, "a", INPUT, "dead"], [(2, 1), (1, 0), (2, 3)])
    other = Architecture([INPUT, "b", OUTPUT], [(0, 1), (1, 2)])
    pool = PoolSpace([one, same, other])
    assert pool.size == 2
    assert pool.encode(same) == (0,)
    assert pool.decode((1,)) == other
    assert pool.operations == ("a", "b")
    assert pool.decisions == ()
    assert not pool.aligned_positions
    assert pool.enumerable
    assert [design.row for design in pool.enumerate()] == [(0,), (1,)]


@pytest.mark.parametrize("row", [(), (-1,), (5000,), (0, 0)])
def test_other_rows_are_refused(pool: PoolSpace, row: tuple[int, ...]) -> None:
    assert not pool.is_valid(row)
    with pytest.raises(ValueError, match="is an index from 0 to 361"):
        pool.design(row)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(InputError, match="has no architectures"):
        PoolSpace([])


def test_configspace_does_not_apply(pool: PoolSpace) -> None:
    assert not pool.configurable
    message = "finite pool of 362 architectures, which no ConfigSpace describes"
    with pytest.raises(InputError, match=message):
        _ = pool.configuration_space
    with pytest.raises(InputError, match=message):
        pool.to_configuration(pool.enumerate()[0])
    with pytest.raises(InputError, match=message):
        pool.from_configuration({})


def test_neighbors_are_the_nearest_unseen(pool: PoolSpace) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        design = pool.sample(rng)
        everyone = {a: edit_distance(design.architecture, a) for a in pool.architectures}
        seen = {pool.sample(rng) for _ in range(200)}
        known = {each.architecture for each in (design, *seen)}
        left = sorted(d for a, d in everyone.items() if a not in known)
        neighbors = pool.neighbors(design, seen)
        assert [everyone[n.architecture] for n in neighbors] == left[:24]
        assert not seen & set(neighbors)
        assert everyone[pool.mutate(design, rng, seen).architecture] == left[0]


def test_mutation_draws_among_all_that_are_equally_near(pool: PoolSpace) -> None:
    rng = np.random.default_rng(0)
    design = pool.enumerate()[100]
    distances = [edit_distance(design.architecture, a) for a in pool.architectures]
    nearest = sorted(set(distances))[1]
    drawn = {pool.mutate(design, rng).row[0] for _ in range(200)}
    assert len(drawn) > 1
    assert drawn == {i for i, distance in enumerate(distances) if distance == nearest}


def test_crossover_lies_between_its_parents(pool: PoolSpace) -> None:
    rng = np.random.default_rng(0)
    first, second = pool.sample(rng), pool.sample(rng)
    sums = {
        a: edit_distance(first.architecture, a) + edit_distance(second.architecture, a)
        for a in pool.architectures
        if a not in (first.architecture, second.architecture)
    }
    child = pool.crossover(first, second, rng)
    assert sums[child.architecture] == min(sums.values())


def test_what_is_excluded_is_avoided_while_something_is_left(pool: PoolSpace) -> None:
    rng = np.random.default_rng(0)
    design, last = pool.enumerate()[0], pool.enumerate()[-1]
    exclude = set(pool.enumerate()) - {last}
    assert pool.mutate(design, rng, exclude) == last
    assert pool.neighbors(design, exclude) == [last]
    assert pool.neighbors(design, pool.enumerate()) == []
    assert pool.mutate(design, rng, pool.enumerate()) != design


def test_which_of_equally_near_members_come_first_does_not_follow_the_order_of_the_table() -> None:
    """Tables are often sorted by their results; the order must not leak into the search."""
    cells = CellSpace(3, list("abcdefghij"), on="nodes").enumerate()
    pool = PoolSpace([design.architecture for design in cells])
    centre = pool.design_of(Architecture([INPUT, OUTPUT], [(0, 1)]))
    rows = [neighbor.row for neighbor in pool.neighbors(centre)]
    assert rows != sorted(rows)


@pytest.mark.slow
def test_a_pool_of_thousands_is_quick() -> None:
    space = NASBench101Space()
    rng = np.random.default_rng(0)
    pool = PoolSpace([space.sample(rng).architecture for _ in range(5000)])
    pool.neighbors(pool.sample(rng))
    times = []
    for _ in range(9):
        design = pool.sample(rng)
        start = time.perf_counter()
        pool.neighbors(design)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.2
