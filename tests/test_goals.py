"""What a search is for, computed by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from graphbo.errors import InputError
from graphbo.goals import Constraint, Goals
from graphbo.spaces import CellSpace
from graphbo.trial import Evaluation, Trial

DESIGN = CellSpace(3, ["a"], on="edges").enumerate()[0]


def trial(facts: Mapping[str, float] | None = None, **objectives: float) -> Trial:
    value = next(iter(objectives.values()))
    return Trial(DESIGN, value=value, evaluation=Evaluation(objectives, facts=facts or {}))


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("latency_ms_pixel3<=5", Constraint("latency_ms_pixel3", 5.0)),
        (" parameters >= 1e6 ", Constraint("parameters", 1e6, upper=False)),
        ("flops<=-2.5", Constraint("flops", -2.5)),
    ],
)
def test_a_constraint_is_written_as_an_inequality(text: str, constraint: Constraint) -> None:
    assert Constraint.parse(text) == constraint
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize(
    "text", ["latency", "latency<5", "<=5", "latency<=", "latency<=fast", "a=b"]
)
def test_what_is_no_constraint_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is written like 'latency_ms<=5'"):
        Constraint.parse(text)


@pytest.mark.parametrize("text", ["latency<=inf", "latency<=nan"])
def test_a_bound_is_finite(text: str) -> None:
    with pytest.raises(InputError, match="finite bound"):
        Constraint.parse(text)


def test_an_excess_is_a_share_of_the_bound() -> None:
    assert Constraint("a", 4.0).excess(5.0) == 0.25
    assert Constraint("a", 4.0).excess(4.0) == 0
    assert Constraint("a", 4.0, upper=False).excess(3.0) == 0.25
    assert Constraint("a", -4.0).excess(-3.0) == 0.25
    assert Constraint("a", 0.0).excess(3.0) == 3, "the distance itself where there is no share"


def test_goals_name_each_thing_once_and_have_an_objective() -> None:
    goals = Goals.of("error", ["latency<=5", "error<=20"])
    assert goals.names == ("error", "latency")
    assert goals.bounds == "latency<=5.0 and error<=20.0"
    assert not goals.plain
    assert Goals.of(["error"]).plain
    with pytest.raises(InputError, match="at least one objective"):
        Goals(())
    with pytest.raises(InputError, match="named once"):
        Goals.of(["error", "error"])


def test_objectives_and_facts_are_goals_alike() -> None:
    goals = Goals.of(["error", "flops"], ["latency<=5", "flops<=10"])
    found = trial({"flops": 20.0, "latency": 7.5}, error=3.0)
    assert goals.values(found) == (3.0, 20.0)
    assert goals.violation(found) == 0.5 + 1.0
    assert not goals.feasible(found)
    assert goals.feasible(trial({"flops": 10.0, "latency": 5.0}, error=3.0))
    assert not goals.feasible(Trial(DESIGN, error="failed"))


def test_what_a_trial_lacks_is_said() -> None:
    goals = Goals.of(["error", "flops"])
    assert goals.missing(trial({"flops": 1.0}, error=3.0)) is None
    assert "has no 'flops', only ['error']" in str(goals.missing(trial(error=3.0)))
    assert "'flops' is nan" in str(goals.missing(trial({"flops": math.nan}, error=3.0)))
    assert "only []" in str(goals.missing(Trial(DESIGN, value=1.0)))


def test_the_front_is_what_no_feasible_trial_dominates() -> None:
    goals = Goals.of(["error", "latency"], ["size<=1"])

    def at(error: float, latency: float, size: float = 1.0) -> Trial:
        return trial({"size": size}, error=error, latency=latency)

    kept = [at(1, 4), at(2, 2), at(4, 1)]
    dominated = [at(2, 3), at(4, 4)]
    twin, outside, failed = at(2, 2), at(0, 0, size=2.0), Trial(DESIGN, error="failed")
    trials = [kept[2], dominated[0], kept[1], twin, outside, kept[0], failed, dominated[1]]
    front = goals.front(trials)
    assert front == kept
    assert front[1] is kept[1], "of two equal ones the first stays"
    assert goals.front([outside, failed]) == []


def test_the_hypervolume_is_the_area_up_to_the_reference() -> None:
    goals = Goals.of(["error", "latency"])
    trials = [trial(error=1, latency=4), trial(error=2, latency=2), trial(error=6, latency=1)]
    # Up to (5, 5): a strip of 4 x 1 above latency 4, and 3 x 2 below it.
    assert goals.hypervolume(trials, (5, 5)) == pytest.approx(4 * 1 + 3 * 2)
    assert goals.hypervolume(trials, (1, 1)) == 0
    assert Goals.of("error").hypervolume(trials, (5,)) == pytest.approx(4)
    with pytest.raises(InputError, match="a value for each of error, latency; got 1"):
        goals.hypervolume(trials, (5,))


def test_the_hypervolume_of_three_objectives_is_a_volume() -> None:
    goals = Goals.of(["a", "b", "c"])
    trials = [trial(a=0, b=1, c=1), trial(a=1, b=0, c=1)]
    # Two boxes of 2 x 1 x 1 within the cube of side 2 share one of 1 x 1 x 1.
    assert goals.hypervolume(trials, (2, 2, 2)) == pytest.approx(3)
