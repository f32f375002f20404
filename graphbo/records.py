"""Trials as a table: the one place that says what its columns are."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from graphbo.errors import InputError, MissingExtraError
from graphbo.trial import Trial

if TYPE_CHECKING:
    import pandas

Value = str | int | float | bool | None
Record = dict[str, Value]
_LEADING = ("number", "ask", "state", "value")
_NESTED = ("design", "evaluation", "fidelity")


def trial_records(trials: Iterable[Trial]) -> list[Record]:
    """Return a record for each trial.

    The columns are `number`, `ask`, `state` and `value`; `objective_NAME` for each objective,
    `cost` (seconds), and `fact_NAME` for each fact of the evaluations; `hyperparameter_NAME` and
    `fidelity_AXIS` (no value where an axis is not limited); then what else a `Trial` states of
    itself, such as `seed`, `started`, `finished` (both in seconds since the epoch) and `error`; at
    last `origin`, `architecture` (see `Architecture.from_string`) and `checkpoint`.

    Args:
        trials: The trials.

    Returns:
        Mappings with the same keys in the same order, with None where a trial has no value.
    """
    plain = [each.name for each in fields(Trial) if each.name not in (*_LEADING, *_NESTED)]
    taken = list(trials)
    groups = [_groups(trial) for trial in taken]
    named: list[dict[str, None]] = [{} for _ in _groups(None)]
    for row in groups:
        for names, group in zip(named, row, strict=True):
            names |= dict.fromkeys(group)
    return [
        {
            **{name: getattr(trial, name) for name in _LEADING},
            **{name: group.get(name) for names, group in zip(named, row, strict=True)
               for name in names},
            **{name: getattr(trial, name) for name in plain},
            "origin": trial.design.origin or None,
            "architecture": trial.design.architecture.to_string(),
            "checkpoint": None if trial.evaluation is None else trial.evaluation.checkpoint,
        }
        for trial, row in zip(taken, groups, strict=True)
    ]  # fmt: skip


def write_csv(records: Sequence[Mapping[str, Value]], path: str | Path) -> Path:
    """Write records as comma-separated values, in UTF-8.

    What is missing is an empty cell, and numbers have all their digits. pandas reads them back with
    ``read_csv(path, keep_default_na=False, na_values=[""])``.

    Args:
        records: Mappings with the same keys.
        path: The file; it is replaced if it is there.

    Returns:
        The path.

    Raises:
        InputError: If the file cannot be written.
    """
    path = Path(path)
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(records[0]) if records else [])
            writer.writeheader()
            writer.writerows(records)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def write_parquet(records: Sequence[Mapping[str, Value]], path: str | Path) -> Path:
    """Write records as a Parquet file, which keeps the types of the columns.

    A column of several types, such as a choice of texts and numbers, becomes one of texts.

    Args:
        records: Mappings with the same keys.
        path: The file; it is replaced if it is there.

    Returns:
        The path.

    Raises:
        InputError: If the file cannot be written.
        MissingExtraError: If pandas or pyarrow is not installed.
    """
    frame = to_dataframe(records)
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pyarrow", "tables") from error
    for name in frame.columns:
        kinds = {float if isinstance(each, int) and not isinstance(each, bool) else type(each)
                 for each in frame[name].dropna()}  # fmt: skip
        if len(kinds) > 1:
            frame[name] = frame[name].map(str, na_action="ignore")
    path = Path(path)
    try:
        frame.to_parquet(path, index=False)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def to_dataframe(records: Sequence[Mapping[str, Value]]) -> pandas.DataFrame:
    """Return records as a ``pandas.DataFrame``.

    Raises:
        MissingExtraError: If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "tables") from error
    return pandas.DataFrame(list(records))


def _groups(trial: Trial | None) -> list[Mapping[str, Value]]:
    """Return the columns whose names depend on the study, in the order of the table."""
    if trial is None or (evaluation := trial.evaluation) is None:
        measured: list[Mapping[str, Value]] = [{}, {"cost": None}, {}]
    else:
        measured = [
            _prefixed("objective", evaluation.objectives),
            {"cost": evaluation.cost},
            _prefixed("fact", evaluation.facts),
        ]
    return [
        *measured,
        {} if trial is None else _prefixed("hyperparameter", trial.design.hyperparameters),
        {} if trial is None else _prefixed("fidelity", trial.fidelity),
    ]


def _prefixed(prefix: str, values: Mapping[str, Value]) -> dict[str, Value]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"the table cannot be written to {path}: {error}")
