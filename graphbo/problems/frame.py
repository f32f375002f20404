"""A problem from a table of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.problems.base import Problem
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.pool import PoolSpace
from graphbo.spaces.written import read_architecture


class Frame(Protocol):
    """Named columns of equal length: a ``pandas.DataFrame``, or a dict of sequences."""

    def __getitem__(self, name: str, /) -> Any: ...

    def __contains__(self, name: Any, /) -> bool: ...


def problem_from_frame(
    frame: Frame,
    architecture: str = "architecture",
    objective: str = "error",
    *,
    test: str | None = None,
    cost: str | None = None,
    space: SearchSpace | None = None,
    name: str = "table",
    description: str = "",
    trials: int = 100,
) -> Problem:
    """Make a problem of architectures and their recorded results.

    Args:
        frame: A data frame, or a dict of columns.
        architecture: The column of architectures: `Architecture` objects, strings that
            `Architecture.to_string` wrote, or strings of NAS-Bench-201 (``"|conv~0|+..."``).
        objective: The column to minimise; results of isomorphic architectures are averaged, and
            NaN stands for a failed one.
        test: The column of the same after the search, reported as ``test_error``.
        cost: The column of seconds of training.
        space: The space that the architectures come from. It is searched if the table covers all
            of it; otherwise, and without one, the architectures themselves are searched as a
            `PoolSpace`.
        name: The name of the problem.
        description: One line.
        trials: The budget that the command line takes if none is given.

    Returns:
        The problem, its optimum known.

    Raises:
        InputError: If a column is missing, a cell cannot be read or lies outside the space.

    Example:
        >>> chains = [
        ...     Architecture(["input", label, "output"], [(0, 1), (1, 2)]) for label in ("a", "b")
        ... ]
        >>> problem_from_frame({"architecture": chains, "error": [7.0, 5.0]}).optimum
        5.0
    """
    objectives = {objective: _numbers(frame, objective)}
    if test is not None:
        objectives["test_error"] = _numbers(frame, test)
    seconds = None if cost is None else _numbers(frame, cost)
    architectures = _architectures(frame, architecture)
    evaluator = TableEvaluator(architectures, objectives, cost=seconds)
    return table_problem(
        name,
        _searched(evaluator, architectures, space),
        evaluator,
        description=description or f"{len(evaluator.architectures)} architectures of a table",
        trials=trials,
    )


def table_problem(
    name: str,
    space: SearchSpace,
    evaluator: TableEvaluator,
    *,
    description: str,
    trials: int,
) -> Problem:
    """Return the problem of a space and its table, with the optimum and the best 0.1 %.

    Raises:
        InputError: If the table has no finite result.
    """
    values = np.sort(evaluator.values())
    values = values[np.isfinite(values)]
    if not len(values):
        raise InputError(f"the table of {name} has no finite {evaluator.objectives[0]}")
    has_test = "test_error" in evaluator.objectives
    tested = evaluator.values("test_error") if has_test else np.empty(0)
    tested = tested[np.isfinite(tested)]
    return Problem(
        name,
        space,
        evaluator,
        description=description,
        objective=evaluator.objectives[0],
        optimum=float(values[0]),
        test_optimum=float(tested.min()) if len(tested) else None,
        top_permille=float(values[max(1, round(0.001 * len(values))) - 1]),
        fidelity={"epochs": evaluator.epochs[-1]} if evaluator.epochs else {},
        trials=trials,
    )


def _searched(
    evaluator: TableEvaluator, architectures: Sequence[Architecture], space: SearchSpace | None
) -> SearchSpace:
    if space is None:
        return PoolSpace(evaluator.architectures)
    outside = next((i for i, a in enumerate(architectures) if a not in space), None)
    if outside is not None:
        raise InputError(
            f"architecture number {outside} of the table, {architectures[outside]!r}, does not "
            f"belong to the space {space.name}"
        )
    if len(evaluator.architectures) == space.size:
        return space
    return PoolSpace(evaluator.architectures, name=space.name, parent=space)


def _architectures(frame: Frame, column: str) -> list[Architecture]:
    result: list[Architecture] = []
    for i, cell in enumerate(_column(frame, column)):
        try:
            result.append(read_architecture(cell))
        except ValueError as error:
            raise InputError(f"column {column!r}, entry {i}: {error}") from error
    if not result:
        raise InputError(f"column {column!r} is empty")
    return result


def _numbers(frame: Frame, column: str) -> NDArray[np.float64]:
    cells = _column(frame, column)
    try:
        return np.asarray(cells, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {column!r} must hold numbers: {error}") from error


def _column(frame: Frame, column: str) -> Sequence[Any]:
    if column not in frame:
        known = [str(name) for name in frame] if isinstance(frame, Mapping) else _names(frame)
        raise InputError(f"there is no column {column!r}; the columns are {known}")
    cells: Sequence[Any] = frame[column]
    return cells


def _names(frame: Any) -> list[str]:
    return [str(name) for name in getattr(frame, "columns", [])]
