"""Pareto fronts: their hypervolume over the evaluations, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.evaluators.table import TableEvaluator
from graphbo.goals import Goals, hypervolume
from graphbo.problems.base import Problem
from graphbo.report.bootstrap import Array, bootstrap_interval
from graphbo.report.regret import COLORS, DASHES, new_figure
from graphbo.report.summary import Runs, difference, finite, paired_differences
from graphbo.trial import MEASURED, Job, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = (25, 50, 100, 200)
_MARGIN = 0.1
_GREY = "#b8b8b8"


@dataclass(frozen=True)
class Scale:
    """How objectives are made comparable: 0 at the ideal point, 1 at the reference point.

    Attributes:
        ideal: The lowest value of each objective on the front, or what lies as far below the
            reference as the front is wide, where the front does not reach that.
        reference: The largest value of each objective that counts.
        best: The hypervolume of the true front on this scale, if that is known.
    """

    ideal: tuple[float, ...]
    reference: tuple[float, ...]
    best: float | None = None

    def __call__(self, values: Array) -> Array:
        """Return values, ``n x m``, on the scale."""
        scaled: Array = (values - np.array(self.ideal)) / (
            np.array(self.reference) - np.array(self.ideal)
        )
        return scaled


def true_front(problem: Problem, goals: Goals) -> list[Trial] | None:
    """Return the front of all designs of a problem, None if it is not known without a search.

    It is known where all of the space stands in a table, each network with one result.
    """
    evaluator = problem.evaluator
    known = isinstance(evaluator, TableEvaluator) and evaluator.entries != "seed"
    known = known and not set(evaluator.requested) & set(MEASURED)  # which would take long
    if not known or not problem.space.enumerable or problem.space.hyperparameters is not None:
        return None
    jobs = [Job(design, problem.fidelity) for design in problem.space.enumerate()]
    found = [
        Trial(report.job.design, value=0.0, evaluation=report.evaluation)
        for report in evaluator.evaluate(jobs)
        if report.evaluation is not None
    ]
    return goals.front(trial for trial in found if goals.missing(trial) is None)


def common_scale(problem: Problem, goals: Goals, runs: Runs) -> Scale | None:
    """Return the scale on which the fronts of all runs are compared, None if no run has one.

    The reference point is the one that the problem states. By default it lies a tenth behind the
    nadir, the worst values on the true front, or on that of all runs together.
    """
    truth = true_front(problem, goals)
    trials = (trial for results in runs.values() for result in results for trial in result.front)
    front = goals.front(trials) if truth is None else truth
    if not front:
        return None
    scale = scale_of(front, goals, problem.reference)
    if truth is None:
        return scale
    values = scale(np.array([goals.values(trial) for trial in front]))
    return Scale(scale.ideal, scale.reference, hypervolume(values, [1.0] * len(scale.ideal)))


def scale_of(front: Sequence[Trial], goals: Goals, stated: Mapping[str, float]) -> Scale:
    """Return the scale of one front.

    Args:
        front: At least one trial.
        goals: The objectives.
        stated: The reference point by objective. If it lacks one, the point lies a tenth behind the
            worst values of the front.
    """
    values = np.array([goals.values(trial) for trial in front])
    ideal, nadir = values.min(axis=0), values.max(axis=0)
    width = np.where(nadir > ideal, nadir - ideal, np.maximum(np.abs(ideal), 1.0))
    reference = nadir + _MARGIN * width
    if all(name in stated for name in goals.objectives):
        reference = np.array([stated[name] for name in goals.objectives])
        # A front that does not reach the point has no hypervolume, not a negative scale.
        ideal = np.where(ideal < reference, ideal, reference - width)
    return Scale(tuple(ideal.tolist()), tuple(reference.tolist()))


def hypervolume_curve(
    trials: Sequence[Trial | None], goals: Goals, scale: Scale, length: int
) -> Array:
    """Return the hypervolume of the front after each trial, as a share of the unit box.

    Args:
        trials: In the order in which they finished; None in place of one that does not count.
        goals: The objectives and constraints.
        scale: The scale.
        length: The curve is cut, or drawn out with its last value, to that length.
    """
    reference = [1.0] * len(goals.objectives)
    front, current = np.empty((0, len(reference))), 0.0
    curve = np.zeros(length)
    for i, trial in enumerate(trials[:length]):
        if trial is not None and goals.feasible(trial):
            (point,) = scale(np.array([goals.values(trial)]))
            if (point < 1).all() and not (front <= point).all(axis=1).any():
                front = np.vstack([front[~(point <= front).all(axis=1)], point])
                current = hypervolume(front, reference)
        curve[i:] = current
    return curve


def hypervolume_curves(goals: Goals, runs: Runs, trials: int, scale: Scale) -> dict[str, Array]:
    """Return for each optimiser ``seeds x trials`` hypervolumes; see `hypervolume_curve`."""
    return {
        name: np.stack([hypervolume_curve(r.trials, goals, scale, trials) for r in results])
        for name, results in runs.items()
    }


def summarize_fronts(
    problem: Problem, goals: Goals, runs: Runs, trials: int, scale: Scale, curves: dict[str, Array]
) -> dict[str, Any]:
    """Sum up a comparison of several objectives.

    Args:
        problem: The problem.
        goals: The objectives and constraints.
        runs: For each optimiser the result for each seed, in one order of seeds.
        trials: The budget of each run.
        scale: See `common_scale`.
        curves: See `hypervolume_curves`.

    Returns:
        What ``summary.json`` holds: `problem`, `trials`, `seeds`, `objectives`, `constraints`,
        `ideal`, `reference`, and the hypervolume of the `true_front`, None if that is not known;
        under `optimizers` by name, after 25, 50, 100, 200 and all trials, the mean `hypervolume`
        with its bootstrap interval, and its mean `share` of the true front's; the mean
        `front_size` and `optimizer_seconds_per_trial`; under `paired` the mean difference between
        the first optimiser and each other one, positive where the first is ahead.
    """
    points = sorted({*(point for point in POINTS if point <= trials), trials})
    first = next(iter(runs))
    return {
        "problem": problem.name,
        "trials": trials,
        "seeds": len(runs[first]),
        "objectives": list(goals.objectives),
        "constraints": [str(constraint) for constraint in goals.constraints],
        "ideal": list(scale.ideal),
        "reference": list(scale.reference),
        "true_front": scale.best,
        "optimizers": {
            name: {
                "hypervolume": {
                    str(point): difference(curves[name][:, point - 1]) for point in points
                },
                "share": {
                    str(point): finite(curves[name][:, point - 1].mean() / (scale.best or np.nan))
                    for point in points
                },
                "front_size": float(np.mean([len(result.front) for result in results])),
                "optimizer_seconds_per_trial": sum(r.optimizer_seconds for r in results)
                / max(sum(len(r.trials) for r in results), 1),
            }
            for name, results in runs.items()
        },
        "paired": paired_differences(curves, points),
    }


def hypervolume_figure(
    curves: Mapping[str, Array], *, title: str = "", best: float | None = None, level: float = 0.95
) -> Figure:
    """Plot the mean hypervolume over the evaluations with bootstrap confidence bands.

    Args:
        curves: For each optimiser ``runs x evaluations``.
        title: The title.
        best: That of the true front, drawn as a line if it is known.
        level: The confidence level of the bands.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure, ax = new_figure()
    for i, (name, curve) in enumerate(curves.items()):
        color, along = COLORS[i % len(COLORS)], np.arange(1, curve.shape[1] + 1)
        low, high = bootstrap_interval(curve, level=level)
        style = DASHES[i % len(DASHES)]
        ax.plot(along, curve.mean(axis=0), color=color, linestyle=style, linewidth=2, label=name)
        ax.fill_between(along, low, high, color=color, alpha=0.16, linewidth=0)
    if best is not None:
        ax.axhline(best, color="#8c8c8c", linewidth=1, label="true front")
    ax.set_xlabel("evaluations")
    ax.set_ylabel("mean hypervolume")
    ax.set_title(title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def front_figure(
    fronts: Mapping[str, Sequence[Trial]],
    goals: Goals,
    *,
    trials: Sequence[Trial] = (),
    truth: Sequence[Trial] | None = None,
    title: str = "",
) -> Figure:
    """Plot Pareto fronts in their first two objectives, with steps where there are no others.

    Args:
        fronts: By name, the trials of each front.
        goals: The objectives and constraints.
        trials: Further trials, drawn as dots; those that break a constraint are open.
        truth: The true front, if it is known.
        title: The title.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure, ax = new_figure()
    completed = [trial for trial in trials if trial.value is not None]
    for label, feasible in (("trial", True), ("infeasible", False)):
        dots = [goals.values(t)[:2] for t in completed if goals.feasible(t) == feasible]
        if dots:
            fill = _GREY if feasible else "none"
            ax.plot(
                *zip(*dots, strict=True), "o",
                markersize=3, color=_GREY, markerfacecolor=fill, label=label,
            )  # fmt: skip
    alone = len(goals.objectives) == 2  # of more, it is the shadow of a surface that no line bounds
    lines = [
        (name, front, COLORS[i % len(COLORS)], DASHES[i % len(DASHES)])
        for i, (name, front) in enumerate(fronts.items())
    ]
    for name, front, color, dashes in [*lines, ("true front", truth or (), "#000000", "solid")]:
        points = sorted(goals.values(trial)[:2] for trial in front)
        if points:
            ax.plot(
                *zip(*points, strict=True),
                drawstyle="steps-post",
                color=color,
                linestyle=dashes if alone else "none",
                marker="o",
                markersize=4,
                label=name,
            )
    ax.set_xlabel(goals.objectives[0].replace("_", " "))
    ax.set_ylabel(goals.objectives[1].replace("_", " "))
    ax.set_title(title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
