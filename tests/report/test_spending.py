"""What a search has to show for the seconds or epochs it spent."""

from __future__ import annotations

import numpy as np
import pytest

from graphbo.budget import spent
from graphbo.evaluators import TableEvaluator
from graphbo.problems.base import Problem
from graphbo.report.spending import incumbents, spending_curves, summarize_spending
from graphbo.spaces import CellSpace, Design
from graphbo.study import Result
from graphbo.trial import Evaluation, Trial

SPACE = CellSpace(3, ["a"], on="edges")
A, B, C = SPACE.enumerate()[:3]
# After 1 and 9 epochs: the order of A and B turns.
ERRORS = {A: (50.0, 20.0), B: (40.0, 30.0), C: (60.0, 10.0)}
TABLE = TableEvaluator(
    [design.architecture for design in ERRORS],
    {"validation_error": np.array(list(ERRORS.values()))},
    epochs=[1, 9],
    cost=np.array([[10.0, 90.0]] * 3),
    curves=True,
)
PROBLEM = Problem("toy", SPACE, TABLE, optimum=10.0, fidelity={"epochs": 9})


def trial(design: Design, epochs: int, number: int, *, further: bool = False) -> Trial:
    value = ERRORS[design][0 if epochs == 1 else 1]
    return Trial(
        design,
        value,
        evaluation=Evaluation(
            {"validation_error": value},
            cost=10.0 * (epochs - 1 if further else epochs),
            facts={"epochs": epochs},
            checkpoint="state" if epochs == 1 else None,
        ),
        number=number,
        fidelity={"epochs": epochs},
    )


MULTI = [trial(A, 1, 0), trial(B, 1, 1), trial(A, 9, 2, further=True), trial(C, 9, 3)]
SINGLE = [trial(B, 9, 0), trial(A, 9, 1)]


def test_the_answer_is_the_best_of_those_trained_longest() -> None:
    assert [t.design if t else None for t in incumbents(MULTI)] == [A, B, A, C]
    failed = Trial(A, error="failed")
    assert incumbents([failed]) == [None]


def test_what_is_spent_counts_further_epochs_only() -> None:
    assert spent(MULTI, "epochs") == [1, 2, 10, 19]
    assert spent(MULTI, "seconds") == [10, 20, 100, 190]


def test_regret_is_that_of_a_full_training() -> None:
    """B leads after one epoch each; its full training, which was not run, has an error of 30."""
    runs = {"multi": [Result(tuple(MULTI))], "single": [Result(tuple(SINGLE))]}
    points, curves = spending_curves(PROBLEM, runs, 200.0)
    at = dict(zip(points.round(6).tolist(), curves["multi"][0].tolist(), strict=True))
    assert at[10] == 20 - 10  # A, after one epoch
    assert at[20] == 30 - 10  # B
    assert at[100] == 20 - 10
    assert at[190] == at[200] == 0
    assert curves["multi"][0][0] == 20  # before any answer: the largest regret of all
    single = dict(zip(points.round(6).tolist(), curves["single"][0].tolist(), strict=True))
    assert (single[89], single[90], single[180]) == (20, 20, 10)


def test_the_area_is_the_mean_regret_over_the_budget() -> None:
    runs = {"multi": [Result(tuple(MULTI))] * 2, "single": [Result(tuple(SINGLE))] * 2}
    summary = summarize_spending(*spending_curves(PROBLEM, runs, 19.0, "epochs"), "epochs")
    multi = summary["optimizers"]["multi"]
    assert multi["area"] == pytest.approx((2 * 10 + 8 * 20 + 9 * 10) / 19, rel=0.08)
    assert multi["mean_regret"] == {"0.25": 20.0, "0.5": 20.0, "0.75": 10.0, "1.0": 0.0}
    assert summary["paired"]["multi - single"]["high"] < 0


def test_what_no_run_can_tell_is_left_open() -> None:
    failed = Result((Trial(A, error="failed", started=0.0, finished=1.0),))
    runs = {"one": [failed] * 2, "other": [failed] * 2}
    summary = summarize_spending(*spending_curves(PROBLEM, runs, 10.0), "seconds")
    assert summary["optimizers"]["one"]["area"] is None
    assert summary["paired"]["one - other"] == {"mean": None, "low": None, "high": None}


def test_without_a_table_only_full_trainings_count() -> None:
    class Unknown:
        objectives = ("validation_error",)

    problem = Problem("toy", SPACE, Unknown(), optimum=10.0, fidelity={"epochs": 9})  # type: ignore[arg-type]
    _, curves = spending_curves(problem, {"multi": [Result(tuple(MULTI))]}, 200.0)
    assert set(curves["multi"][0].tolist()) == {10.0, 0.0}


def test_what_the_table_lacks_at_full_length_is_no_answer() -> None:
    errors = np.array(list(ERRORS.values()))
    errors[1, 1] = np.nan  # that of B, which looks best after an epoch
    table = TableEvaluator(
        [design.architecture for design in ERRORS],
        {"validation_error": errors},
        epochs=[1, 9],
        cost=np.array([[10.0, 90.0]] * 3),
        curves=True,
    )
    problem = Problem("toy", SPACE, table, optimum=10.0, fidelity={"epochs": 9})
    trials = (trial(A, 1, 0), trial(B, 1, 1), trial(C, 9, 2))
    points, curves = spending_curves(problem, {"one": [Result(trials)]}, 110.0)
    curve = dict(zip(points.round(2), curves["one"][0], strict=True))
    assert curve[15.4] == 20.0 - 10.0, "A after its full training"
    assert curve[55.0] == 10.0, "B has no answer, which counts as the worst one"
    assert curve[110.0] == 0.0
