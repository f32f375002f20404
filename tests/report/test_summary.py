from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from graphbo.architecture import Architecture
from graphbo.evaluators.base import FunctionEvaluator
from graphbo.problems.base import Problem
from graphbo.report import summarize
from graphbo.report.summary import to_json
from graphbo.spaces import CellSpace, Design
from graphbo.study import Result
from graphbo.trial import Evaluation, Trial

DESIGN = Design(Architecture(["input", "output"], []), ())
PROBLEM = Problem(
    "toy",
    CellSpace(3, ["conv"], on="edges"),
    FunctionEvaluator(len),
    optimum=5.0,
    test_optimum=5.5,
    top_permille=6.0,
)


def result(values: Sequence[float | None], seconds: float = 1.0) -> Result:
    """A run whose test error is one above its validation error."""
    trials = [
        Trial(DESIGN, error="failed")
        if value is None
        else Trial(
            DESIGN,
            value=value,
            evaluation=Evaluation({"validation_error": value, "test_error": value + 1}),
        )
        for value in values
    ]
    return Result(tuple(trials), optimizer_seconds=seconds)


# First found after 2; never found; found after 4 in spite of a failure.
A = [result([7, 5, 9, 9]), result([8, 7, 6, 6]), result([9, None, 6, 5])]
B = [result([9, 9, 9, 9]), result([8, 8, 8, 7]), result([9, 9, 9, 5])]


def test_the_figures_of_an_optimiser() -> None:
    entry = summarize(PROBLEM, {"a": A, "b": B}, 4)["optimizers"]["a"]
    assert entry == {
        "found_share": pytest.approx(2 / 3),
        "evaluations_to_optimum_mean": pytest.approx((2 + 4 + 4) / 3),
        "evaluations_to_optimum_median": 4.0,
        "evaluations_to_optimum_max": 4.0,
        "evaluations_to_top_permille_mean": pytest.approx((2 + 3 + 3) / 3),
        "evaluations_to_top_permille_median": 3.0,
        "evaluations_to_top_permille_max": 3.0,
        "test_regret_mean": pytest.approx(((6 - 5.5) + (7 - 5.5) + (6 - 5.5)) / 3),
        "mean_regret": {"4": pytest.approx((0 + 1 + 0) / 3)},
        "optimizer_seconds_per_trial": pytest.approx(3 / 12),
    }


def test_a_run_that_does_not_find_the_optimum_counts_as_its_own_trials() -> None:
    entry = summarize(PROBLEM, {"a": [result([9, 9])]}, 10)["optimizers"]["a"]
    assert entry["evaluations_to_optimum_mean"] == 2


def test_short_trainings_have_no_regret() -> None:
    short = [replace(t, fidelity={"epochs": 1.0}) for t in result([5, 4]).trials]
    problem = replace(PROBLEM, fidelity={"epochs": 9})
    entry = summarize(problem, {"a": [Result(tuple(short))], "b": B[:1]}, 2)["optimizers"]
    assert entry["a"]["mean_regret"] == {"2": None}
    assert entry["a"]["found_share"] == 0
    assert entry["b"]["mean_regret"] == {"2": 4.0}


def test_the_summary_names_problem_trials_and_seeds() -> None:
    summary = summarize(PROBLEM, {"a": A, "b": B}, 4)
    assert (summary["problem"], summary["trials"], summary["seeds"]) == ("toy", 4, 3)
    assert list(summary["optimizers"]) == ["a", "b"]


def test_pairs_are_compared_run_by_run() -> None:
    summary = summarize(PROBLEM, {"a": A, "b": B}, 4)
    assert list(summary["paired"]) == ["a - b"]
    # The runs differ by -4, -1 and 0, whose bootstrap means lie between -4 and 0.
    difference = summary["paired"]["a - b"]["4"]
    assert difference["mean"] == pytest.approx(-5 / 3)
    assert -4 <= difference["low"] < -5 / 3 < difference["high"] <= 0


@pytest.mark.parametrize(
    ("trials", "points"),
    [(10, ["10"]), (25, ["25"]), (60, ["25", "50", "60"]), (150, ["25", "50", "100", "150"])],
)
def test_regret_is_given_at_the_points_within_the_budget(trials: int, points: list[str]) -> None:
    runs = {"a": [result([7.0] * trials)], "b": [result([6.0] * trials)]}
    summary = summarize(PROBLEM, runs, trials)
    assert list(summary["optimizers"]["a"]["mean_regret"]) == points
    assert list(summary["paired"]["a - b"]) == points


def test_a_run_that_exhausted_the_space_keeps_its_incumbent() -> None:
    summary = summarize(PROBLEM, {"a": [result([7.0, 6.0])]}, 30)
    assert summary["optimizers"]["a"]["mean_regret"] == {"25": 1.0, "30": 1.0}
    assert summary["paired"] == {}


def test_the_optimum_counts_as_found_in_spite_of_rounding() -> None:
    runs = {"a": [result([5.0 + 5e-10])]}
    assert summarize(PROBLEM, runs, 1)["optimizers"]["a"]["found_share"] == 1.0


def test_what_is_not_known_is_none_and_regret_is_above_the_best_of_all_runs() -> None:
    unknown = replace(PROBLEM, optimum=None, test_optimum=None, top_permille=None)
    summary = summarize(unknown, {"a": A, "b": B}, 4)
    entry = summary["optimizers"]["b"]
    for key in ("found_share", "evaluations_to_optimum_mean", "evaluations_to_top_permille_median"):
        assert entry[key] is None
    assert entry["mean_regret"] == {"4": pytest.approx((4 + 2 + 0) / 3)}
    assert entry["test_regret_mean"] == pytest.approx((4 + 2 + 0) / 3)


def test_runs_without_a_result_give_none_and_valid_json() -> None:
    summary = summarize(PROBLEM, {"a": [result([None, None])], "b": [result([6, 5])]}, 2)
    entry = summary["optimizers"]["a"]
    assert entry["mean_regret"] == {"2": None}
    assert entry["test_regret_mean"] is None
    assert entry["found_share"] == 0.0
    assert summary["paired"]["a - b"]["2"] == {"mean": None, "low": None, "high": None}
    assert json.loads(to_json(summary)) == summary


def test_what_breaks_a_constraint_is_not_the_best_on_the_test_set() -> None:
    broken = Evaluation({"validation_error": 1.0, "test_error": 2.0})
    runs = [
        Result((*each.trials, Trial(DESIGN, error="breaks size<=3", evaluation=broken)))
        for each in A
    ]
    entry = summarize(replace(PROBLEM, test_optimum=None), {"a": runs}, 5)["optimizers"]["a"]
    assert entry["test_regret_mean"] == pytest.approx(((6 - 6) + (7 - 6) + (6 - 6)) / 3)
