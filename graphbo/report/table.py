"""One table of every evaluation of a comparison."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphbo.study import Result
    from graphbo.trial import Trial

Row = dict[str, str | int | float | None]


def write_evaluations(runs: Mapping[str, Sequence[Result]], folder: Path) -> Path:
    """Write a row for each evaluation.

    The columns are `optimizer`, `seed`, `trial`, `architecture` (see `Architecture.from_string`),
    `hyperparameters` (as JSON, where the space has any),
    `state`, `value`, one for each objective, `cost` (seconds), `epochs` (of the fidelity, empty
    where it does not limit them), `origin` and `optimizer_seconds` (the mean of its run).

    Args:
        runs: For each optimiser the results for the seeds 0, 1, ...
        folder: Where to write ``evaluations.parquet``, or ``evaluations.csv`` if pandas or pyarrow
            is not installed.

    Returns:
        The path of the file.
    """
    rows = [
        row
        for name, results in runs.items()
        for seed, result in enumerate(results)
        for row in _rows(name, seed, result)
    ]
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError:
        path = folder / "evaluations.csv"
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return path
    path = folder / "evaluations.parquet"
    pandas.DataFrame(rows).to_parquet(path, index=False)
    return path


def _rows(optimizer: str, seed: int, result: Result) -> list[Row]:
    seconds = result.optimizer_seconds / max(len(result.trials), 1)
    rows: list[Row] = []
    for trial in result.trials:
        evaluation = trial.evaluation
        rows.append(
            {
                "optimizer": optimizer,
                "seed": seed,
                "trial": trial.number,
                "architecture": trial.design.architecture.to_string(),
                **_hyperparameters(trial),
                "state": trial.state,
                "value": trial.value,
                "cost": None if evaluation is None else evaluation.cost,
                "epochs": trial.fidelity.get("epochs"),
                "origin": trial.design.origin,
                "optimizer_seconds": seconds,
                **({} if evaluation is None else evaluation.objectives),
            }
        )
    return rows


def _hyperparameters(trial: Trial) -> Row:
    values = trial.design.hyperparameters
    return {"hyperparameters": json.dumps(dict(values))} if values else {}
