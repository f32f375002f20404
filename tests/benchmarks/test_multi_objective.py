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


def test_the_tables_have_shares_of_fronts_and_regrets_under_bounds_with_what_is_ahead(
    module: Any,
) -> None:
    ahead = {"mean": 0.1, "low": 0.05, "high": 0.2}
    shares = {"graph-ehvi": {"share": {"25": 0.75}}, "nsga2": {"share": {"25": 0.5}}}
    front = {
        **{"reference": [1, 1], "true_front": 0.5, "seeds": 3, "optimizers": shares},
        "paired": {"graph-ehvi - nsga2": {"25": ahead}},
    }
    regrets = {"graph-bo": {"50": 1.5, "100": 0.5}, "random": {"50": None, "100": 0.6}}
    lower = {"mean": -0.1, "low": -0.2, "high": -0.05}
    missing = {"mean": None, "low": None, "high": None}
    bound = {
        **{"seeds": 2, "optimizers": {k: {"mean_regret": v} for k, v in regrets.items()}},
        "paired": {"graph-bo - random": {"50": missing, "100": lower}},
    }
    assert module.table({"a": front, "b": bound}).splitlines() == [
        "| `a`, 3 seeds | after 25 |",
        "| --- | ---: |",
        "| `graph-ehvi` | 75.00 |",
        "| `nsga2` | 50.00 (+20.00: +10.00 to +40.00) |",
        "",
        "| `b`, 2 seeds | after 50 | after 100 |",
        "| --- | ---: | ---: |",
        "| `graph-bo` | 1.50 | 0.50 |",
        "| `random` | - | 0.60 (+0.10: +0.05 to +0.20) |",
    ]
