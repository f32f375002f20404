"""The interactive figures of a page, as plotly describes them.

Colours that must suit a light and a dark page are left to the page; see ``page.js``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.budget import spent
from graphbo.errors import MissingExtraError
from graphbo.goals import Goals
from graphbo.report.page.analysis import Analysis
from graphbo.report.page.escaping import label
from graphbo.report.regret import incumbent_values
from graphbo.trial import Trial, longest

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Json = dict[str, Any]
# Okabe and Ito's, of a brightness that suits light and dark.
BLUE, RED, GREEN, GREY = "#2b8cc4", "#d55e00", "#1a9e77", "#8c8c8c"
BROKEN: Json = {"size": 7, "color": RED, "symbol": "circle-open", "line": {"width": 1.5}}
"""How trials look that break a constraint."""
_SHADES = ("#8c8c8c", "#cc79a7", "#e69f00", "#56b4e9", "#b08d57", "#7f7fd5")
_MOST_CURVES, _MOST_POINTS, _LONGEST_TITLE = 300, 200, 36


def plotly_source() -> str:
    """Return plotly.js.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    new_figure()
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    return source


def anytime(
    trials: Sequence[Trial], objective: str, optimum: float | None, goals: Goals | None = None
) -> Json:
    """Return the trials and the best value so far, over what has been spent.

    Args:
        trials: In the order in which they finished; at least one completed.
        objective: The name of what is minimised.
        optimum: Its lowest possible value, if that is known.
        goals: Whose constraints the best value keeps; trials that break them are marked.
    """
    along = _axes(trials)
    names = list(along)
    values = [trial.value for trial in trials]
    figure = new_figure()
    epochs = sorted({trial.epochs for trial in trials if trial.value is not None})
    drawn: list[list[int]] = []  # for each trace the positions of its trials

    def add(positions: list[int], y: list[float | None], **look: Any) -> None:
        x = [along[names[0]][i] for i in positions]
        shown = [trials[i].number + 1 for i in positions]
        figure.add_scatter(x=x, y=y, customdata=shown, **look)
        drawn.append(positions)

    broken = [i for i, t in enumerate(trials) if goals is not None and infeasible(t, goals)]
    kept = [i for i, t in enumerate(trials) if t.value is not None and i not in set(broken)]
    for shade, each in zip(_shades(len(epochs)), epochs, strict=True):
        here = [i for i in kept if trials[i].epochs == each]
        add(
            here,
            [values[i] for i in here],
            mode="markers",
            name="trial" if len(epochs) == 1 else _epochs(each),
            marker={"size": 6, "color": shade, "opacity": 0.75},
            hovertemplate="trial %{customdata}: %{y:.5g}<extra></extra>",
        )
    if broken:
        add(
            broken,
            [values[i] for i in broken],
            mode="markers",
            name="infeasible",
            marker=BROKEN,
            hovertemplate="trial %{customdata} breaks a constraint: %{y:.5g}<extra></extra>",
        )
    everything = list(range(len(trials)))
    found = incumbent_values(trials, goals=goals)
    best = [None if np.isnan(value) else float(value) for value in found]
    add(
        everything,
        best,
        mode="lines",
        name="best so far",
        line={"color": BLUE, "width": 2.5, "shape": "hv"},
        hovertemplate="best after trial %{customdata}: %{y:.5g}<extra></extra>",
    )
    failed = [i for i, value in enumerate(values) if value is None]
    if failed:
        add(
            failed,
            [0.02] * len(failed),
            yaxis="y2",
            mode="markers",
            name="failed",
            marker={"size": 8, "color": RED, "symbol": "x-thin-open", "line": {"width": 1.5}},
            hovertemplate="trial %{customdata} failed<extra></extra>",
        )
        # At the bottom, whatever the range of the values is.
        hidden = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
        figure.update_layout(yaxis2=hidden)
    if optimum is not None:
        line = {"color": GREEN, "width": 1.5, "dash": "dash"}
        add([0, len(trials) - 1], [optimum] * 2, mode="lines", name="optimum", line=line)
        figure.data[-1].update(hovertemplate="optimum: %{y:.5g}<extra></extra>")
    figure.update_layout(xaxis_title=label(names[0]), yaxis_title=titled(objective))
    whole = 1 if len(trials) < 10 else None
    figure.update_xaxes(rangemode="tozero", dtick=whole)
    ranges = _near_the_best([t.value for t in longest(trials) if t.value is not None], optimum)
    if ranges:
        figure.update_yaxes(range=ranges[0]["layout"]["yaxis.range"])
    views = [
        [
            {
                "label": name,
                "data": {"x": [[along[name][i] for i in positions] for positions in drawn]},
                "layout": {
                    "xaxis.title.text": label(name),
                    "xaxis.autorange": True,
                    "xaxis.dtick": whole if name == names[0] else None,
                },
            }
            for name in names
        ],
        ranges,
    ]
    return as_json(figure, "the value of each trial, and the best so far", views)


def infeasible(trial: Trial, goals: Goals) -> bool:
    """Whether a trial completed and breaks a constraint."""
    return trial.value is not None and not goals.feasible(trial)


