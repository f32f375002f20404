"""Graph kernels that choose how long to train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphbo
from graphbo.errors import InputError
from graphbo.optimizers import Optimizer, make_optimizer
from graphbo.spaces import CellSpace, Design
from graphbo.study import Study
from graphbo.surrogates import weisfeiler_lehman
from graphbo.trial import Evaluation, Trial

SPACE = CellSpace(4, ["a", "b", "c"], on="edges")
WEIGHTS = {"a": 3.0, "b": 2.0, "c": 1.0}
Error = Callable[[Design, float], float]


def graph_mf(**settings: Any) -> Optimizer:
    """Return the optimiser with one kernel, which is quicker than four."""
    return make_optimizer("graph-mf", SPACE, kernels=[weisfeiler_lehman(SPACE)], **settings)


def error(design: Design, epochs: float) -> float:
    """What a short training says is the truth, but for a constant."""
    return sum(WEIGHTS[label or "a"] for *_, label in design.architecture.edges) + 90 / epochs


def noise(design: Design, epochs: float) -> float:
    """What a short training says has nothing to do with the truth."""
    if epochs == 9:
        return error(design, epochs)
    return int(design.architecture.key[: 6 + int(epochs)], 16) % 1000 / 10


def drive(optimizer: Optimizer, trials: int, truth: Error, *, keep: bool = False) -> list[float]:
    """Return the epochs of each trial."""
    asked = []
    for _ in range(trials):
        (design,) = optimizer.ask()
        epochs = (design.fidelity or {})["epochs"]
        value = truth(design, epochs)
        evaluation = Evaluation({"error": value}, checkpoint="state" if keep else None)
        optimizer.tell(Trial(design, value, evaluation=evaluation))
        asked.append(epochs)
    return asked


def test_it_starts_with_a_race_and_goes_on_with_a_model() -> None:
    optimizer = graph_mf(epochs=[1, 3, 9])
    asked = drive(optimizer, 25, error)
    assert asked[:13] == [1] * 9 + [3] * 3 + [9]
    first, later = optimizer.told[:13], optimizer.told[13:]
    ranked = sorted(first[:9], key=lambda trial: trial.value or 0.0)
    assert [trial.design for trial in first[9:]] == [t.design for t in [*ranked[:3], ranked[0]]]
    assert {trial.design.origin for trial in first} == {"random"}
    assert "graph-mf" in {trial.design.origin for trial in later}
    assert optimizer.best is not None
    lowest = min(error(design, 9) for design in SPACE.enumerate())
    assert optimizer.best.value == pytest.approx(lowest)


def test_a_worker_does_not_wait_for_the_race() -> None:
    optimizer = graph_mf(epochs=[1, 3, 9], initial=3)
    race = optimizer.ask(3)
    told = [Trial(design, error(design, 1)) for design in race]
    optimizer.tell(told[:2])
    (design,) = optimizer.ask()
    assert design.origin == "graph-mf"
    assert design not in race  # one that climbs on would be trained twice
    optimizer.tell(told[2])
    (winner,) = optimizer.ask()
    assert winner == min(told, key=lambda trial: trial.value or 0.0).design
    assert winner.fidelity == {"epochs": 3}


def test_short_trainings_that_tell_nothing_are_given_up() -> None:
    shares = []
    for truth in (error, noise):
        optimizer = graph_mf(epochs=[1, 3, 9])
        asked = drive(optimizer, 32, truth)
        shares.append(np.mean([epochs == 9 for epochs in asked[16:]]))
    assert shares[1] > shares[0]


def test_no_design_goes_down_or_is_trained_fully_twice() -> None:
    optimizer = graph_mf(epochs=[1, 3, 9], initial=3)
    drive(optimizer, 30, error, keep=True)
    seen: dict[object, float] = {}
    for trial in optimizer.told:
        assert trial.epochs > seen.get(trial.design, 0)
        seen[trial.design] = trial.epochs


def test_a_failure_is_not_tried_again() -> None:
    optimizer = graph_mf(epochs=[1, 9], initial=3)
    failed = optimizer.ask(3)
    optimizer.tell([Trial(design, error="failed") for design in failed])
    drive(optimizer, 12, error)
    assert not set(failed) & {trial.design for trial in optimizer.completed}


def test_what_was_known_before_counts_as_trained_fully() -> None:
    optimizer = graph_mf(epochs=[1, 3, 9])
    known = list(SPACE.enumerate())[:12]
    optimizer.tell([Trial(design, error(design, 9)) for design in known])
    optimizer.tell(Trial(list(SPACE.enumerate())[20], 1.0, fidelity={"epochs": 2}))
    (design,) = optimizer.ask()
    assert design not in known
    assert design.origin == "graph-mf"  # no random one is needed any more


def test_a_study_resumes_to_the_last_trial(tmp_path: object) -> None:
    problem = graphbo.problems.get_problem("digits-table")
    path = f"{tmp_path}/study.sqlite"
    whole = Study.of(problem, "graph-mf").run(trials=11)
    Study.of(problem, "graph-mf", storage=path).run(trials=8)
    resumed = Study.of(problem, "graph-mf", storage=path).run(trials=11)
    assert [(t.design, t.epochs) for t in resumed.trials] == [
        (t.design, t.epochs) for t in whole.trials
    ]


def test_an_initial_design_is_needed() -> None:
    with pytest.raises(InputError, match="at least 1 random design comes first; got initial=0"):
        make_optimizer("graph-mf", SPACE, epochs=[1, 9], initial=0)
