"""Recorded results as tasks of a pretraining."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from graphbo.architecture import Architecture
from graphbo.embeddings import Better, Task
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.problems.base import Problem
from graphbo.problems.registry import get_problem
from graphbo.spaces.base import Design
from graphbo.trial import Fidelity, Job

_WRITTEN = re.compile(r"(?P<problem>[^@]+?)(@(?P<epochs>[0-9]+))?(:(?P<name>\w+))?")
_OMENS = {"parameters": Better.HIGH, "flops": Better.HIGH}


class Column(NamedTuple):
    """A column of the table of a problem.

    Attributes:
        problem: The problem, or its name.
        fidelity: Such as ``{"epochs": 12}``; None for the full one, and for facts.
        name: One of the objectives or of the facts of its evaluator, such as ``"parameters"``; None
            for the objective of the problem.
    """

    problem: str | Problem
    fidelity: Fidelity | None = None
    name: str | None = None

    @classmethod
    def of(cls, text: str) -> Column:
        """Return the column that a text names, as the command line does.

        Args:
            text: Such as ``"nasbench201-cifar10@12"`` or ``"nasbench201-cifar10:parameters"``.

        Raises:
            InputError: If the text is written otherwise.
        """
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise InputError(
                "a table is given as PROBLEM, PROBLEM@EPOCHS or PROBLEM@EPOCHS:COLUMN; "
                f"got {text!r}"
            )
        fidelity = {"epochs": int(match["epochs"])} if match["epochs"] else None
        return cls(match["problem"], fidelity, match["name"])


def table_task(
    column: Column,
    architectures: Sequence[Architecture],
    labels: int | None = None,
    seed: int = 0,
    *,
    data: str | Path | None = None,
) -> Task:
    """Look up a column of a table: a result of architectures, or a fact about them.

    Nothing but this column at this fidelity enters the task: neither the results of other problems
    in the same file nor those of longer trainings. Low objectives are a good omen, and so are many
    parameters and FLOPs; other facts, such as a latency, are no omen.

    Args:
        column: The column.
        architectures: The architectures (``n``).
        labels: Draw so many of the results at random, if there are more. Of facts all are taken.
        seed: The seed of the draw.
        data: The folder or file of the tables; see `get_problem`.

    Returns:
        The task, named like ``"nasbench201-cifar10@12"`` or ``"nasbench201-cifar10:parameters"``,
        with NaN where the table has nothing or it was not drawn.

    Raises:
        InputError: If there is no such problem, it has no table or no such column, the fidelity was
            not recorded, or there are fewer than two results.

    Example:
        >>> column = Column("nasbench201-cifar10", {"epochs": 12})
        >>> table_task(column, architectures, labels=200)
    """
    column = resolved(column, data)
    problem, fidelity, column_name = column
    assert isinstance(problem, Problem)
    evaluator = problem.evaluator
    assert isinstance(evaluator, TableEvaluator)
    name = task_name(column)
    if labels is not None and labels < 2:
        raise InputError(f"at least 2 labels of {name} are needed; got {labels}")
    values = np.array([_value(column, evaluator, a, seed) for a in architectures])
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 2:
        raise InputError(f"{name} has results for {len(known)} of {len(values)} architectures")
    if fidelity is None:
        return Task(name, values, _OMENS.get(str(column_name), Better.NEITHER))
    if labels is not None and labels < len(known):
        drawn = np.random.default_rng(seed).choice(known, labels, replace=False)
        values[np.setdiff1d(known, drawn)] = np.nan
    return Task(name, values, Better.LOW)


def resolved(column: Column, data: str | Path | None = None) -> Column:
    """Return a column with its problem, and its name; a fact has no fidelity, a result has one.

    Raises:
        InputError: If there is no such column; see `table_task`.
    """
    given, fidelity, name = column
    problem = given if isinstance(given, Problem) else get_problem(given, data)
    evaluator = problem.evaluator
    if not isinstance(evaluator, TableEvaluator):
        raise InputError(
            f"the problem {problem.name} trains networks; an encoder is pretrained on a table"
        )
    name = problem.objective if name is None else name
    if name in evaluator.facts:
        if fidelity is not None:
            raise InputError(
                f"{name} of {problem.name} does not depend on the fidelity; leave {fidelity} out"
            )
        return Column(problem, None, name)
    if name not in evaluator.objectives:
        columns = [*evaluator.objectives, *evaluator.facts]
        raise InputError(f"{problem.name} has no column {name!r}; it has {', '.join(columns)}")
    fidelity = problem.fidelity if fidelity is None else fidelity
    evaluator.values(name, fidelity)  # says which fidelities there are
    return Column(problem, fidelity, name)


def task_name(column: Column) -> str:
    """Return what the task of a `resolved` column is called."""
    problem, fidelity, name = column
    assert isinstance(problem, Problem)
    at = f"@{fidelity['epochs']:g}" if fidelity and "epochs" in fidelity else ""
    return f"{problem.name}{at}" + (f":{name}" if name != problem.objective else "")


def _value(
    column: Column, evaluator: TableEvaluator, architecture: Architecture, seed: int
) -> float:
    """Return what a table has in a `resolved` column, NaN if nothing."""
    _, fidelity, name = column
    assert name is not None
    try:
        if fidelity is None:
            return evaluator.fact(name, architecture)
        job = Job(Design(architecture, ()), fidelity, seed)
        return evaluator.evaluate_one(job).objectives.get(name, float("nan"))
    except LookupError:
        return float("nan")
