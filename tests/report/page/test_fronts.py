"""What the page of a study shows of several objectives and of constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from graphbo import CellSpace
from graphbo.goals import Goals
from graphbo.report import search_figure
from graphbo.report.page.figures import anytime
from graphbo.report.page.fronts import front_figures, front_table, hypervolume_figure
from graphbo.report.page.trials import operations_of, trial_rows
from graphbo.report.regret import incumbent_values
from graphbo.report.spending import incumbents
from graphbo.spaces import DARTSSpace, HierarchicalSpace
from graphbo.trial import Evaluation, Trial

pytest.importorskip("plotly")

SPACE = CellSpace(4, ["conv", "skip"], on="edges")
DESIGN = SPACE.enumerate()[0]
TWO = Goals.of(["error", "size"], ["heat<=1"])


def trials(*outcomes: Sequence[float]) -> list[Trial]:
    """Trials with these errors, sizes and temperatures; an empty one failed."""
    return [
        Trial(DESIGN, number=i, error="failed")
        if not found
        else Trial(
            DESIGN,
            number=i,
            value=found[0],
            evaluation=Evaluation(dict(zip(("error", "size", "heat"), found, strict=True))),
        )
        for i, found in enumerate(outcomes)
    ]


# The second dominates the first, the fourth is the best but too hot, the last is on the front.
FOUND = trials((5, 5, 1), (4, 4, 0), (), (1, 1, 2), (6, 2, 1))


def traces(figure: dict[str, Any]) -> dict[str, Any]:
    return {trace["name"]: trace for trace in figure["data"]}


def test_the_best_so_far_keeps_the_constraints() -> None:
    bounded = Goals.of("error", ["heat<=1"])
    np.testing.assert_equal(incumbent_values(FOUND, goals=bounded), [5, 4, 4, 4, 4])
    np.testing.assert_equal(incumbent_values(FOUND), [5, 4, 4, 1, 1])
    assert [t.number if t else None for t in incumbents(FOUND, bounded)] == [0, 1, 1, 1, 1]
    found = traces(anytime(FOUND, "error", None, bounded))
    assert list(found["best so far"]["y"]) == [5, 4, 4, 4, 4]
    assert list(found["infeasible"]["customdata"]) == [4]
    assert list(found["trial"]["customdata"]) == [1, 2, 5]
    assert "infeasible" not in traces(anytime(FOUND, "error", None))


def test_the_picture_of_a_search_marks_what_breaks_a_constraint() -> None:
    (ax,) = search_figure(FOUND, objective="error", goals=Goals.of("error", ["heat<=1"])).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in ax.lines}
    assert lines["infeasible"] == [1]
    assert lines["trial"] == [5, 4, 6]
    assert lines["best"] == [5, 4, 4, 4, 4]


def test_the_front_is_drawn_without_what_is_infeasible_or_dominated() -> None:
    (name,) = figures = front_figures(FOUND, TWO)
    found = traces(figures[name])
    assert list(zip(found["front"]["x"], found["front"]["y"], strict=True)) == [(4, 4), (6, 2)]
    assert list(found["trial"]["customdata"]) == [1]
    assert list(found["infeasible"]["customdata"]) == [4]
    assert found["front"]["mode"] == "lines+markers"


def test_three_objectives_are_drawn_in_pairs() -> None:
    figures = front_figures(FOUND, Goals.of(["error", "size", "heat"]))
    assert list(figures) == ["front-0-1", "front-0-2", "front-1-2"]
    assert {traces(figure)["front"]["mode"] for figure in figures.values()} == {"markers"}
    assert figures["front-1-2"]["layout"]["yaxis"]["title"]["text"] == "heat"


def test_the_hypervolume_grows_with_the_front() -> None:
    figure, scale = hypervolume_figure(FOUND, TWO, {"error": 8, "size": 6})
    assert (scale.ideal, scale.reference) == ((4, 2), (8, 6))
    # A box of side 4: the first takes 3 x 1 of it, the second 4 x 2, the last 2 x 2 more.
    assert figure["data"][0]["y"] == [3 / 16, 8 / 16, 8 / 16, 8 / 16, 12 / 16]
    _, usual = hypervolume_figure(FOUND, TWO, {"error": 8})
    assert usual.reference == pytest.approx((6.2, 4.2))


def test_the_rows_say_what_is_infeasible_and_what_is_on_the_front() -> None:
    rows = trial_rows(FOUND, (), TWO)
    assert [row["state"] for row in rows] == ["completed"] * 2 + [
        "failed",
        "infeasible",
        "completed",
    ]
    assert [row["best"] for row in rows] == [False, True, False, False, True]
    assert [row["goal 0"] for row in rows] == [5, 4, None, 1, 2]
    assert [row["goal 1"] for row in rows] == [1, 0, None, 2, 1]


def test_the_table_of_the_front_is_escaped_and_has_an_end() -> None:
    goals = Goals.of(["error", "<b>"])
    many = [
        Trial(DESIGN, value=i, evaluation=Evaluation({"error": i, "<b>": -i}))
        for i in map(float, range(201))
    ]
    table = front_table(many, goals)
    assert "<th>&lt;b&gt;</th>" in table
    assert table.count("<tr>") == 201
    assert "The first 200 of 201." in table


def test_operations_are_counted_and_nodes_that_do_nothing_are_not() -> None:
    for space in (DARTSSpace(), HierarchicalSpace()):
        for seed in range(3):
            shown = operations_of(space.sample(np.random.default_rng(seed)).architecture)
            named = {each.split("\N{NO-BREAK SPACE}")[-1] for each in shown.split(", ")}
            assert named <= {*space.operations, "no operation"}
