"""Runs as files that DeepCAVE opens.

They are in its format for data frames: a folder for each run, with a table of the hyperparameters
and a table of the trials.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace.hyperparameters import (
    Hyperparameter,
    IntegerHyperparameter,
    NumericalHyperparameter,
    OrdinalHyperparameter,
)

from graphbo.errors import InputError
from graphbo.optimizers.configured import Configurations
from graphbo.spaces.base import Decision, Design, SearchSpace
from graphbo.spaces.hyperparameters import Hyperparameters
from graphbo.spaces.joint import JointSpace
from graphbo.trial import Trial

_INACTIVE = "inactive"
_MEMBER = "architecture"
_RESERVED = ("config_id", "status", "start_time", "end_time", "budget", "seed")
_ADDED = ("trial", "origin", "state", "cost", "evaluation_seed", "graph")
# What pandas, with which DeepCAVE reads the files, takes for a missing value or a truth value.
_MISSING = {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "<NA>"}
_MISSING |= {"N/A", "NA", "NULL", "None", "n/a", "null"}  # the others are numbers to Python
_TRUTH = {"True", "TRUE", "true", "False", "FALSE", "false"}


def write_deepcave(
    trials: Iterable[Trial],
    space: SearchSpace,
    folder: str | Path,
    *,
    objective: str = "objective",
    seed: int = 0,
) -> Path:
    """Write a run for DeepCAVE: ``configspace.csv`` and ``trials.csv``.

    A failed trial is ``CRASHED``, and has no value. The budget is in epochs, as the fidelity of the
    trial or the facts of its evaluation say; it is left out where neither does. The format has no
    conditions: a decision that does not exist in a configuration takes the choice ``inactive``.
    Choices that would be read as numbers, truth values or as missing stand in apostrophes.

    Args:
        trials: The trials; those that are still running are left out.
        space: The search space. A pool is written as a part of its space if it is one, and else as
            one hyperparameter, the number of the member.
        folder: The folder of the run, made if it is not there; DeepCAVE calls the run by its name
            up to a dot.
        objective: The name of what was minimised. The other objectives of the evaluations are
            written, too, if all completed trials have them.
        seed: The seed of the search.

    Returns:
        The folder.

    Raises:
        InputError: If no trial has finished, or the folder cannot be written.
    """
    finished = [trial for trial in trials if trial.state != "running"]
    if not finished:
        raise InputError("there is no finished trial to write for DeepCAVE")
    table = _Hyperparameters(space)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "configspace.csv", table.rows())
        _write(folder / "trials.csv", _trials(finished, table, objective, seed))
    except OSError as error:
        raise InputError(f"the run cannot be written to {folder}: {error}") from error
    return folder


class _Hyperparameters:
    """The decisions of a space as columns."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._configurations: Configurations | None = None
        if space.configurable or getattr(space, "parent", None) is not None:
            self._configurations = Configurations(space, "DeepCAVE")

    @property
    def decisions(self) -> Sequence[Decision]:
        return () if self._configurations is None else self._configurations.decisions

    def rows(self) -> list[dict[str, Any]]:
        empty = dict.fromkeys(
            ["name", "type", "log", "lower", "upper", "default", "distribution", "ordered"], ""
        )
        rows = []
        if self._configurations is None:
            space = self._space
            pool = space.architectures if isinstance(space, JointSpace) else space
            last = len(pool.enumerate()) - 1
            bounds = {"log": False, "lower": 0, "upper": max(last, 1), "default": 0}
            rows = [empty | {"name": _MEMBER, "type": "integer", "ordered": False} | bounds]
        for decision in self.decisions:
            conditional = bool(decision.conditions)
            rows.append(
                empty | _choices(decision.name, decision.choices, decision.ordered, conditional)
            )
        if (beside := self._space.hyperparameters) is not None:
            hyperparameters = beside.configuration_space.values()
            rows += [empty | _hyperparameter(each, beside) for each in hyperparameters]
        return rows

    def values(self, design: Design) -> dict[str, Any]:
        if self._configurations is None:
            return {_MEMBER: design.row[0]} | self._beside(design)
        row = self._configurations.row(design)
        chosen = {
            _column(decision.name): _INACTIVE if index < 0 else _text(decision.choices[index])
            for decision, index in zip(self.decisions, row, strict=True)
        }
        return chosen | self._beside(design)

    def _beside(self, design: Design) -> dict[str, Any]:
        if (beside := self._space.hyperparameters) is None:
            return {}
        found = {}
        for name, each in beside.configuration_space.items():
            value = design.hyperparameters.get(name)
            if isinstance(each, NumericalHyperparameter):
                found[_column(name)] = _number(each.default_value if value is None else value)
            else:
                found[_column(name)] = _INACTIVE if value is None else _text(str(value))
        return found


