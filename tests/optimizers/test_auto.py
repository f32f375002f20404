"""What ``auto`` stands for, on the command line's problems, on spaces and in resumed studies."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphbo
import graphbo.advice
from graphbo.advice import Measurement, SpaceFeatures
from graphbo.budget import Budget
from graphbo.comparison import compare
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator
from graphbo.optimizers import AUTO, make_optimizer
from graphbo.optimizers.auto import recommend
from graphbo.problems.base import Problem
from graphbo.storage import begun_with
from graphbo.study import Study
from graphbo.trial import Evaluation, Job

SPACE = graphbo.CellSpace(4, ["conv", "skip"], on="edges", name="test")
PROBLEM = Problem("toy", SPACE, FunctionEvaluator(len, "validation_error"), trials=30)
Ship = Callable[..., None]


class Epochs(Evaluator):
    """Trains for 1, 3 or 9 epochs, a second each."""

    epochs = (1, 3, 9)

    def evaluate_one(self, job: Job) -> Evaluation:
        epochs = job.fidelity["epochs"]
        value = float(len(job.design.architecture)) + 1 / epochs
        return Evaluation({"validation_error": value}, cost=epochs, facts={"epochs": epochs})


CURVES = Problem("curves", SPACE, Epochs(), fidelity={"epochs": 9.0})


def measured(
    order: Sequence[str], points: Sequence[float] = (100,), fidelities: bool = False
) -> Measurement:
    """Return a measurement in which optimisers end in this order."""
    return Measurement(
        name="-".join(order) + f"-{points[0]:g}",
        problem="elsewhere",
        space=SpaceFeatures.of(SPACE, encoder=False),
        fidelities=fidelities,
        workers=1,
        points=tuple(map(float, points)),
        regrets={name: np.full((len(points), 2), float(i)) for i, name in enumerate(order)},
    )


FEW_AND_MANY = (
    measured(["local-search", "random", "tpe"], (10,)),
    measured(["random", "local-search", "tpe"], (160,)),
    measured(["hyperband", "random"], (20,), fidelities=True),
)


@pytest.fixture
def ship(monkeypatch: pytest.MonkeyPatch) -> Ship:
    """The function that puts measurements in the place of those that come with the package."""

    def put(*measurements: Measurement) -> None:
        monkeypatch.setattr(graphbo.advice, "read_measurements", lambda: measurements)

    put(*FEW_AND_MANY)
    return put


def test_the_budget_decides() -> None:
    few, many = (graphbo.advise(PROBLEM, trials, measurements=FEW_AND_MANY) for trials in (8, 200))
    assert (few.optimizer, many.optimizer) == ("local-search", "random")
    assert few.problem == "toy"


def test_without_a_budget_it_is_that_of_the_problem() -> None:
    advice = graphbo.advise(PROBLEM, measurements=FEW_AND_MANY)
    assert advice.task.budget == 30
    assert graphbo.advise(SPACE, measurements=FEW_AND_MANY).task.budget == 100


def test_a_choice_of_epochs_needs_a_problem_that_has_one_and_a_budget_that_counts_it() -> None:
    advice = graphbo.advise(CURVES, epochs=180, measurements=FEW_AND_MANY)
    assert advice.optimizer == "hyperband"
    assert (advice.task.budget, advice.task.fidelities) == (20, True)
    in_trials = graphbo.advise(CURVES, trials=20, measurements=FEW_AND_MANY)
    assert "give one in epochs or seconds" in in_trials.left_out["hyperband"]
    without = graphbo.advise(PROBLEM, trials=20, measurements=FEW_AND_MANY)
    assert "the problem offers none" in without.left_out["hyperband"]


def test_seconds_are_trainings_where_a_table_prices_them() -> None:
    problem = graphbo.get_problem("digits-table")
    advice = graphbo.advise(problem, seconds=1000, measurements=FEW_AND_MANY)
    assert advice.notes == ()
    half = graphbo.advise(problem, seconds=500, measurements=FEW_AND_MANY)
    assert advice.task.budget == pytest.approx(2 * half.task.budget)


def test_what_is_not_known_is_assumed_and_said() -> None:
    advice = graphbo.advise(CURVES, seconds=100, measurements=FEW_AND_MANY)
    assert advice.task.budget == CURVES.trials
    assert "how long a full training takes is not known" in str(advice)
    advice = graphbo.advise(PROBLEM, epochs=100, measurements=FEW_AND_MANY)
    assert advice.notes[0].startswith("how many epochs a full training has is not known")


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    winner = measured(["tpe", "random"])
    advice = graphbo.advise(PROBLEM, measurements=[winner])
    assert advice.optimizer == "random"
    assert "pip install 'graphbo[optuna]'" in advice.left_out["tpe"]


def test_a_checkpoint_decides() -> None:
    winner = measured(["embedding-bo", "random"])
    known, other = (
        graphbo.advise(space, measurements=[winner])
        for space in (graphbo.NASBench201Space(), SPACE)
    )
    assert known.optimizer == "embedding-bo"
    assert known.task.space.encoder
    assert other.optimizer == "random"
    assert "no checkpoint for the space test" in other.left_out["embedding-bo"]


def test_a_problem_that_the_encoder_has_seen_is_left_to_others() -> None:
    advice = graphbo.advise("digits-table", measurements=[measured(["embedding-bo", "random"])])
    assert advice.optimizer == "random"
    assert "pretrained on" in advice.left_out["embedding-bo"]


def test_what_was_not_measured_is_said() -> None:
    advice = graphbo.advise(PROBLEM, measurements=FEW_AND_MANY)
    assert advice.left_out["graph-bo"] == "not measured"


@pytest.mark.parametrize(
    ("problem", "settings", "message"),
    [
        ("nowhere", {}, "there is no problem 'nowhere'"),
        (PROBLEM, {"trials": 3, "epochs": 4.0}, "one budget; got trials=3 and epochs=4.0"),
        (PROBLEM, {"workers": 0}, "workers must be at least 1; got 0"),
        (PROBLEM, {"trials": 0}, "must be greater than 0; got 0"),
        (
            replace(PROBLEM, objectives=("validation_error", "size")),
            {},
            "for validation_error, size name one that looks for a front, such as graph-ehvi",
        ),
        (7, {}, "a problem, its name or a search space; got 7"),
    ],
)
def test_mistakes_are_named(problem: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        graphbo.advise(problem, **settings)


def test_of_several_limits_the_one_in_epochs_tells() -> None:
    advice = recommend(
        SPACE,
        Epochs(),
        {"epochs": 9.0},
        budget=Budget(trials=500, epochs=90),
        measurements=FEW_AND_MANY,
    )
    assert advice.task.budget == 10


# Searches with it -----------------------------------------------------------------------------


@pytest.mark.usefixtures("ship")
def test_it_makes_an_optimizer() -> None:
    optimizer = make_optimizer(AUTO, SPACE, seed=3)
    assert (optimizer.name, optimizer.seed) == ("random", 3)
    with pytest.raises(InputError, match="auto has no settings"):
        make_optimizer("auto:initial=3", SPACE)
    with pytest.raises(InputError, match="auto has no settings"):
        make_optimizer(AUTO, SPACE, initial=3)


def test_a_study_goes_on_with_what_it_was_begun_with(ship: Ship, tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    first = Study.of(PROBLEM, AUTO, storage=path, budget=Budget(trials=8))
    first.run(trials=4)
    first.close()
    assert first.optimizer.name == begun_with(path) == "local-search"
    ship(measured(["regularized-evolution", "local-search"]))
    again = Study.of(PROBLEM, AUTO, storage=path, budget=Budget(trials=8))
    assert again.optimizer.name == "local-search"
    assert len(again.run(trials=8).trials) == 8
    again.close()
    # The concrete name goes on with it, too, and gives the same search.
    named = Study.of(PROBLEM, "local-search", storage=path)
    alone = Study.of(PROBLEM, "local-search")
    assert [t.design for t in named.trials] == [t.design for t in alone.run(trials=8).trials]
    named.close()


@pytest.mark.usefixtures("ship")
def test_a_study_that_was_begun_with_a_name_keeps_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    name = "regularized-evolution:population=7,sample=3"
    study = Study.of(PROBLEM, name, storage=path)
    study.run(trials=3)
    study.close()
    again = Study.of(PROBLEM, AUTO, storage=path)
    assert again.optimizer.settings == {"population": 7, "sample": 3}
    again.close()


@pytest.mark.usefixtures("ship")
def test_minimize_knows_its_budget_when_it_chooses(tmp_path: Path) -> None:
    for budget, chosen in ((5, "local-search"), (60, "random")):
        path = tmp_path / f"{budget}.sqlite"
        graphbo.minimize(len, SPACE, budget, optimizer=AUTO, storage=path)
        assert begun_with(path) == chosen


def test_a_comparison_says_what_it_took_and_keeps_it(ship: Ship, tmp_path: Path) -> None:
    summary = compare(PROBLEM, ["random", AUTO], trials=6, seeds=1, output=tmp_path, jobs=1)
    assert summary["auto"] == "local-search"
    assert list(summary["optimizers"]) == ["random", "auto"]
    ship(measured(["regularized-evolution", "local-search"]))
    longer = compare(PROBLEM, ["random", AUTO], trials=6, seeds=2, output=tmp_path, jobs=1)
    assert longer["auto"] == "local-search"
    assert begun_with(tmp_path / "runs" / "auto-001.sqlite") == "local-search"
    assert "auto" not in compare(PROBLEM, ["random"], trials=6, seeds=1, output=tmp_path, jobs=1)
