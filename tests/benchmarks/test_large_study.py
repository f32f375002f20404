"""The benchmark of large studies fills what it says, and measures on top of it."""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "large_study.py"
    spec = importlib.util.spec_from_file_location("large_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["random", "hyperband"])
def test_a_filled_study_has_the_trials_that_it_is_to_have(
    benchmark: ModuleType, name: str, tmp_path: Path
) -> None:
    values = benchmark.fill(tmp_path / "study.sqlite", name, 25, seed=0)
    with sqlite3.connect(tmp_path / "study.sqlite") as database:
        stored = database.execute("SELECT value FROM trials ORDER BY number").fetchall()
    database.close()
    assert [value for (value,) in stored] == values
    assert len(values) == 25


def test_costs_are_measured_on_top_of_a_filled_study(benchmark: ModuleType) -> None:
    found = benchmark.cost("local-search", 20, repeats=1)
    assert set(found) == {
        "open", "first_ask", "ask", "report", "peak_megabytes", "file_megabytes",
    }  # fmt: skip
    assert "| `local-search` | 20 |" in benchmark.cost_table(
        {"costs": {"local-search": {"20": found}}}
    )


def test_gains_are_measured_from_the_best_of_the_filled_trials(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "FILLED", 15)
    monkeypatch.setattr(benchmark, "CONTINUATION", 10)
    found = benchmark.gains("local-search", seeds=2)
    assert len(found) == 2
    assert min(found) >= 0
    assert "`local-search`" in benchmark.quality_table(
        {"seeds": 2, "gains": {"local-search": found}}
    )
