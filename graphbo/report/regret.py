"""Anytime curves: the best value found so far, or its regret, over the evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphbo.errors import MissingExtraError
from graphbo.goals import Goals
from graphbo.report.bootstrap import Array, bootstrap_interval
from graphbo.trial import Trial, longest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, the dark ones first; lines differ in their dashes too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES = (
    "solid",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (4, 1.5, 1.2, 1.5, 1.2, 1.5)),
)

_GREY = "#8c8c8c"


def incumbent_values(
    trials: Iterable[Trial],
    length: int | None = None,
    goals: Goals | None = None,
    full: float = 0.0,
) -> Array:
    """Return the best value after each trial.

    Args:
        trials: In the order in which they finished; a failed one changes nothing, and neither does
            one trained for fewer epochs than others.
        length: If given, the curve is cut, or drawn out with its last value, to that length.
        goals: If given, only trials that keep their constraints count.
        full: So many epochs are a full training; none that is shorter counts.

    Returns:
        One value for each trial; NaN before the first that counts.
    """
    trials = list(trials)
    allowed = longest(trials) if goals is None else goals.longest(trials)
    counted = {id(trial) for trial in allowed if trial.epochs >= full}
    values = [
        np.nan if trial.value is None or id(trial) not in counted else trial.value
        for trial in trials
    ]
    curve = np.fmin.accumulate(np.array(values, dtype=np.float64))
    if length is None:
        return curve
    rest = np.full(max(length - len(curve), 0), curve[-1] if len(curve) else np.nan)
    return np.concatenate([curve[:length], rest])


def search_figure(
    trials: Sequence[Trial],
    *,
    objective: str = "objective",
    optimum: float | None = None,
    goals: Goals | None = None,
) -> Figure:
    """Plot one search: every trial, and the incumbent.

    Args:
        trials: In the order in which they finished.
        objective: The name of what was minimised; an error is in percent.
        optimum: The lowest possible value; if given the plot shows the regret.
        goals: Whose constraints the incumbent keeps; trials that break them are marked, as those
            are that were trained for fewer epochs than others.

    Returns:
        The figure; pyplot is not touched.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure, ax = new_figure()
    offset = optimum or 0.0
    numbers = np.arange(1, len(trials) + 1)
    values = np.array([np.nan if t.value is None else t.value for t in trials], dtype=float)
    curve = incumbent_values(trials, goals=goals)
    name, unit = objective.replace("_", " "), _unit(objective)
    known = np.isfinite(values)
    if optimum is not None:
        points, curve = _on_log_axis(ax, values - offset, curve - offset)
        ax.set_ylabel(f"regret: {name} above the optimum{unit}")
    else:
        points = values
        ax.set_ylabel(f"{name}{unit}")
        if known.any() and 0 < 10 * points[known].min() < points[known].max():
            ax.set_yscale("log")
            _plain_ticks(ax)
    kept = np.array([goals is None or goals.feasible(trial) for trial in trials], dtype=bool)
    full = {id(trial) for trial in longest(trials)}
    long = np.array([id(trial) in full for trial in trials], dtype=bool)
    groups = {
        "trial": (kept & long, _GREY, "full"),
        "fewer epochs": (kept & known & ~long, _GREY, "none"),
        "infeasible": (known & ~kept, COLORS[1], "none"),
    }
    for label, (here, color, style) in groups.items():
        if here.any():
            ax.plot(
                numbers[here], points[here], "o",
                markersize=3.5 if style == "full" else 4, color=color, fillstyle=style,
                markeredgewidth=0 if style == "full" else 1, label=label,
            )  # fmt: skip
    ax.plot(numbers, curve, drawstyle="steps-post", color=COLORS[0], linewidth=2, label="best")
    if not known.all():
        low = ax.get_ylim()[0]
        failed = numbers[~known]
        ax.set_ylim(bottom=low)
        ax.plot(failed, 0 * failed + low, "x", color=COLORS[1], label="failed", clip_on=False)
    ax.set_xlabel("evaluations")
    # Above the axes, where no trial can be taken for a part of it.
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    return figure


