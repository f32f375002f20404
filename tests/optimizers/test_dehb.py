"""DEHB: evolution by hand, who competes with whom, and the races."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from graphbo.errors import InputError
from graphbo.optimizers import make_optimizer
from graphbo.optimizers.dehb import DEHB, Individual
from graphbo.optimizers.differential_evolution import bounded, crossed, mutated, to_point, to_vector
from graphbo.problems import get_problem
from graphbo.spaces import CellSpace, ChainSpace, Design, SearchSpace
from graphbo.spaces.base import INACTIVE
from graphbo.study import Study
from graphbo.trial import Trial

SPACE = CellSpace(4, ["a", "b", "c"], on="edges")


def made(space: SearchSpace = SPACE, **settings: Any) -> DEHB:
    optimizer = make_optimizer("dehb", space, epochs=[1, 3, 9], **settings)
    assert isinstance(optimizer, DEHB)
    return optimizer


def value(design: Design) -> float:
    return int(design.architecture.key[:8], 16) / 2**32


def drive(optimizer: DEHB, trials: int) -> list[Design]:
    """Evaluate one design at a time, as good at every rung."""
    proposed = []
    for _ in range(trials):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, value(design)))
        proposed.append(design)
    return proposed


def epochs_of(designs: Sequence[Design]) -> list[float]:
    return [(design.fidelity or {})["epochs"] for design in designs]


def members(optimizer: DEHB, rung: int) -> list[Individual]:
    found = [individual for individual in optimizer.populations[rung] if individual is not None]
    assert len(found) == len(optimizer.populations[rung])
    return found


# Evolution ---------------------------------------------------------------------------------------


def test_choices_are_equal_parts_of_the_unit_interval() -> None:
    assert to_vector(np.array([0.0, 0.24, 0.25, 0.74, 1.0]), [4] * 5) == (0, 0, 1, 2, 3)
    rng = np.random.default_rng(0)
    vectors = np.array([to_point((0, 2, INACTIVE), [2, 4, 4], rng) for _ in range(2000)])
    np.testing.assert_allclose(vectors.min(0), [0, 0.5, 0], atol=0.01)
    np.testing.assert_allclose(vectors.max(0), [0.5, 0.75, 1], atol=0.01)
    assert {to_vector(vector, [2, 4, 4])[:2] for vector in vectors} == {(0, 2)}


def test_a_mutant_by_hand() -> None:
    base, first, second = np.array([[0.25, 0.5], [0.75, 0.125], [0.25, 0.625]])
    np.testing.assert_array_equal(mutated(base, first, second, 0.5), [0.5, 0.25])


class Numbers(np.random.Generator):
    """Draws the numbers that it is given."""

    def __init__(self, *numbers: Sequence[float]) -> None:
        super().__init__(np.random.PCG64())
        self.numbers = [np.array(each) for each in numbers]

    def random(self, *_: Any, **__: Any) -> Any:
        return self.numbers.pop(0)

    def integers(self, *_: Any, **__: Any) -> Any:
        return 1


def test_a_crossover_by_hand() -> None:
    target, mutant = np.array([0.1, 0.2, 0.3]), np.array([0.7, 0.8, 0.9])
    half = crossed(target, mutant, 0.5, Numbers([0.4, 0.5, 0.1]))
    np.testing.assert_array_equal(half, [0.7, 0.2, 0.9])
    one_at_least = crossed(target, mutant, 0.5, Numbers([0.9, 0.9, 0.9]))
    np.testing.assert_array_equal(one_at_least, [0.1, 0.8, 0.3])


def test_what_leaves_the_unit_interval_is_drawn_anew() -> None:
    vector = bounded(np.array([-0.1, 0.0, 1.0, 1.1]), Numbers([0.2, 0.3, 0.4, 0.6]))
    np.testing.assert_array_equal(vector, [0.2, 0.0, 1.0, 0.6])


def test_an_offspring_differs_from_its_target_where_it_is_crossed() -> None:
    """With probability 0 that is one decision; with 1, nothing but the parents matters."""
    parents = [Individual(SPACE.design(row), row, 0.0) for row in [(1,) * 6, (2,) * 6, (3,) * 6]]
    target = Individual(SPACE.design((2, 0, 0, 0, 0, 1)), (2, 0, 0, 0, 0, 1), 0.0)
    rng = np.random.default_rng(1)
    changes = {0.0: 0, 1.0: 0}
    for probability in changes:
        optimizer = made(crossover_probability=probability)
        for _ in range(50):
            child = optimizer._offspring(target, parents, rng)
            assert child is not None
            changed = sum(a != b for a, b in zip(child.row, target.vector, strict=True))
            changes[probability] = max(changes[probability], changed)
    assert changes[0.0] == 1
    assert changes[1.0] == 6


def test_missing_parents_come_from_all_populations() -> None:
    optimizer = made()
    drive(optimizer, 13)
    target, *others = members(optimizer, 0)
    rng = np.random.default_rng(0)
    assert optimizer._offspring(target, [], rng) is not None
    optimizer.populations = [[target, *others[:2]], [None], [None]]
    assert optimizer._offspring(target, others[:1], rng) is None


# Selection ---------------------------------------------------------------------------------------


def test_populations_have_the_sizes_of_the_largest_races() -> None:
    # Races of 9, 3, 1 and 5, 1 and 3 designs.
    assert [len(population) for population in made().populations] == [9, 5, 3]


def test_the_first_race_is_random_and_halves() -> None:
    optimizer = made()
    proposed = drive(optimizer, 9 + 3 + 1)
    assert epochs_of(proposed) == [1] * 9 + [3] * 3 + [9]
    started = sorted(proposed[:9], key=value)
    assert {design.origin for design in started} == {"random"}
    assert proposed[9:12] == started[:3]
    assert proposed[12:] == started[:1]
    assert [individual.design for individual in members(optimizer, 0)] == proposed[:9]


def test_the_first_races_fill_the_populations() -> None:
    optimizer = made()
    proposed = drive(optimizer, 9 + 3 + 1 + 5 + 1 + 3)
    assert epochs_of(proposed[13:]) == [3] * 5 + [9] + [9] * 3
    # Of five places at 3 epochs, three had been taken by designs that climbed.
    assert [design.origin for design in proposed[13:18]] == ["random"] * 2 + ["dehb"] * 3
    # The best of them that has not climbed is next.
    below = [each.design for each in members(optimizer, 1) if each.design != proposed[12]]
    assert proposed[18] == min(below, key=value)
    assert len(members(optimizer, 2)) == 3


def test_later_races_evolve_at_every_rung() -> None:
    optimizer = made()
    drive(optimizer, 22)
    proposed = drive(optimizer, 13)
    assert epochs_of(proposed) == [1] * 9 + [3] * 3 + [9]
    assert Counter(design.origin for design in proposed)["dehb"] >= 12


def test_an_offspring_replaces_its_target_unless_it_is_worse() -> None:
    optimizer = made()
    drive(optimizer, 22)
    before = members(optimizer, 0)
    asked = optimizer.ask(3)
    assert epochs_of(asked) == [1, 1, 1]
    outcomes = [before[0].value, before[1].value + 0.1, None]
    optimizer.tell(
        Trial(design, result, error=None if result is not None else "failed")
        for design, result in zip(asked, outcomes, strict=True)
    )
    after = members(optimizer, 0)
    assert after[0].design == asked[0]
    assert after[1:] == before[1:]


def test_a_failure_does_not_climb_and_is_not_proposed_again() -> None:
    optimizer = made()
    designs = optimizer.ask(9)
    optimizer.tell([Trial(d, error="failed") for d in designs[:7]])
    optimizer.tell([Trial(d, float(i)) for i, d in enumerate(designs[7:])])
    proposed = optimizer.ask(3)
    assert epochs_of(proposed) == [3, 3, 3]
    assert proposed[:2] == designs[7:]
    assert proposed[2] not in designs


def test_workers_do_not_wait_for_a_rung() -> None:
    optimizer = made()
    first, *others = optimizer.ask(9)
    optimizer.tell([Trial(design, value(design)) for design in others])
    (meanwhile,) = optimizer.ask()
    assert epochs_of([meanwhile]) == [3]
    assert meanwhile.origin == "random"
    optimizer.tell(Trial(first, value(first)))
    (climbing,) = optimizer.ask()
    assert climbing == min([first, *others], key=value)


def test_conditional_decisions_and_the_end_of_a_space() -> None:
    space = ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16])
    optimizer = made(space, seed=2)
    asked: list[Design] = []
    while designs := optimizer.ask(2):
        optimizer.tell([Trial(design, value(design)) for design in designs])
        asked += designs
    pairs = list(zip(asked, epochs_of(asked), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert {design for design, epochs in pairs if epochs == 9} == set(space.enumerate())


def test_it_gets_better_than_random() -> None:
    optimizer = made()
    for _ in range(200):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, -float(design.row.count(1))))
    started = [trial.design for trial in optimizer.told if trial.epochs == 1]
    first, last = (np.mean([d.row.count(1) for d in each]) for each in (started[:9], started[-9:]))
    assert last > first + 1


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("mutation_factor", 0.0, "mutation_factor of dehb is from 0 to 2; got 0.0"),
        ("crossover_probability", 1.5, "crossover_probability of dehb is from 0 to 1; got 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: float, message: str) -> None:
    settings: dict[str, Any] = {setting: value}
    with pytest.raises(InputError, match=message):
        made(**settings)


@pytest.mark.slow
def test_it_beats_hyperband_on_average_once_it_evolves() -> None:
    problem = get_problem("digits-table")
    dehb, hyperband = (
        np.mean([Study.of(problem, name, seed=seed).run(epochs=600).value for seed in range(10)])
        for name in ("dehb", "hyperband")
    )
    assert dehb < hyperband
