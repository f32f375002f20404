from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from graphbo import CellSpace, FunctionEvaluator, Study
from graphbo.evaluators.base import Evaluator
from graphbo.report import study_status
from graphbo.report.status import duration
from graphbo.trial import Evaluation, Job

SPACE = CellSpace(3, ["conv", "skip"], on="edges")


class Trainer(Evaluator):
    """Fails at the second job, and at the fourth as if the process were killed."""

    def __init__(self) -> None:
        self.jobs = 0

    def evaluate_one(self, job: Job) -> Evaluation:
        self.jobs += 1
        if self.jobs == 2:
            raise RuntimeError("out of\x1b[31m memory")
        if self.jobs == 4:
            raise KeyboardInterrupt
        return Evaluation({"validation_error": 9.0 - self.jobs}, 2.5, facts={"epochs": 3.0})


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    study = Study(SPACE, Trainer(), "random", storage=tmp_path / "s.sqlite", problem="mine")
    with pytest.raises(KeyboardInterrupt):
        study.run(trials=9)
    study.close()
    return tmp_path / "s.sqlite"


def test_a_status_says_what_is_done_found_spent_and_wrong(stopped: Path) -> None:
    status = study_status(stopped).to_json()
    json.dumps(status, allow_nan=False)
    assert (status["completed"], status["failed"], status["running"]) == (2, 1, 1)
    assert (status["problem"], status["optimizer"], status["seed"]) == ("mine", "random", 0)
    assert status["seconds"] == pytest.approx(5.0, abs=0.5)
    assert status["epochs"] == 9.0, "what failed counts in full"
    assert status["incumbent"]["value"] == 6.0
    assert status["incumbent"]["trial"] == 2, "as in a table of the trials"
    assert status["incumbent"]["since"] == status["last_finished"]
    assert status["last_error"] == "RuntimeError: out of\x1b[31m memory"


def test_its_lines_are_for_people_and_do_not_steer_their_terminal(stopped: Path) -> None:
    lines = str(study_status(stopped))
    assert "2 completed, 1 failed, 1 running" in lines
    assert "validation error 6 % (trial 3, found" in lines
    assert "1  output" in lines, "the architecture as text"
    assert "\x1b" not in lines


@pytest.mark.parametrize("outcome", ["none", "failed"])
def test_a_study_without_a_result_has_no_incumbent(outcome: str, tmp_path: Path) -> None:
    def fails(_: object) -> float:
        raise ValueError("always")

    study = Study(SPACE, FunctionEvaluator(fails), "random", storage=tmp_path / "s.sqlite")
    if outcome == "failed":
        study.run(trials=2)
    study.close()
    status = study_status(tmp_path / "s.sqlite")
    assert status.to_json()["incumbent"] is None
    assert "incumbent" not in str(status)


def test_the_incumbent_of_several_fidelities_is_one_of_the_longest(tmp_path: Path) -> None:
    class Curve(Evaluator):
        epochs = (1, 3)

        def evaluate_one(self, job: Job) -> Evaluation:
            epochs = job.fidelity["epochs"]
            return Evaluation({"validation_error": 5.0 * epochs}, 1.0, facts={"epochs": epochs})

    path = tmp_path / "s.sqlite"
    Study(SPACE, Curve(), "successive-halving", fidelity={"epochs": 3}, storage=path).run(trials=8)
    best = study_status(path).incumbent
    assert best is not None
    assert best.epochs == 3.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (math.inf, "inf s"),
        (0.0123, "0.0123 s"),
        (59.0, "59 s"),
        (125.0, "2 min 5 s"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations_are_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_status_of_a_study_with_goals_names_them_and_its_feasible_incumbent(
    tmp_path: Path,
) -> None:
    space = CellSpace(3, ["a", "b"], on="edges")
    evaluator = FunctionEvaluator(
        lambda cell: {"error": 9.0 - len(cell.edges), "size": float(len(cell.edges))},
        ["error", "size"],
    )
    for bound, found in (("size<=2", True), ("size<=-1", False)):
        path = tmp_path / f"{found}.sqlite"
        goals: dict[str, Any] = {"objective": ["error", "size"], "constraints": [bound]}
        study = Study(space, evaluator, "random", storage=path, **goals)
        result = study.run(trials=12)
        study.close()
        status = study_status(path)
        shown = status.to_json()
        assert shown["objectives"] == ["error", "size"]
        assert shown["front"] == [trial.number for trial in result.front]
        assert (status.incumbent is not None) == found
        if found:
            assert status.incumbent == result.best
            assert result.best.outcomes["size"] <= 2
