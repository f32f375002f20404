"""Trials as tables: what the columns are, and that files give back what was written."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import graphbo
from graphbo.architecture import Architecture
from graphbo.errors import InputError, MissingExtraError
from graphbo.records import trial_records, write_csv, write_parquet
from graphbo.spaces import Design
from graphbo.trial import Evaluation, Trial

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

CELL = Architecture(["input", "conv", "output"], [(0, 1), (1, 2)])
AWKWARD = 'Traceback, "most recent"\r\n  File "x.py",\n\tValueError: a,b;\'c\'\r\u00e9 \u2028'
FAILED = Trial(
    Design(CELL, (0,), hyperparameters={"rate": 0.1, "decay": "NA"}), error=AWKWARD, number=0
)
COMPLETED = Trial(
    Design(CELL, (0,), "mutation", hyperparameters={"rate": 0.1 + 0.2, "decay": "none"}),
    value=1 / 3,
    evaluation=Evaluation(
        {"error": 1 / 3, "loss": math.inf}, 2.5, facts={"parameters": 7, "epochs": 9},
        checkpoint="checkpoints/a.pt",
    ),
    number=1,
    ask=1,
    fidelity={"epochs": 9.0},
    seed=2**32 - 1,
    started=1.7e9 + 0.123456,
    finished=1.7e9 + 1 / 3,
)  # fmt: skip
COLUMNS = [
    "number", "ask", "state", "value", "objective_error", "objective_loss", "cost",
    "fact_parameters", "fact_epochs", "hyperparameter_rate", "hyperparameter_decay",
    "fidelity_epochs", "error", "seed", "started", "finished", "origin", "architecture",
    "checkpoint",
]  # fmt: skip


def read_csv(path: Path) -> Any:
    return pandas.read_csv(path, keep_default_na=False, na_values=[""])


def test_each_trial_is_a_record_with_the_same_columns_in_the_same_order() -> None:
    failed, completed = trial_records([FAILED, COMPLETED])
    assert list(failed) == list(completed)
    assert [name for name in completed if name != "attempts"] == COLUMNS
    assert failed["state"] == "failed"
    assert failed["error"] == AWKWARD
    missing = [name for name, value in failed.items() if value is None]
    assert {"value", "objective_error", "cost", "fact_epochs", "fidelity_epochs"} <= set(missing)
    assert (completed["value"], completed["fact_epochs"]) == (1 / 3, 9)
    assert Architecture.from_string(str(completed["architecture"])) == CELL


@pytest.mark.parametrize(
    ("write", "read"), [(write_csv, read_csv), (write_parquet, pandas.read_parquet)]
)
def test_pandas_reads_back_equal_values_and_nothing_where_a_trial_has_none(
    write: Any, read: Any, tmp_path: Path
) -> None:
    records = trial_records([FAILED, COMPLETED, replace(COMPLETED, number=2)])
    table = read(write(records, tmp_path / "table"))
    assert list(table.columns) == list(records[0])
    for row, record in zip(table.to_dict("records"), records, strict=True):
        for name, value in record.items():
            assert pandas.isna(row[name]) if value is None else row[name] == value, name


def test_parquet_takes_choices_of_several_types(tmp_path: Path) -> None:
    trials = [
        Trial(Design(CELL, (), hyperparameters={"size": size}), value=1.0, number=number)
        for number, size in enumerate([1, "auto", True, 2.5])
    ]
    table = pandas.read_parquet(write_parquet(trial_records(trials), tmp_path / "table.parquet"))
    assert list(table["hyperparameter_size"]) == ["1", "auto", "True", "2.5"]


def test_results_and_studies_give_data_frames() -> None:
    space = graphbo.CellSpace(4, ["conv", "skip"], on="edges")
    result = graphbo.minimize(lambda cell: 1 / len(cell.edges), space, 6, 0, "random")
    table = result.to_dataframe()
    assert list(table["value"].dropna()) == [t.value for t in result.trials if t.value is not None]
    assert list(table["number"]) == list(range(6))
    assert set(table["state"]) <= {"completed", "failed"}


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"graphbo\[tables\]"):
        write_parquet(trial_records([FAILED]), tmp_path / "table.parquet")


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_table_that_cannot_be_written_is_one_clear_line(write: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write(trial_records([COMPLETED]), tmp_path / "nowhere" / "table")
