"""Races: who climbs, how large they are, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from ConfigSpace import ConfigurationSpace

import graphbo
from graphbo.errors import InputError
from graphbo.optimizers import Optimizer, make_optimizer
from graphbo.spaces import CellSpace, Design, HyperparameterSpace, SearchSpace
from graphbo.study import Study
from graphbo.trial import Trial

SPACE = CellSpace(4, ["a", "b", "c"], on="edges")
MULTI_FIDELITY = ("successive-halving", "hyperband", "asha")


def value(design: Design) -> float:
    return int(design.architecture.key[:8], 16) / 2**32


def epochs_of(designs: Sequence[Design]) -> list[float]:
    return [(design.fidelity or {})["epochs"] for design in designs]


def drive(optimizer: Optimizer, trials: int) -> list[Design]:
    """Evaluate one design at a time, as good at every rung."""
    proposed = []
    for _ in range(trials):
        (design,) = optimizer.ask()
        optimizer.tell(Trial(design, value(design)))
        proposed.append(design)
    return proposed


def test_a_race_halves_until_one_design_is_trained_fully() -> None:
    optimizer = make_optimizer("successive-halving", SPACE, epochs=range(1, 10))
    proposed = drive(optimizer, 9 + 3 + 1)
    assert epochs_of(proposed) == [1] * 9 + [3] * 3 + [9]
    started = sorted(proposed[:9], key=value)
    assert proposed[9:12] == started[:3]
    assert proposed[12:] == started[:1]
    assert optimizer.best is not None
    assert optimizer.best.design == started[0]


def test_the_brackets_of_hyperband_are_those_of_the_paper() -> None:
    """R = 81 and eta = 3: table 1 of Li et al., JMLR 2018."""
    optimizer = make_optimizer("hyperband", SPACE, epochs=range(1, 82), min_epochs=1)
    table = [
        {1: 81, 3: 27, 9: 9, 27: 3, 81: 1},
        {3: 34, 9: 11, 27: 3, 81: 1},
        {9: 15, 27: 5, 81: 1},
        {27: 8, 81: 2},
        {81: 5},
    ]
    for bracket in table:
        proposed = drive(optimizer, sum(bracket.values()))
        assert dict(Counter(epochs_of(proposed))) == bracket


def test_asha_promotes_the_best_third_of_a_rung_as_soon_as_it_is() -> None:
    optimizer = make_optimizer("asha", SPACE, epochs=[1, 3, 9])
    first = drive(optimizer, 3)
    assert epochs_of(first) == [1, 1, 1]
    (climbing,) = drive(optimizer, 1)
    assert climbing == min(first, key=value)
    assert climbing.fidelity == {"epochs": 3}
    assert epochs_of(drive(optimizer, 3)) == [1, 1, 1]


def test_workers_do_not_wait_for_a_rung() -> None:
    optimizer = make_optimizer("successive-halving", SPACE, epochs=[1, 3])
    waiting = optimizer.ask(2)
    assert epochs_of(waiting) == [1, 1]
    (third,) = optimizer.ask()
    (next_race,) = optimizer.ask()
    assert epochs_of([third, next_race]) == [1, 1]
    optimizer.tell([Trial(design, value(design)) for design in [third, *waiting]])
    (climbing,) = optimizer.ask()
    assert climbing == min([third, *waiting], key=value)
    assert climbing.fidelity == {"epochs": 3}


def test_a_failure_does_not_climb() -> None:
    optimizer = make_optimizer("successive-halving", SPACE, epochs=[1, 3])
    designs = optimizer.ask(3)
    optimizer.tell([Trial(designs[0], 0.5), *(Trial(d, error="failed") for d in designs[1:])])
    (climbing,) = optimizer.ask()
    assert climbing == designs[0]
    assert climbing.fidelity == {"epochs": 3}


@pytest.mark.parametrize(
    ("offered", "settings", "rungs"),
    [
        ([4, 12, 36, 108], {}, (4, 12, 36, 108)),
        ([12, 200], {}, (12, 200)),
        (range(1, 10), {}, (1, 3, 9)),
        (range(1, 201), {}, (7, 22, 67, 200)),
        (range(1, 82), {"min_epochs": 1}, (1, 3, 9, 27, 81)),
        (range(1, 10), {"eta": 2}, (1, 2, 5, 9)),
        ([10, 11], {}, (10, 11)),
    ],
)
def test_rungs_are_a_factor_apart(
    offered: Sequence[int], settings: dict[str, float], rungs: tuple[int, ...]
) -> None:
    optimizer = make_optimizer("hyperband", SPACE, epochs=offered, **settings)
    assert optimizer.rungs == rungs  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_it_takes_two_numbers_of_epochs(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} chooses between numbers of epochs"):
        make_optimizer(name, SPACE)
    with pytest.raises(InputError, match="there is only 9"):
        make_optimizer(name, SPACE, epochs=[9])
    with pytest.raises(InputError, match="eta must be greater than 1; got 1"):
        make_optimizer(name, SPACE, epochs=[1, 9], eta=1)
    with pytest.raises(InputError, match="min_epochs must lie between 1 and the 9 epochs"):
        make_optimizer(name, SPACE, epochs=[1, 9], min_epochs=9)


def test_a_race_without_survivors_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 design survives; got survivors=0"):
        make_optimizer("successive-halving", SPACE, epochs=[1, 9], survivors=0)


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_a_study_trains_as_long_as_proposed_and_resumes(name: str, tmp_path: object) -> None:
    problem = graphbo.problems.get_problem("digits-table")
    path = f"{tmp_path}/study.sqlite"
    whole = Study.of(problem, name, seed=1).run(trials=30)
    Study.of(problem, name, seed=1, storage=path).run(trials=17)
    resumed = Study.of(problem, name, seed=1, storage=path).run(trials=30)

    def story(trials: Sequence[Trial]) -> list[tuple[object, ...]]:
        return [(t.design, t.epochs, t.value, t.seed, t.evaluation) for t in trials]

    assert story(resumed.trials) == story(whole.trials)
    assert {trial.epochs for trial in whole.trials} == {1, 3, 9}
    full = [trial for trial in whole.trials if trial.epochs == 9]
    assert whole.best == min(full, key=lambda trial: trial.value or 0.0)


def test_climbing_costs_the_rest_and_keeps_the_seed() -> None:
    problem = graphbo.problems.get_problem("digits-table")
    trials = Study.of(problem, "successive-halving").run(trials=13).trials
    last = trials[-1]
    earlier = [trial for trial in trials if trial.design == last.design]
    assert [trial.epochs for trial in earlier] == [1, 3, 9]
    assert len({trial.seed for trial in earlier}) == 1
    costs = [trial.evaluation.cost for trial in earlier if trial.evaluation]
    whole = problem.evaluator.evaluate_one(graphbo.Job(last.design))
    assert sum(costs) == pytest.approx(whole.cost)
    # 9 trainings of one epoch, 3 that go on to three, and one that goes on to nine.
    study = Study.of(problem, "successive-halving")
    assert len(study.run(epochs=9 + 3 * 2 + 6).trials) == 13


HYPERPARAMETERS = HyperparameterSpace(ConfigurationSpace({"o": ["adam", "sgd"], "n": (1, 6)}))


@pytest.mark.parametrize("name", [*MULTI_FIDELITY, "bohb", "dehb", "graph-mf"])
@pytest.mark.parametrize("space", [HYPERPARAMETERS, CellSpace(3, ["a"], on="edges")])
def test_a_space_that_is_used_up_is_trained_fully(name: str, space: SearchSpace) -> None:
    optimizer = make_optimizer(name, space, epochs=[1, 3, 9])
    trained: list[tuple[Design, float]] = []
    while designs := optimizer.ask():
        fidelity = designs[0].fidelity or {}
        value = len(trained) * 7 % 13 / 13
        optimizer.tell(Trial(designs[0], value, fidelity=fidelity))
        trained.append((designs[0], fidelity["epochs"]))
        assert len(trained) < 100
    assert {design for design, _ in trained} == set(space.listed())
    assert any(epochs == 9 for _, epochs in trained)
