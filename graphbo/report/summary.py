"""The figures of a comparison: what each optimiser found, and how soon."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphbo.problems.base import Problem
from graphbo.report.bootstrap import Array, bootstrap_interval
from graphbo.report.ranks import critical_difference, mean_ranks
from graphbo.report.regret import incumbent_values
from graphbo.trial import Trial

if TYPE_CHECKING:
    from graphbo.study import Result

POINTS = (25, 50, 100)
_EXACT = 1e-9
Runs: TypeAlias = "Mapping[str, Sequence[Result]]"


def regret_curves(problem: Problem, runs: Runs, trials: int) -> dict[str, Array]:
    """Return the regret of each optimiser's runs after each evaluation.

    Args:
        problem: The problem; without a known optimum the best of all runs takes its place.
        runs: For each optimiser the result for each seed.
        trials: The number of evaluations; the curve of a run that exhausted the space earlier is
            drawn out.

    Returns:
        For each optimiser ``seeds x trials``, in the unit of the objective; NaN before the first
        full training.
    """
    curves = {
        name: np.stack([_incumbents(problem, result, trials) for result in results])
        for name, results in runs.items()
    }
    optimum = problem.optimum
    if optimum is None:
        finals = np.concatenate([curve[:, -1] for curve in curves.values()])
        optimum = float(np.fmin.reduce(finals))
    return {name: curve - optimum for name, curve in curves.items()}


def summarize(problem: Problem, runs: Runs, trials: int) -> dict[str, Any]:
    """Sum up a comparison.

    Args:
        problem: The problem, with its optimum where that is known.
        runs: For each optimiser the result for each seed, in one order of seeds.
        trials: The budget of each run.

    Returns:
        What ``summary.json`` holds: `problem`, `trials`, `seeds`; under `optimizers` by name
        `found_share`, `evaluations_to_optimum_mean`, `_median` and `_max` (a run that did not find
        it counts as its number of trials), the same for `top_permille`, `test_regret_mean` of the
        final incumbents, `mean_regret` after 25, 50, 100 and all trials (percentage points), and
        `optimizer_seconds_per_trial`; under `mean_rank`, after the same numbers of evaluations, the
        mean rank of each optimiser over the seeds, and by how much two must differ at the level of
        95 %, the `critical_difference` (see `graphbo.report.ranks`); and under `paired` the mean
        difference in regret between the first optimiser and each other one, with its bootstrap
        interval over seeds: negative where the first is ahead. What cannot be known is None.
    """
    curves = regret_curves(problem, runs, trials)
    points = sorted({*(point for point in POINTS if point <= trials), trials})
    test_optimum = _test_optimum(problem, runs)
    first = next(iter(runs))
    return {
        "problem": problem.name,
        "trials": trials,
        "seeds": len(runs[first]),
        "optimizers": {
            name: _optimizer(problem, results, curves[name], points, test_optimum)
            for name, results in runs.items()
        },
        "mean_rank": {
            str(point): mean_ranks({name: curve[:, point - 1] for name, curve in curves.items()})
            for point in points
        },
        "critical_difference": (
            critical_difference(len(runs), len(runs[first])) if len(runs) > 1 else None
        ),
        "paired": paired_differences(curves, points),
    }


def _optimizer(
    problem: Problem,
    results: Sequence[Result],
    curves: Array,
    points: Sequence[int],
    test_optimum: float | None,
) -> dict[str, Any]:
    trials = curves.shape[1]
    to_optimum = _evaluations_to(problem, problem.optimum, results, trials)
    to_permille = _evaluations_to(problem, problem.top_permille, results, trials)
    told = sum(len(result.trials) for result in results)
    tests = [_test_error(result) for result in results]
    tested = [error for error in tests if error is not None]
    return {
        "found_share": None if to_optimum is None else float(np.mean([f for f, _ in to_optimum])),
        **_mean_median_and_max("evaluations_to_optimum", to_optimum),
        **_mean_median_and_max("evaluations_to_top_permille", to_permille),
        "test_regret_mean": (
            float(np.mean(tested)) - test_optimum if tested and test_optimum is not None else None
        ),
        "mean_regret": {str(point): finite(curves[:, point - 1].mean()) for point in points},
        "optimizer_seconds_per_trial": sum(r.optimizer_seconds for r in results) / max(told, 1),
    }


def _incumbents(problem: Problem, result: Result, trials: int) -> Array:
    """Return the best value of a full training after each trial."""
    return incumbent_values(result.trials, trials, full=problem.fidelity.get("epochs", 0.0))


def _evaluations_to(
    problem: Problem, target: float | None, results: Sequence[Result], trials: int
) -> list[tuple[bool, int]] | None:
    """Return for each run whether it reached the target, and after how many evaluations."""
    if target is None:
        return None
    reached = []
    for result in results:
        hits = np.flatnonzero(_incumbents(problem, result, trials) <= target + _EXACT)
        reached.append((True, int(hits[0]) + 1) if len(hits) else (False, len(result.trials)))
    return reached


def _mean_median_and_max(
    key: str, reached: list[tuple[bool, int]] | None
) -> dict[str, float | None]:
    if reached is None:
        return dict.fromkeys((f"{key}_mean", f"{key}_median", f"{key}_max"))
    evaluations = [count for _, count in reached]
    return {
        f"{key}_mean": float(np.mean(evaluations)),
        f"{key}_median": float(np.median(evaluations)),
        f"{key}_max": float(np.max(evaluations)),
    }


def paired_differences(
    curves: Mapping[str, Array], points: Sequence[int]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return how the first curves differ from each of the others after some trials.

    Args:
        curves: For each optimiser ``runs x trials``.
        points: The numbers of trials.

    Returns:
        By ``"first - other"`` and number of trials what `difference` tells.
    """
    first, *others = curves
    return {
        f"{first} - {name}": {
            str(point): difference(curves[first][:, point - 1] - curves[name][:, point - 1])
            for point in points
        }
        for name in others
    }


def difference(differences: Array) -> dict[str, float | None]:
    """Return the mean of paired differences and its bootstrap interval over the runs."""
    low, high = bootstrap_interval(differences)
    return {"mean": finite(differences.mean()), "low": finite(low), "high": finite(high)}


def _test_error(result: Result) -> float | None:
    """Return the test error of the final incumbent."""
    if result.failed == len(result.trials):
        return None
    return _test_error_of(result.best)


def _test_error_of(trial: Trial) -> float | None:
    objectives = {} if trial.evaluation is None else trial.evaluation.objectives
    return finite(objectives.get("test_error", np.nan))


def _test_optimum(problem: Problem, runs: Runs) -> float | None:
    if problem.test_optimum is not None:
        return problem.test_optimum
    trials = (trial for results in runs.values() for result in results for trial in result.trials)
    # What breaks a constraint has outcomes, but no value.
    tests = (_test_error_of(trial) for trial in trials if trial.value is not None)
    seen = [error for error in tests if error is not None]
    return min(seen, default=None)


def finite(value: Any) -> float | None:
    """Return a number for JSON, None if it is not known."""
    return float(value) if np.isfinite(value) else None


def to_json(summary: Mapping[str, Any]) -> str:
    """Return a summary as JSON text."""
    return json.dumps(summary, indent=2, allow_nan=False) + "\n"
