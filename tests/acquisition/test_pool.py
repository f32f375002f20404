"""Candidates: everything where that is possible, else an evolving pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphbo.acquisition import candidates
from graphbo.spaces import CellSpace, ChainSpace, Design, NASBench101Space, SearchSpace


def no_score(designs: Sequence[Design]) -> np.ndarray:
    raise AssertionError("nothing needs to be scored")


def test_a_space_that_can_be_enumerated_is_returned_whole() -> None:
    space = CellSpace(4, ["a", "b"], on="edges")
    seen = {space.enumerate()[0]}
    pool = candidates(space, [], seen, np.random.default_rng(0), no_score)
    assert pool is space.enumerate()


LARGE = [NASBench101Space(), ChainSpace(12)]


@pytest.mark.parametrize("space", LARGE, ids=["cells", "chains"])
def test_a_large_space_gives_unseen_distinct_members(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    parents = [space.sample(rng) for _ in range(5)]
    near = [neighbor for parent in parents for neighbor in space.neighbors(parent)[::2]]
    seen = {*parents, *near}
    pool = candidates(
        space, parents, seen, rng, lambda designs: np.zeros(len(designs)), size=60, generations=2
    )
    assert len(set(pool)) == len(pool)
    assert not seen & set(pool)
    assert all(design.architecture in space for design in pool)
    assert 60 < len(pool) <= 180
    assert {design.origin for design in pool} == {"random", "mutation", "crossover"}


def test_without_parents_the_pool_starts_at_random() -> None:
    space = NASBench101Space()
    pool = candidates(space, [], set(), np.random.default_rng(0), no_score, size=20, generations=0)
    assert {design.origin for design in pool} == {"random"}
    assert len(pool) > 10


def test_the_pool_evolves_towards_a_higher_score() -> None:
    space = ChainSpace(12)

    def score(designs: Sequence[Design]) -> np.ndarray:
        return np.array(
            [sum(node == "maxpool2" for node in d.architecture.nodes) for d in designs], float
        )

    def best(generations: int) -> float:
        rng = np.random.default_rng(1)
        parents = [space.sample(rng) for _ in range(5)]
        pool = candidates(space, parents, set(), rng, score, size=80, generations=generations)
        return float(score(pool).max())

    assert best(8) > best(0) + 2


@pytest.mark.parametrize("space", LARGE, ids=["cells", "chains"])
def test_the_pool_follows_from_the_seed(space: SearchSpace) -> None:
    def draw(seed: int) -> list[tuple[int, ...]]:
        rng = np.random.default_rng(seed)
        parents = [space.sample(rng) for _ in range(3)]
        pool = candidates(
            space, parents, set(), rng, lambda d: np.arange(len(d), dtype=float), size=30
        )
        return [design.row for design in pool]

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