def calibration(analysis: Analysis) -> Json:
    """Return what a surrogate predicts of each trial from all others, against what was observed."""
    check, inverse = analysis.check, analysis.surrogate.transform.inverse
    values = np.array([trial.value for trial in analysis.trials])
    ends = [float(check.observed.min()), float(check.observed.max())]
    figure = new_figure()
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": GREEN, "width": 1.5, "dash": "dash"},
        name="predicted = observed",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=check.mean.tolist(),
        y=check.observed.tolist(),
        error_x={
            "array": (1.96 * check.deviation).tolist(),
            "color": "rgba(140,140,140,0.45)",
            "thickness": 1,
            "width": 0,
        },
        customdata=[
            [trial.number + 1, float(value), float(mean)]
            for trial, value, mean in zip(analysis.trials, values, inverse(check.mean), strict=True)
        ],
        mode="markers",
        marker={"size": 6, "color": BLUE, "opacity": 0.85},
        name="trial, with 95 % interval",
        hovertemplate="trial %{customdata[0]}: predicted %{customdata[2]:.4g}, "
        "observed %{customdata[1]:.4g}<extra></extra>",
    )
    figure.update_layout(
        xaxis_title="predicted score (lower is better)", yaxis_title="observed score"
    )
    return as_json(figure, "predicted against observed scores")


def learning_curves(trials: Sequence[Trial], best: Trial | None, objective: str) -> Json | None:
    """Return the learning curves of the last trials that have one; None if there is none."""
    found = [t for t in trials if t.evaluation is not None and len(t.evaluation.curve) > 1]
    if not found:
        return None
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial in found[-_MOST_CURVES:]:
        epochs, values = thinned(trial)
        x += [*epochs, None]
        y += [*values, None]
        numbers += [trial.number + 1] * len(epochs) + [None]
    figure = new_figure()
    figure.add_scatter(
        x=x,
        y=y,
        customdata=numbers,
        mode="lines",
        name="trial",
        line={"color": "rgba(140,140,140,0.5)", "width": 1},
        hovertemplate="trial %{customdata}, epoch %{x}: %{y:.4g}<extra></extra>",
    )
    if best is not None and best in found:
        epochs, values = thinned(best)
        figure.add_scatter(
            x=epochs,
            y=values,
            mode="lines",
            name="incumbent",
            line={"color": BLUE, "width": 2.5},
            hovertemplate="incumbent, epoch %{x}: %{y:.4g}<extra></extra>",
        )
    figure.update_layout(xaxis_title="epoch", yaxis_title=titled(objective))
    return as_json(figure, "learning curves")


def thinned(trial: Trial) -> tuple[list[int], list[float]]:
    """Return the epochs and values of a learning curve, 200 of them at most."""
    curve = () if trial.evaluation is None else trial.evaluation.curve
    places = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _MOST_POINTS)).astype(int))
    return [int(i) + 1 for i in places], [float(f"{curve[i]:.6g}") for i in places]


def _axes(trials: Sequence[Trial]) -> dict[str, list[float]]:
    """Return the positions of trials on each axis on which they differ."""
    axes: dict[str, list[float]] = {"evaluations": [float(i + 1) for i in range(len(trials))]}
    for unit, name in (("seconds", "seconds of evaluation"), ("epochs", "epochs of training")):
        amounts = spent(trials, unit)
        if amounts and amounts[-1] > 0:
            axes[name] = [float(f"{amount:.7g}") for amount in amounts]
    return axes


def _near_the_best(known: Sequence[float], optimum: float | None) -> list[Json]:
    """Return the choice between all values and those near the best, if these are crowded."""
    if len(known) < 5:
        return []
    lowest = min(known) if optimum is None else min(optimum, *known)
    middle, highest = float(np.median(known)), max(known)
    if highest - lowest < 4 * (middle - lowest) or middle == lowest:
        return []
    margin = 0.08 * (middle - lowest)
    near = [lowest - margin, middle + 6 * margin]
    return [
        {"label": "near the best", "data": {}, "layout": {"yaxis.range": near}},
        {"label": "all values", "data": {}, "layout": {"yaxis.autorange": True}},
    ]


def _epochs(n: float) -> str:
    return "all epochs" if n == math.inf else f"{n:g} epoch{'' if n == 1 else 's'}"


def titled(objective: str) -> str:
    """Return the title of an axis, shortened and escaped."""
    percent = " (%)" if objective.endswith("error") else ""
    name = objective.replace("_", " ")
    return label((name if len(name) <= _LONGEST_TITLE else f"{name[:_LONGEST_TITLE]}…") + percent)


def _shades(n: int) -> list[str]:
    """Return the colours of trials by epochs, the longest trainings grey."""
    return [_SHADES[(n - 1 - i) % len(_SHADES)] for i in range(n)]


def new_figure() -> Figure:
    """Return an empty figure.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure
    except ImportError as error:
        raise MissingExtraError("plotly", "report") from error
    figure = Figure()
    figure.update_layout(template="none", hovermode="closest")
    return figure


def as_json(figure: Figure, title: str, views: Sequence[Sequence[Json]] = ()) -> Json:
    """Return a figure as the page reads it.

    Args:
        figure: The figure.
        title: What it shows.
        views: Groups of choices of what else it shows.
    """
    content: Json = figure.to_plotly_json()
    return {
        "data": content["data"],
        "layout": {key: each for key, each in content["layout"].items() if key != "template"},
        "title": title,
        "views": [group for group in views if len(group) > 1],
    }
