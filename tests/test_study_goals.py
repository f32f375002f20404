"""Studies of several objectives and under constraints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator
from graphbo.functional import minimize
from graphbo.goals import Goals
from graphbo.optimizers import RandomSearch, RegularizedEvolution
from graphbo.optimizers.base import Known, Optimizer
from graphbo.spaces import CellSpace, Design
from graphbo.study import Result, Study
from graphbo.trial import Evaluation, Job, Trial

SPACE = CellSpace(4, ["conv", "skip"], on="edges")


def measured(architecture: Architecture) -> dict[str, float]:
    """An error that falls, and a size that grows, with every operation."""
    convolutions = sum(label == "conv" for *_, label in architecture.edges)
    return {"error": 20.0 - convolutions, "size": float(len(architecture.edges) + convolutions)}


class Sized(Evaluator):
    """Reports its size as a fact, which is known beforehand."""

    objectives = ("error",)
    known = ("size",)

    @property
    def facts(self) -> tuple[str, ...]:
        return ("size",)

    def evaluate_one(self, job: Job) -> Evaluation:
        found = measured(job.design.architecture)
        return Evaluation({"error": found["error"]}, facts={"size": found["size"]})

    def compute(self, name: str, design: Design, fidelity: Any = None) -> float:
        return measured(design.architecture)[name]


class Listening(RandomSearch):
    """Knows of no constraints, and keeps what it is told."""

    multi_objective = constrained = False


def study(optimizer: type[Optimizer] = RandomSearch, **settings: Any) -> Study:
    return Study(SPACE, Sized(), optimizer(SPACE), **settings)


def test_a_study_of_one_objective_is_what_it_always_was() -> None:
    search = study(objective="error")
    assert set(search._identity(None)) >= {"objective", "seed"}
    assert not {"constraints", "further objectives"} & set(search._identity(None))
    result = search.run(trials=5)
    assert result.goals is None
    assert result.front == [result.best]
    assert search.optimizer.goals is None
    with pytest.raises(InputError, match="no hypervolume"):
        result.hypervolume((1.0,))


def test_what_counts_is_trained_longest_among_what_keeps_the_constraints() -> None:
    trials = [
        Trial(
            design,
            value=float(number),
            number=number,
            fidelity={"epochs": epochs},
            evaluation=Evaluation({"error": float(number), "size": size}),
        )
        for number, (design, epochs, size) in enumerate(
            zip(SPACE.enumerate(), (1.0, 3.0, 3.0, 9.0), (1.0, 9.0, 2.0, 9.0), strict=False)
        )
    ]
    bounded = Result(tuple(trials), goals=Goals.of("error", ["size<=5"]))
    assert bounded.best == trials[2], "the first keeps it after fewer epochs, the last breaks it"
    front = Result(tuple(trials), goals=Goals.of(["error", "size"], ["size<=5"]))
    assert front.front == [trials[2]]
    assert front.hypervolume((3.0, 3.0)) == 1.0


def test_a_study_of_two_objectives_finds_their_front() -> None:
    result = study(objective=["error", "size"]).run(trials=SPACE.size)
    points = [(t.outcomes["error"], t.outcomes["size"]) for t in result.front]
    assert points[0] == (14.0, 12.0)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(points))
    assert result.value == 14.0, "the value is the first objective"
    assert result.hypervolume((21.0, 13.0)) > result.hypervolume((20.0, 12.0)) > 0


def test_a_fact_may_be_the_first_objective() -> None:
    result = study(objective="size").run(trials=SPACE.size)
    assert result.value == min(measured(d.architecture)["size"] for d in SPACE.enumerate())


def test_the_best_trial_keeps_the_constraints() -> None:
    result = study(constraints=["size<=4"]).run(trials=SPACE.size)
    allowed = [measured(d.architecture) for d in SPACE.enumerate()]
    assert result.value == min(m["error"] for m in allowed if m["size"] <= 4)
    assert result.best.outcomes["size"] <= 4
    assert result.front == [result.best]


def test_a_search_without_a_feasible_trial_says_so() -> None:
    result = study(constraints=["size<=-1", "error<=90"]).run(trials=4)
    assert result.front == []
    assert "none keeps size<=-1.0" in repr(result)
    with pytest.raises(ValueError, match=r"none of the 4 trials keeps size<=-1.0 and error<=90.0"):
        _ = result.best


def test_what_cannot_be_a_goal_is_refused_before_anything_is_evaluated() -> None:
    with pytest.raises(InputError, match=r"no objective or fact 'flops', only \['error', 'size'\]"):
        study(constraints=["flops<=4"])
    with pytest.raises(InputError, match="regularized-evolution minimises one objective"):
        study(RegularizedEvolution, objective=["error", "size"])
    with pytest.raises(InputError, match="is written like"):
        study(constraints=["size"])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"error": 1.0}, "the evaluation has no objective 'size', only"),
        ({"error": 1.0, "size": math.nan, "bits": 1.0}, "the objective 'size' is nan"),
        ({"error": 1.0, "size": 1.0}, "the evaluation has no fact 'bits', only"),
    ],
)
def test_a_trial_that_lacks_an_outcome_has_failed(found: Mapping[str, float], message: str) -> None:
    evaluator = FunctionEvaluator(lambda architecture: found, ["error", "size"])
    search = Study(
        SPACE,
        evaluator,
        RandomSearch(SPACE),
        objective=["error", "size"],
        constraints=["bits<=2"],
    )
    (trial,) = search.run(trials=1).trials
    assert trial.value is None
    assert message in str(trial.error)


def test_a_study_file_keeps_its_goals(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    settings: dict[str, Any] = {"objective": ["error", "size"], "constraints": ["size<=9"]}
    before = study(storage=path, **settings).run(trials=6)
    after = study(storage=path, **settings).run(trials=12)
    assert after.trials[:6] == before.trials
    assert after.trials[-1].outcomes["size"] > 0
    others: list[dict[str, Any]] = [
        {},
        {"objective": ["error", "size"]},
        {"constraints": ["size<=9"]},
        {**settings, "constraints": ["size<=8"]},
    ]
    for other in others:
        with pytest.raises(InputError, match=r"its (constraints|further objectives)"):
            study(storage=path, **other)


def test_an_optimizer_without_constraints_is_told_what_ranks_by_them() -> None:
    """Deb's rule: feasible ones by their objective, behind them the others by their violation."""
    search = study(Listening, constraints=["size<=5"])
    result = search.run(trials=SPACE.size)

    def rank(trial: Trial) -> tuple[float, float]:
        assert trial.value is not None
        violation = max(trial.outcomes["size"] - 5, 0.0)
        return violation, trial.value if violation == 0 else 0.0

    told = {trial.design: trial.value or 0.0 for trial in search.optimizer.told}
    assert len(told) == SPACE.size
    ordered = sorted(result.trials, key=rank)
    for better, worse in pairwise(ordered):
        assert (told[better.design] < told[worse.design]) == (rank(better) < rank(worse))
    assert {trial.value for trial in result.trials} == {
        measured(d.architecture)["error"] for d in SPACE.enumerate()
    }, "what is stored is the real value"


