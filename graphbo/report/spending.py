"""Anytime curves over what a search has spent, in seconds or epochs of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphbo.budget import spent
from graphbo.evaluators.table import TableEvaluator
from graphbo.goals import Goals
from graphbo.problems.base import Problem
from graphbo.report.bootstrap import Array
from graphbo.report.summary import Runs, difference, finite
from graphbo.trial import Job, Trial

SHARES = (0.25, 0.5, 0.75, 1.0)
_POINTS = 200


def incumbents(trials: Sequence[Trial], goals: Goals | None = None) -> list[Trial | None]:
    """Return what a search would answer after each trial.

    It is the trial with the lowest value among those with the most epochs so far, None before the
    first that completed.

    Args:
        trials: In the order in which they finished.
        goals: If given, only trials that keep their constraints count.
    """
    best: Trial | None = None
    found: list[Trial | None] = []
    for trial in trials:
        counts = trial.value is not None and (goals is None or goals.feasible(trial))
        if counts and (best is None or _order(trial) < _order(best)):
            best = trial
        found.append(best)
    return found


def _order(trial: Trial) -> tuple[float, float]:
    return -trial.epochs, trial.value or 0.0


def spending_curves(
    problem: Problem, runs: Runs, budget: float, unit: str = "seconds"
) -> tuple[Array, dict[str, Array]]:
    """Return the regret of each run over what it has spent.

    The regret is that of the incumbent's full training, also where the search has seen a shorter
    one only: a table is asked for it, without a price. Where there is no table, only full trainings
    count. Before a run has an answer it has the largest regret that any run has.

    Args:
        problem: The problem; without a known optimum the best of all runs takes its place.
        runs: For each optimiser the result for each seed.
        budget: What each run could spend.
        unit: ``"seconds"`` or ``"epochs"``.

    Returns:
        The amounts at which regrets are given (200), up to the budget, and for each optimiser its
        regrets, ``seeds x 200``.
    """
    points = np.linspace(0, budget, _POINTS + 1)[1:]
    values = {
        name: np.stack([_curve(problem, result.trials, points, unit) for result in results])
        for name, results in runs.items()
    }
    everything = np.concatenate(list(values.values()))
    optimum = problem.optimum
    if optimum is None:
        optimum = float(np.nanmin(everything)) if np.isfinite(everything).any() else 0.0
    worst = float(np.nanmax(everything)) if np.isfinite(everything).any() else np.nan
    return points, {
        name: np.where(np.isnan(curve), worst, curve) - optimum for name, curve in values.items()
    }


def _curve(problem: Problem, trials: Sequence[Trial], points: Array, unit: str) -> Array:
    known: dict[int, float] = {}
    answers = []
    for trial in incumbents(trials):
        if trial is not None and trial.number not in known:
            known[trial.number] = _full_value(problem, trial)
        answers.append(np.nan if trial is None else known[trial.number])
    paid = np.array(spent(trials, unit))
    last = np.searchsorted(paid, points + 1e-9, side="right") - 1
    curve = np.array([np.nan, *answers])
    return curve[last + 1]


def _full_value(problem: Problem, trial: Trial) -> float:
    assert trial.value is not None
    if trial.epochs >= problem.fidelity.get("epochs", trial.epochs):
        return trial.value
    if not isinstance(problem.evaluator, TableEvaluator):
        return np.nan
    job = Job(trial.design, problem.fidelity, trial.seed)
    try:
        return problem.evaluator.evaluate_one(job).outcomes.get(problem.objective, np.nan)
    except LookupError:  # the table lacks its full training
        return np.nan


def summarize_spending(points: Array, curves: Mapping[str, Array], unit: str) -> dict[str, Any]:
    """Sum up a comparison whose budget is in seconds or epochs.

    Args:
        points: The amounts at which regrets are given, the last of which is the budget.
        curves: For each optimiser its regrets, ``seeds x points``; see `spending_curves`.
        unit: ``"seconds"`` or ``"epochs"``.

    Returns:
        `unit` and `budget`; under `optimizers` by name the `area` under the curve, as the mean
        regret over all that was spent, and `mean_regret` after a quarter, a half, three quarters
        and all of it; and under `paired` the mean difference in area between the first optimiser
        and each other one, with its bootstrap interval over seeds: negative where the first is
        ahead. What cannot be known is None.
    """
    areas = {name: curve.mean(axis=1) for name, curve in curves.items()}
    first = next(iter(curves))
    at = {str(share): round(share * len(points)) - 1 for share in SHARES}
    return {
        "unit": unit,
        "budget": float(points[-1]),
        "optimizers": {
            name: {
                "area": finite(areas[name].mean()),
                "mean_regret": {share: finite(curve[:, i].mean()) for share, i in at.items()},
            }
            for name, curve in curves.items()
        },
        "paired": {
            f"{first} - {name}": difference(areas[first] - area)
            for name, area in areas.items()
            if name != first
        },
    }
