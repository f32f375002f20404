"""The Pareto front of a study of several objectives: its figures and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from graphbo.goals import Goals
from graphbo.report.fronts import Scale, hypervolume_curve, scale_of
from graphbo.report.page.escaping import text
from graphbo.report.page.figures import (
    BLUE,
    BROKEN,
    GREY,
    Json,
    as_json,
    infeasible,
    new_figure,
    titled,
)
from graphbo.report.page.trials import hyperparameters_of, operations_of
from graphbo.trial import Trial

_MOST_PAIRS = 6
_MOST_ROWS = 200


def front_figures(trials: Sequence[Trial], goals: Goals) -> dict[str, Json]:
    """Return a figure of the front in each pair of objectives, six of them at most, by name.

    Args:
        trials: The finished trials, of which at least one is feasible.
        goals: Two objectives or more, and constraints.
    """
    pairs = list(combinations(range(len(goals.objectives)), 2))[:_MOST_PAIRS]
    return {f"front-{i}-{j}": _front(trials, goals, i, j) for i, j in pairs}


def hypervolume_figure(
    trials: Sequence[Trial], goals: Goals, stated: Mapping[str, float]
) -> tuple[Json, Scale]:
    """Return the hypervolume after each trial as a figure, and the scale that it is on.

    Args:
        trials: The finished trials in order, of which at least one is feasible.
        goals: The objectives and constraints.
        stated: The reference point by objective, as far as the problem states one.
    """
    longest = goals.longest(trials)
    full = {trial.number for trial in longest}
    scale = scale_of(goals.front(longest), goals, stated)
    counted = [trial if trial.number in full else None for trial in trials]
    curve = hypervolume_curve(counted, goals, scale, len(trials))
    figure = new_figure()
    figure.add_scatter(
        x=list(range(1, len(trials) + 1)),
        y=[float(f"{value:.6g}") for value in curve],
        customdata=[trial.number + 1 for trial in trials],
        mode="lines",
        name="hypervolume",
        line={"color": BLUE, "width": 2.5, "shape": "hv"},
        hovertemplate="after trial %{customdata}: %{y:.4g}<extra></extra>",
    )
    figure.update_layout(xaxis_title="evaluations", yaxis_title="hypervolume")
    figure.update_xaxes(rangemode="tozero", dtick=1 if len(trials) < 10 else None)
    return as_json(figure, "the hypervolume after each trial"), scale


def front_table(front: Sequence[Trial], goals: Goals) -> str:
    """Return the designs of a front as an HTML table, 200 of them at most."""
    heads = ["trial", *(name.replace("_", " ") for name in goals.names), "operations"]
    rows = [
        [
            str(trial.number + 1),
            *(f"{trial.outcomes[name]:.6g}" for name in goals.names),
            operations_of(trial.design.architecture),
            hyperparameters_of(trial.design),
        ]
        for trial in front[:_MOST_ROWS]
    ]
    if any(row[-1] for row in rows):
        heads.append("hyperparameters")
    last = len(heads) - len(goals.names) - 1
    head = "".join(f"<th>{text(each)}</th>" for each in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{"numeric" if i < len(heads) - last else "wide"}">{text(each)}</td>'
            for i, each in enumerate(row[: len(heads)])
        )
        + "</tr>"
        for row in rows
    )
    more = "" if len(front) <= _MOST_ROWS else f"<p>The first {_MOST_ROWS} of {len(front)}.</p>"
    return (
        f'<div class="scroll"><table class="front"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{more}"
    )


def _front(trials: Sequence[Trial], goals: Goals, i: int, j: int) -> Json:
    front = goals.front(goals.longest(trials))
    completed = [t for t in trials if t.value is not None and t.epochs == front[0].epochs]
    on_front = {trial.number for trial in front}
    others = [trial for trial in completed if trial.number not in on_front]
    figure = new_figure()

    def add(shown: Sequence[Trial], **look: Any) -> None:
        values = [goals.values(trial) for trial in shown]
        figure.add_scatter(
            x=[value[i] for value in values],
            y=[value[j] for value in values],
            customdata=[trial.number + 1 for trial in shown],
            hovertemplate="trial %{customdata}: %{x:.5g}, %{y:.5g}<extra></extra>",
            **look,
        )

    plain = [trial for trial in others if not infeasible(trial, goals)]
    broken = [trial for trial in others if infeasible(trial, goals)]
    if plain:
        marker: Json = {"size": 6, "color": GREY, "opacity": 0.75}
        add(plain, mode="markers", name="trial", marker=marker)
    if broken:
        add(broken, mode="markers", name="infeasible", marker=BROKEN)
    # Of more than two objectives it is the shadow of a surface, which no line bounds.
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    add(
        sorted(front, key=lambda trial: goals.values(trial)[i]),
        mode="lines+markers" if len(goals.objectives) == 2 else "markers",
        name="front",
        line=line,
        marker={"size": 8, "color": BLUE},
    )
    x, y = goals.objectives[i], goals.objectives[j]
    figure.update_layout(xaxis_title=titled(x), yaxis_title=titled(y))
    return as_json(figure, f"the Pareto front in {x} and {y}")
