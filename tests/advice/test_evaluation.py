"""What advice is worth on problems that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from graphbo.advice import Measurement, leave_one_problem_out, read_measurements
from graphbo.errors import InputError

Measured = Callable[..., Measurement]
FEWEST = 6


def test_advice_is_looked_up_where_it_was_left_out(measured: Measured) -> None:
    names = ("one", "two", "three")
    few = [measured(f"{name}-few", "abr", points=(10,), problem=name) for name in names]
    many = [measured(f"{name}-many", "bar", points=(160,), problem=name) for name in names]
    found = leave_one_problem_out([*few, *many])
    assert found.problems == 3
    assert found.advised == {
        each.name: ("a" if each.points == (10,) else "b",) for each in (*few, *many)
    }
    assert found.advice == found.hindsight == 0
    assert found.fixed["a"].everywhere == found.fixed["b"].everywhere == 0.25
    assert found.fixed["r"].everywhere == 1
    assert found.best_fixed == "a"


def test_the_problem_itself_is_not_looked_at(measured: Measured) -> None:
    found = leave_one_problem_out(
        [measured("one", "ab"), measured("two", "ab"), measured("odd", "ba")]
    )
    assert found.advised == {"one": ("a",), "two": ("a",), "odd": ("a",)}
    assert found.advice == pytest.approx(1 / 3)


def test_problems_count_alike_however_often_they_were_measured(measured: Measured) -> None:
    often = [measured(f"one-{i}", "ab", problem="one") for i in range(5)]
    found = leave_one_problem_out([*often, measured("two", "ba"), measured("three", "ba")])
    assert found.fixed["a"].everywhere == pytest.approx(2 / 3)
    assert found.fixed["b"].everywhere == pytest.approx(1 / 3)


def test_where_a_fixed_optimiser_was_not_run_it_has_the_rank_of_random(measured: Measured) -> None:
    cells = [renamed(measured(name, "axy"), x="random") for name in ("one", "two")]
    short = renamed(measured("three", "bcx", fidelities=True), x="random")
    found = leave_one_problem_out([*cells, short])
    always_a = found.fixed["a"]
    assert always_a.everywhere == pytest.approx((0 + 0 + 1) / 3)  # random is the last of three
    assert (always_a.where_run, always_a.advice, always_a.conditions) == (0, 0, 2)
    always_b = found.fixed["b"]
    assert always_b.everywhere == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert (always_b.where_run, always_b.conditions) == (0, 1)


def test_without_random_it_has_the_middle_rank(measured: Measured) -> None:
    found = leave_one_problem_out([measured("one", "abc"), measured("two", "bc")])
    assert found.fixed["a"].everywhere == pytest.approx((0 + 0.5) / 2)


def renamed(measurement: Measurement, **names: str) -> Measurement:
    """Return a measurement in which letters have become names."""
    regrets = {names.get(each, each): table for each, table in measurement.regrets.items()}
    return replace(measurement, regrets=regrets)


@pytest.mark.skipif(
    len({each.problem for each in read_measurements()}) < FEWEST,
    reason=f"measurements.json holds fewer than {FEWEST} problems: run benchmarks/conditions.py",
)
def test_advice_beats_every_fixed_optimiser_on_problems_that_it_has_not_seen() -> None:
    found = leave_one_problem_out(read_measurements())
    assert found.advice < found.fixed[found.best_fixed].everywhere


def test_one_problem_is_not_enough(measured: Measured) -> None:
    with pytest.raises(InputError, match="two or more"):
        leave_one_problem_out([measured("one", "ab")])
