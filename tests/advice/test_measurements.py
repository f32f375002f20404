"""Measurements, and the file that they are in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphbo.advice import SHIPPED, Measurement, SpaceFeatures, read_measurements, to_text
from graphbo.errors import InputError
from graphbo.report.ranks import mean_ranks

Measured = Callable[..., Measurement]


def without(measurement: Measurement) -> Measurement:
    """All but the arrays, which cannot be compared like numbers."""
    return replace(measurement, regrets={}, areas={}, areas_in_seconds={})


def test_a_file_gives_back_what_was_written(measured: Measured, tmp_path: Path) -> None:
    first = replace(
        measured("one", ["abc", "cba"], points=(10, 37.5), workers=8, fidelities=True),
        areas={name: np.array([0.5, 2.0 + i]) for i, name in enumerate("abc")},
        areas_in_seconds={name: np.array([0.25, 1.0 + i]) for i, name in enumerate("abc")},
        seconds={"a": 0.25, "b": 3.0, "c": 0.0},
        inapplicable={"d": "it needs chains"},
    )
    first.regrets["a"][0, 1] = np.nan
    path = tmp_path / "measurements.json"
    path.write_text(to_text([first, measured("two", "ab")], "command"))
    again = read_measurements(path)
    assert [each.name for each in again] == ["one", "two"]
    assert without(again[0]) == without(first)
    assert again[1].areas == {}
    for name, regrets in first.regrets.items():
        np.testing.assert_array_equal(again[0].regrets[name], regrets)
        np.testing.assert_array_equal(again[0].areas[name], first.areas[name])
        np.testing.assert_array_equal(again[0].areas_in_seconds[name], first.areas_in_seconds[name])


def test_five_digits_are_kept(measured: Measured, tmp_path: Path) -> None:
    each = replace(measured("one", "ab"), regrets={"a": np.array([[1.23456789, 123456.7]])})
    (stored,) = json.loads(to_text([each], ""))["conditions"]
    assert stored["optimizers"]["a"]["regret"] == [[1.2346, 123460]]


def test_the_nearest_budget_is_looked_at() -> None:
    each = Measurement("m", "p", SpaceFeatures(), False, 1, (10.0, 40.0, 160.0), {})
    assert [each.nearest(budget) for budget in (1, 19, 21, 79, 81, 10_000)] == [0, 0, 1, 1, 2, 2]
    assert each.nearest(20) == 0  # as far from either


def test_ranks_are_those_of_the_report() -> None:
    values = {"a": [1.0, 2.0, np.nan], "b": [1.0, 1.0, 3.0], "c": [0.0, 5.0, np.nan]}
    each = Measurement(
        "m",
        "p",
        SpaceFeatures(),
        False,
        1,
        (10.0,),
        {name: np.array([row]) for name, row in values.items()},
    )
    expected = mean_ranks(values)
    assert {name: each.mean_rank(name, 0) for name in values} == pytest.approx(expected)
    assert each.share("b", 0) == pytest.approx(1 - (expected["b"] - 1) / 2)
    assert np.isnan(each.mean_regret("a", 0))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "conditions": [{}]}'])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match="damaged, or no file of measurements"):
        read_measurements(path)


def test_a_newer_file_and_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    with pytest.raises(InputError, match="cannot be read"):
        read_measurements(path)
    path.write_text('{"format": 99}')
    with pytest.raises(InputError, match="upgrade graphbo"):
        read_measurements(path)


def test_what_ships_is_small_and_can_be_read() -> None:
    assert SHIPPED.stat().st_size < 400_000
    shipped = read_measurements()
    assert len({each.name for each in shipped}) == len(shipped)
    for each in shipped:
        shapes = {table.shape for table in each.regrets.values()}
        assert shapes == {(len(each.points), each.seeds)}
        assert list(each.points) == sorted(each.points)
