"""What a search is like."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

import graphbo
from graphbo.advice import SpaceFeatures, Task, similarity

TASK = Task(SpaceFeatures(size=1000), budget=100)


def test_like_searches_count_in_full() -> None:
    assert similarity(TASK, TASK) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": 400},
        {"workers": 4},
        {"space": SpaceFeatures(size=100_000)},
        {"space": SpaceFeatures(size=1000, kind="both")},
        {"space": SpaceFeatures(size=1000, enumerable=False)},
        {"space": SpaceFeatures(size=1000, conditional=True)},
        {"space": SpaceFeatures(size=1000, chain=True)},
        {"space": SpaceFeatures(size=1000, encoder=True)},
    ],
)
def test_one_scale_leaves_the_same_share_of_the_weight_in_every_feature(
    changes: dict[str, Any],
) -> None:
    other = replace(TASK, **changes)
    assert similarity(TASK, other) == similarity(other, TASK) == pytest.approx(math.exp(-1))


def test_a_choice_of_epochs_is_two_scales() -> None:
    assert similarity(TASK, replace(TASK, fidelities=True)) == pytest.approx(math.exp(-2))


def test_differences_multiply() -> None:
    other = replace(TASK, budget=25, workers=4)
    assert similarity(TASK, other) == pytest.approx(math.exp(-2))


def test_the_mixed_kind_lies_between_the_others() -> None:
    kinds = [
        Task(SpaceFeatures(kind=kind), 100) for kind in ("architectures", "both", "hyperparameters")
    ]
    assert similarity(kinds[0], kinds[2]) == pytest.approx(
        similarity(kinds[0], kinds[1]) * similarity(kinds[1], kinds[2])
    )


def test_unlimited_spaces_are_as_large_as_the_largest() -> None:
    unlimited, large = (Task(SpaceFeatures(size=size), 100) for size in (None, 10**12))
    assert similarity(unlimited, large) == 1


def test_a_space_says_what_it_is_like() -> None:
    cells = SpaceFeatures.of(graphbo.NASBench201Space(), encoder=True)
    assert cells == SpaceFeatures("architectures", 5**6, encoder=True)
    chains = SpaceFeatures.of(graphbo.ChainSpace(12), encoder=False)
    assert chains.chain
    assert chains.conditional
    assert not chains.enumerable


def test_a_pool_has_its_own_size() -> None:
    cells = graphbo.CellSpace(3, ["a", "b"], on="edges")
    pool = graphbo.PoolSpace([d.architecture for d in cells.enumerate()[:5]], parent=cells)
    assert SpaceFeatures.of(pool, encoder=False).size == 5