def _hyperparameter(each: Hyperparameter[Any, Any], beside: Hyperparameters) -> dict[str, Any]:
    """Return the row of a hyperparameter; numbers have their default where they are inactive."""
    if isinstance(each, NumericalHyperparameter):
        return {
            "name": _column(each.name),
            "type": "integer" if isinstance(each, IntegerHyperparameter) else "float",
            "log": bool(getattr(each, "log", False)),
            "lower": _number(each.lower),
            "upper": _number(each.upper),
            "default": _number(each.default_value),
            "distribution": "uniform",
            "ordered": False,
        }
    choices = [str(value) for value in beside.choices(each.name)]
    conditional = bool(beside.configuration_space.parent_conditions_of[each.name])
    return _choices(each.name, choices, isinstance(each, OrdinalHyperparameter), conditional)


def _choices(name: str, choices: Sequence[str], ordered: bool, conditional: bool) -> dict[str, Any]:
    """Return the row of what takes one of some choices, or none if it is conditional."""
    items = [_text(choice) for choice in choices]
    if conditional:
        items.insert(0, _INACTIVE)
    return {
        "name": _column(name),
        "type": "categorical",
        "default": items[0],
        "ordered": ordered and not conditional,
        **{f"item_{i}": item for i, item in enumerate(items)},
    }


def _number(value: Any) -> Any:
    return value if isinstance(value, int) else _decimal(float(value))


def _trials(
    trials: Sequence[Trial], table: _Hyperparameters, objective: str, seed: int
) -> list[dict[str, Any]]:
    values = _objectives(trials, objective)
    metrics = {name: _metric(name, found) for name, found in values.items()}
    budgets = _budgets(trials)
    configurations: dict[tuple[Any, ...], int] = {}
    rows = []
    for i, trial in enumerate(trials):
        chosen = table.values(trial.design)
        key = tuple(chosen.values())
        budget = budgets.get(_fidelity(trial))
        start = trial.started if trial.started is not None else 0.0
        end = trial.finished if trial.finished is not None else start
        rows.append(
            {
                "config_id": configurations.setdefault(key, len(configurations)),
                **chosen,
                **{metrics[name]: _decimal(found[i]) for name, found in values.items()},
                "status": "CRASHED" if trial.value is None else "SUCCESS",
                "start_time": _decimal(start),
                "end_time": _decimal(max(start, end)),
                "budget": "" if budget is None else _decimal(budget),
                "seed": seed,
                "trial": trial.number,
                "origin": trial.design.origin,
                "state": trial.state,
                "cost": "" if trial.evaluation is None else _decimal(trial.evaluation.cost),
                "evaluation_seed": trial.seed,
                "graph": trial.design.architecture.to_string(),
                **{
                    f"fidelity_{axis}": _decimal(value)
                    for axis, value in trial.fidelity.items()
                    if axis != "epochs"
                },
            }
        )
    return rows


def _objectives(trials: Sequence[Trial], objective: str) -> dict[str, list[float | None]]:
    """Return the values of each trial by objective, what was minimised first."""
    found = {objective: [trial.value for trial in trials]}
    known = [{} if t.evaluation is None else t.evaluation.objectives for t in trials]
    for name in dict.fromkeys(name for each in known for name in each):
        values = [
            None if t.value is None else each.get(name)
            for t, each in zip(trials, known, strict=True)
        ]
        complete = all(
            t.value is None or (value is not None and math.isfinite(value))
            for t, value in zip(trials, values, strict=True)
        )
        if name != objective and complete:
            found[name] = values
    return found


def _metric(name: str, values: Sequence[float | None]) -> str:
    """Return the head of a column, with bounds that differ: DeepCAVE divides by the difference."""
    finite = [value for value in values if value is not None]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low == high:
        margin = max(abs(low), 1.0) / 2
        low, high = low - margin, high + margin
    name = re.sub(r"\W", "_", name)
    return f"metric:{name} [{_decimal(low)}; {_decimal(high)}] (minimize)"


def _budgets(trials: Sequence[Trial]) -> dict[tuple[Any, ...], float]:
    """Return the epochs of each fidelity, those of the full one as evaluations measured them."""
    found: dict[tuple[Any, ...], float] = {}
    for trial in trials:
        facts: Mapping[str, float] = {} if trial.evaluation is None else trial.evaluation.facts
        epochs = trial.fidelity.get("epochs", facts.get("epochs"))
        if epochs is not None:
            found[_fidelity(trial)] = max(float(epochs), found.get(_fidelity(trial), 0.0))
    return found


def _fidelity(trial: Trial) -> tuple[Any, ...]:
    return tuple(sorted(trial.fidelity.items()))


def _column(name: str) -> str:
    """Return the name of a hyperparameter, which must not be that of another column."""
    taken = name in (*_RESERVED, *_ADDED) or name.startswith(("metric", "fidelity_"))
    return f"decision_{name}" if taken else name


def _text(choice: str) -> str:
    """Return a choice such that pandas reads it as the text that it is."""
    try:
        float(choice)
    except ValueError:
        return f"'{choice}'" if choice in {*_MISSING, *_TRUTH, _INACTIVE} else choice
    return f"'{choice}'"


def _decimal(value: float | None) -> str:
    """Return a number without an exponent, which DeepCAVE does not read in bounds."""
    if value is None:
        return ""
    return np.format_float_positional(value, trim="-") if math.isfinite(value) else ""


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
