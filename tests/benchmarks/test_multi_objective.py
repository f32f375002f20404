"""The comparison of several objectives: which there are, and the table of what they give."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("multi_objective")


def test_each_device_is_compared_with_a_front_and_with_a_bound(module: Any) -> None:
    names = [each.name for each in module.comparisons(["phone", "board"])]
    assert names == [
        "latency_ms_phone-front",
        "latency_ms_board-front",
        "latency_ms_phone-bound",
        "latency_ms_board-bound",
    ]


def test_the_table_has_shares_of_fronts_and_regrets_under_bounds(module: Any) -> None:
    front = {"reference": [1, 1], "optimizers": {"nsga2": {"share": {"25": 0.5, "50": 0.75}}}}
    bound = {"optimizers": {"random": {"mean_regret": {"25": None, "50": 1.5}}}}
    assert module.table({"a": front, "b": bound}).splitlines()[2:] == [
        "| a | `nsga2` | 50.00 | 75.00 |",
        "| b | `random` | - | 1.50 |",
    ]