def anytime_figure(
    curves: Mapping[str, npt.ArrayLike],
    *,
    title: str = "",
    objective: str = "validation_error",
    level: float = 0.95,
    points: npt.ArrayLike | None = None,
    unit: str = "evaluations",
) -> Figure:
    """Plot the mean regret of several optimisers with bootstrap confidence bands.

    Args:
        curves: For each optimiser its regret, ``runs x evaluations``.
        title: The title.
        objective: The name of what was minimised; the regret of an error is in percentage points.
        level: The confidence level of the bands.
        points: Where the curves are given, on the horizontal axis; by default 1, 2, ...
        unit: What that axis counts.

    Returns:
        The figure; pyplot is not touched.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure, ax = new_figure()
    means = {name: np.asarray(curve, dtype=float).mean(axis=0) for name, curve in curves.items()}
    drawn = dict(zip(means, _on_log_axis(ax, *means.values()), strict=True))
    floor = ax.get_ylim()[0]
    for i, (name, curve) in enumerate(curves.items()):
        color = COLORS[i % len(COLORS)]
        low, high = bootstrap_interval(curve, level=level)
        along = np.arange(1, len(low) + 1) if points is None else np.asarray(points)
        ax.plot(
            along,
            drawn[name],
            color=color,
            linestyle=DASHES[i % len(DASHES)],
            linewidth=2,
            label=name,
        )
        ax.fill_between(
            along,
            np.maximum(low, floor),
            np.maximum(high, floor),
            color=color,
            alpha=0.16,
            linewidth=0,
        )
    runs = min(len(np.asarray(curve)) for curve in curves.values())
    ax.set_xlabel(unit)
    percent = "\n(percentage points)" if _unit(objective) else ""
    ax.set_ylabel(f"mean regret in {objective.replace('_', ' ')}{percent}")
    ax.set_title(title)
    longest_run = max(len(mean) for mean in means.values())
    ax.set_xlim(*((1, longest_run) if points is None else (0, np.max(np.asarray(points)))))
    figure.set_figheight(4.3 + 0.2 * -(-len(curves) // 3))  # the legend takes what is more
    figure.legend(
        loc="outside lower center",
        ncols=3,
        frameon=False,
        title=f"{runs} runs, {level:.0%} bands",
    )
    return figure


def new_figure() -> tuple[Figure, Axes]:
    """Return an empty figure with its axes; pyplot is not touched.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    ax = figure.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    return figure, ax


def _on_log_axis(ax: Axes, *curves: Array) -> list[Array]:
    """Make the axis logarithmic; a regret of nought is drawn at its bottom, labelled 0."""
    together = np.concatenate(curves)
    positive = together[np.isfinite(together) & (together > 1e-9)]
    smallest = float(positive.min()) if len(positive) else 1e-2
    largest = float(positive.max()) if len(positive) else 1.0
    ax.set_yscale("log")
    _plain_ticks(ax)
    has_zero = bool((together <= 1e-9).any())
    # The floor stays clear of the ticks 1, 2 and 5, so that its label does.
    decade = 10.0 ** np.floor(np.log10(smallest))
    tick = max(step * decade for step in (1, 2, 5) if step * decade <= smallest * (1 + 1e-9))
    floor = tick / 1.6 if has_zero else smallest / 1.15
    ax.set_ylim(floor, max(largest * 1.3, floor * 10))
    if has_zero:
        ax.text(
            -0.012, 0.0, "0", transform=ax.transAxes, ha="right", va="center", fontsize="medium"
        )
    return [np.maximum(curve, floor) for curve in curves]


def _plain_ticks(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _unit(objective: str) -> str:
    return " (%)" if objective.endswith("error") else ""
