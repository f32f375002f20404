from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from graphbo.architecture import Architecture
from graphbo.report.table import write_evaluations
from graphbo.spaces import Design
from graphbo.study import Result
from graphbo.trial import Evaluation, Trial

ARCHITECTURE = Architecture(["input", "output"], [(0, 1)])
RUNS = {
    "random": [
        Result((
            Trial(Design(ARCHITECTURE, ()), error="boom", number=0),
            Trial(
                Design(ARCHITECTURE, (), "initial"),
                value=3.0,
                fidelity={"epochs": 9},
                number=1,
                evaluation=Evaluation({"validation_error": 3.0, "test_error": 4.0}, cost=60.0),
            ),
        ), optimizer_seconds=5.0),
    ]
}  # fmt: skip


def test_a_parquet_table_has_a_row_for_each_evaluation(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = write_evaluations(RUNS, tmp_path)
    assert path.name == "evaluations.parquet"
    table = pandas.read_parquet(path)
    failed, completed = table.to_dict("records")
    assert failed["state"] == "failed"
    assert list(table.columns[:3]) == ["optimizer", "seed", "trial"]
    expected = {
        "optimizer": "random",
        "seed": 0,
        "trial": 1,
        "architecture": ARCHITECTURE.to_string(),
        "state": "completed",
        "value": 3.0,
        "cost": 60.0,
        "fidelity_epochs": 9.0,
        "origin": "initial",
        "evaluation_seed": 0,
        "optimizer_seconds": 2.5,
        "objective_validation_error": 3.0,
        "objective_test_error": 4.0,
    }
    assert completed | expected == completed


def test_without_pandas_it_is_a_csv_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    path = write_evaluations(RUNS, tmp_path)
    assert path.name == "evaluations.csv"
    with path.open(newline="") as file:
        failed, completed = csv.DictReader(file)
    assert (failed["state"], failed["value"], failed["error"]) == ("failed", "", "boom")
    assert (completed["value"], completed["objective_test_error"]) == ("3.0", "4.0")
    assert (completed["fidelity_epochs"], completed["optimizer_seconds"]) == ("9", "2.5")