def test_a_constrained_study_goes_on_with_the_values_that_were_told(tmp_path: Path) -> None:
    def run(name: str, *budgets: int) -> list[Design]:
        for budget in budgets:
            optimizer = RegularizedEvolution(SPACE, population=4, sample=2)
            path = tmp_path / name
            search = Study(SPACE, Sized(), optimizer, constraints=["size<=5"], storage=path)
            result = search.run(trials=budget)
            search.close()
        return [trial.design for trial in result.trials]

    assert run("whole", 12) == run("parts", 7, 12)


class Curious(Optimizer):
    """Keeps what it is to pursue."""

    name = "curious"
    multi_objective = constrained = True

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        return self._sample_unseen(n, rng)

    def pursue(self, goals: Goals, known: Known | None = None) -> None:
        super().pursue(goals, known)
        self.computed = {
            name: compute(SPACE.enumerate()[0]) for name, compute in self.known.items()
        }


def test_an_optimizer_can_compute_what_is_known_of_a_design() -> None:
    optimizer = Curious(SPACE)
    Study(SPACE, Sized(), optimizer, constraints=["size<=5"])
    assert optimizer.computed == {"size": measured(SPACE.enumerate()[0].architecture)["size"]}
    other = Curious(SPACE)
    Study(SPACE, Sized(), other, constraints=["error<=5"])
    assert other.computed == {}, "an error is known of nothing before it is evaluated"


def test_an_optimizer_with_goals_believes_only_trials_that_report_them() -> None:
    optimizer = Curious(SPACE)
    optimizer.pursue(Goals.of(["error", "size"]))
    first, second = optimizer.ask(2)
    optimizer.tell(Trial(first, value=1.0))
    optimizer.tell(Trial(second, value=2.0, evaluation=Evaluation({"error": 2.0, "size": 1.0})))
    assert [trial.design for trial in optimizer.completed] == [second]
    assert "no 'error'" in str(optimizer.told[0].error)


def test_the_best_of_an_optimizer_keeps_the_constraints() -> None:
    optimizer = Curious(SPACE)
    optimizer.pursue(Goals.of("error", ["size<=5"]))
    for design, size in zip(optimizer.ask(3), (9.0, 5.0, 6.0), strict=True):
        found = Evaluation({"error": size == 5.0}, facts={"size": size})
        optimizer.tell(Trial(design, value=float(size == 5.0), evaluation=found))
    assert optimizer.best is not None
    assert optimizer.best.outcomes["size"] == 5.0


def test_a_function_may_return_numbers_by_name() -> None:
    result = minimize(
        measured,
        SPACE,
        budget=SPACE.size or 0,
        optimizer="random",
        objectives=["error", "size"],
        constraints=["size<=4"],
    )
    assert len(result.front) > 1
    assert max(trial.outcomes["size"] for trial in result.front) == 4
    alone = minimize(
        measured, SPACE, budget=20, optimizer="random", objectives="error", constraints="size<=9"
    )
    assert alone.best.evaluation is not None
    assert alone.best.evaluation.facts == {"size": alone.best.outcomes["size"]}


def test_a_function_of_several_numbers_must_return_the_one_to_minimise() -> None:
    result = minimize(measured, SPACE, budget=1, optimizer="random")
    assert "no objective 'objective', only ['error', 'size']" in str(result.trials[0].error)
