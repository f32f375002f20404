"""Fronts on a common scale, and pictures of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphbo.architecture import Architecture
from graphbo.evaluators.base import FunctionEvaluator
from graphbo.evaluators.table import TableEvaluator
from graphbo.goals import Goals
from graphbo.problems.base import Problem
from graphbo.report.fronts import (
    Scale,
    common_scale,
    front_figure,
    hypervolume_curve,
    hypervolume_curves,
    hypervolume_figure,
    scale_of,
    summarize_fronts,
    true_front,
)
from graphbo.spaces import PoolSpace
from graphbo.study import Result
from graphbo.trial import Evaluation, Trial

GOALS = Goals.of(["error", "size"])
CHAINS = [
    Architecture(["input", *["a"] * n, "output"], [(i, i + 1) for i in range(n + 1)])
    for n in range(1, 5)
]
ERRORS, SIZES = [4.0, 2.0, 3.0, 0.0], [1.0, 2.0, 3.0, 5.0]
SPACE = PoolSpace(CHAINS)
TABLE = Problem(
    "table",
    SPACE,
    TableEvaluator(CHAINS, {"error": ERRORS}, facts={"size": SIZES}),
    objective="error",
)


def trial(number: int) -> Trial:
    found = Evaluation({"error": ERRORS[number]}, facts={"size": SIZES[number]})
    return Trial(SPACE.enumerate()[number], value=ERRORS[number], evaluation=found)


def result(*numbers: int) -> Result:
    return Result(tuple(trial(number) for number in numbers), goals=GOALS)


RUNS = {"one": [result(2, 1, 0, 3), result(1, 3)], "other": [result(2), result(2, 0)]}


def test_the_true_front_of_a_table_is_known() -> None:
    front = true_front(TABLE, GOALS)
    assert front is not None
    assert [GOALS.values(each) for each in front] == [(0, 5), (2, 2), (4, 1)]
    bounded = true_front(TABLE, Goals.of("error", ["size<=3"]))
    assert bounded is not None
    assert [each.outcomes["error"] for each in bounded] == [2]
    function = replace(TABLE, evaluator=FunctionEvaluator(lambda architecture: 1.0))
    assert true_front(function, GOALS) is None


def test_the_scale_is_that_of_the_true_front_and_a_tenth_beyond() -> None:
    scale = common_scale(TABLE, GOALS, RUNS)
    assert scale is not None
    assert scale.ideal == (0, 1)
    assert scale.reference == pytest.approx((4.4, 5.4))
    # Strips of 4.4 x 0.4, 2.4 x 3 and 0.4 x 1 in a box of 4.4 x 4.4.
    assert scale.best == pytest.approx((4.4 * 0.4 + 2.4 * 3 + 0.4 * 1) / 4.4**2)


def test_the_reference_may_be_stated_and_the_front_that_of_the_runs() -> None:
    stated = replace(TABLE, reference={"error": 10.0, "size": 11.0})
    scale = common_scale(stated, GOALS, RUNS)
    assert scale is not None
    assert scale.reference == (10, 11)
    unknown = replace(TABLE, evaluator=FunctionEvaluator(lambda architecture: 1.0))
    found = common_scale(unknown, GOALS, {"other": RUNS["other"]})
    assert found == Scale((3, 1), pytest.approx((4.1, 3.2)), None)  # type: ignore[arg-type]
    nothing = {"none": [Result((Trial(SPACE.enumerate()[0], error="failed"),), goals=GOALS)]}
    assert common_scale(unknown, GOALS, nothing) is None


def test_a_front_that_does_not_reach_the_stated_reference_has_no_hypervolume() -> None:
    scale = scale_of([trial(0), trial(1)], GOALS, {"error": 2.0, "size": 11.0})
    assert scale.ideal[0] < scale.reference[0] == 2.0
    found = hypervolume_curve([trial(0), trial(1), trial(3)], GOALS, scale, 3)
    assert (found[:2] == 0).all()
    assert found[2] > 0, "the last one gets below the reference"


def test_the_hypervolume_grows_as_the_front_does() -> None:
    scale = Scale((0.0, 1.0), (5.0, 6.0))
    trials = [trial(2), Trial(SPACE.enumerate()[0], error="failed"), trial(1), trial(0)]
    found = hypervolume_curve(trials, GOALS, scale, 6)
    expected = np.array([2 * 3, 2 * 3, 3 * 4, 3 * 4 + 1, 3 * 4 + 1, 3 * 4 + 1]) / 25
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(hypervolume_curve(trials, GOALS, scale, 2), expected[:2])


def test_a_comparison_sums_up_hypervolumes_and_shares() -> None:
    scale = common_scale(TABLE, GOALS, RUNS)
    assert scale is not None
    curves = hypervolume_curves(GOALS, RUNS, 4, scale)
    summary = summarize_fronts(TABLE, GOALS, RUNS, 4, scale, curves)
    assert summary["objectives"] == ["error", "size"]
    one, other = summary["optimizers"]["one"], summary["optimizers"]["other"]
    assert curves["one"][0, -1] == pytest.approx(scale.best), "all of the front was found"
    assert one["share"]["4"] > other["share"]["4"]
    assert one["front_size"] == 2.5
    difference = summary["paired"]["one - other"]["4"]
    assert difference["mean"] == pytest.approx((curves["one"] - curves["other"])[:, -1].mean())
    assert difference["low"] <= difference["mean"] <= difference["high"]


def test_fronts_and_hypervolumes_are_drawn() -> None:
    pytest.importorskip("matplotlib")
    curves = {"one": np.linspace(0, 1, 8).reshape(2, 4), "other": np.zeros((2, 4))}
    figure = hypervolume_figure(curves, title="table", best=1.0)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["one", "other", "true front"]
    front = front_figure({"front": [trial(1), trial(0)]}, GOALS, trials=[trial(2)])
    (axes,) = front.axes
    assert axes.get_xlabel() == "error"
    assert [line.get_xdata().tolist() for line in axes.lines] == [[3], [2, 4]]  # type: ignore[union-attr]


def test_a_picture_of_a_front_tells_what_breaks_a_constraint_and_a_shadow_from_a_front() -> None:
    pytest.importorskip("matplotlib")
    bounded = Goals.of(["error", "size"], ["size<=3"])
    (axes,) = front_figure({"front": [trial(1)]}, bounded, trials=[trial(2), trial(3)]).axes
    shown = {line.get_label(): line for line in axes.lines}
    assert list(shown) == ["trial", "infeasible", "front"]
    assert shown["infeasible"].get_xdata().tolist() == [0]  # type: ignore[union-attr]
    assert shown["infeasible"].get_markerfacecolor() == "none"
    assert shown["front"].get_linestyle() == "-"
    three = Goals.of(["error", "size", "third"])
    found = [
        replace(each, evaluation=Evaluation({**each.outcomes, "third": 1.0}))
        for each in (trial(0), trial(1))
    ]
    (axes,) = front_figure({"front": found}, three).axes
    (line,) = axes.lines
    assert line.get_linestyle() == "None", "no line bounds a surface"
