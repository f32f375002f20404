"""The classic exercise, on the table that comes with the package."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_cells_are_looked_up_on_both_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    output = tmp_path / "exercise.json"
    importlib.import_module("exercise").main(
        [
            *("--problem", "digits-table", "--other", "digits-table"),
            *("--optimizers", "random,hyperband", "--epochs", "40", "--seeds", "2", "--jobs", "1"),
            *("--runs", str(tmp_path / "runs"), "--output", str(output)),
        ]
    )
    found = json.loads(output.read_text())["optimizers"]
    assert found["random"]["trainings"] == 5  # of nine epochs; the budget ends within the fifth
    assert found["hyperband"]["trainings"] > 5
    for entry in found.values():
        assert entry["regret"] == entry["other_regret"] >= 0
    assert "| `hyperband` |" in capsys.readouterr().out
