"""Architectures and hyperparameters together, trained for real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphbo.cli import main
from graphbo.problems import get_problem, list_problems
from graphbo.problems.base import Problem
from graphbo.study import Study
from graphbo.trial import Job

GOOD = {
    "learning_rate": 0.3,
    "weight_decay": 5e-4,
    "channels": 8,
    "cells": 1,
    "augmentation": "crop",
    "crop": 1,
}


@pytest.fixture(scope="module")
def problem() -> Problem:
    pytest.importorskip("sklearn")
    return get_problem("cells-digits")


def cell(problem: Problem) -> dict[str, str]:
    return {decision.name: "nor_conv_3x3" for decision in problem.space.decisions}


def test_it_is_listed() -> None:
    assert "cells-digits" in dict(list_problems())


def test_hyperparameters_make_the_difference_and_short_trainings_are_beginnings(
    problem: Problem,
) -> None:
    assert problem.epochs == list(range(1, 10))
    good = problem.space.from_configuration({**cell(problem), **GOOD})
    bad = problem.space.from_configuration({**cell(problem), **GOOD, "learning_rate": 1e-3})
    reached = {
        design: problem.evaluator.evaluate_one(Job(design, {"epochs": 3})) for design in (good, bad)
    }
    best, worst = reached[good].objectives, reached[bad].objectives
    assert best["validation_error"] < worst["validation_error"] - 20
    assert best["test_error"] < worst["test_error"] - 20
    short = problem.evaluator.evaluate_one(Job(good, {"epochs": 2}))
    assert short.curve == reached[good].curve[:2]
    wide = problem.space.from_configuration({**cell(problem), **GOOD, "channels": 16})
    larger = problem.evaluator.evaluate_one(Job(wide, {"epochs": 1})).facts["parameters"]
    assert larger > 3 * short.facts["parameters"]


def test_the_strength_of_an_augmentation_exists_only_with_it(problem: Problem) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        values = problem.space.sample(rng).hyperparameters
        for name in ("crop", "cutout"):
            assert (name in values) == (values["augmentation"] == name)


def test_a_search_that_chooses_the_epochs_goes_on_from_checkpoints(
    problem: Problem, tmp_path: Path
) -> None:
    problem.evaluator.checkpoints = tmp_path
    try:
        result = Study.of(problem, "successive-halving").run(epochs=10)
    finally:
        problem.evaluator.checkpoints = None
    assert result.failed == 0
    longer = [trial for trial in result.trials if trial.fidelity["epochs"] > 1]
    assert longer
    for trial in longer:
        assert trial.evaluation is not None
        before = next(t for t in result.trials if t.design == trial.design)
        assert before.evaluation is not None
        assert trial.evaluation.curve[:1] == before.evaluation.curve


def test_the_command_line_searches_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    words = ["search", "cells-digits", "--optimizer", "random", "--trials", "1"]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--output", str(tmp_path / "run")])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "learning_rate:" in shown
    assert "augmentation:" in shown
