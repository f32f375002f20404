"""One table of every evaluation of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphbo.errors import MissingExtraError
from graphbo.records import trial_records, write_csv, write_parquet

if TYPE_CHECKING:
    from graphbo.study import Result

_RENAMED = {"number": "trial", "seed": "evaluation_seed"}


def write_evaluations(runs: Mapping[str, Sequence[Result]], folder: Path) -> Path:
    """Write a row for each evaluation.

    The columns are `optimizer`, `seed` (of the run) and those of `trial_records`, of which `number`
    is called `trial`, and `seed` `evaluation_seed`; at last `optimizer_seconds`, the mean of the
    run.

    Args:
        runs: For each optimiser the results for the seeds 0, 1, ...
        folder: Where to write ``evaluations.parquet``, or ``evaluations.csv`` if pandas or pyarrow
            is not installed.

    Returns:
        The path of the file.

    Raises:
        InputError: If the file cannot be written.
    """
    taken = [
        (name, seed, result.optimizer_seconds / len(result.trials), trial)
        for name, results in runs.items()
        for seed, result in enumerate(results)
        for trial in result.trials
    ]
    records = trial_records(trial for *_, trial in taken)
    rows = [
        {
            "optimizer": name,
            "seed": seed,
            **{_RENAMED.get(column, column): value for column, value in record.items()},
            "optimizer_seconds": seconds,
        }
        for (name, seed, seconds, _), record in zip(taken, records, strict=True)
    ]
    try:
        return write_parquet(rows, folder / "evaluations.parquet")
    except MissingExtraError:
        return write_csv(rows, folder / "evaluations.csv")
