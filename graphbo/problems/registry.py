"""Problems by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from graphbo.errors import InputError
from graphbo.problems.base import Problem
from graphbo.problems.declarative import load_problem_file
from graphbo.problems.tables import missing_table, table_problems

_DIGITS = "cells of NAS-Bench-201 trained for real on scikit-learn's digits images"
_PUBLISHED = ("nasbench201-cifar10", "nasbench201-cifar100", "nasbench101")


def list_problems(data: str | Path | None = None) -> list[tuple[str, str]]:
    """Return the name and description of each problem that can be searched.

    Args:
        data: The folder of the tables, or one table; by default the folder in ``GRAPHBO_DATA``.

    Raises:
        InputError: If the folder does not exist or a table in it cannot be read.
    """
    tables = [(name, description) for name, (description, _) in table_problems(data).items()]
    return [("digits", _DIGITS), *tables]


def get_problem(name: str, data: str | Path | None = None) -> Problem:
    """Return the problem with a name, or that of a TOML file.

    Args:
        name: A name that `list_problems` gives, or the path of a TOML file (`load_problem_file`).
        data: The folder of the tables, or one table; by default the folder in ``GRAPHBO_DATA``.

    Raises:
        InputError: If there is no such problem or file, or its table is missing or damaged.
    """
    if name.endswith(".toml"):
        return load_problem_file(name)
    if name == "digits":
        from graphbo.problems.digits import digits

        return digits()
    tables = table_problems(data)
    if name in tables:
        return tables[name][1]()
    missing = missing_table(name, data)
    if missing is not None:
        raise missing
    known = ["digits", *tables, *(name for name in _PUBLISHED if missing_table(name, data))]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    nearest = (
        f"the nearest names are {', '.join(close)}"
        if close
        else f"the problems are {', '.join(known)}"
    )
    raise InputError(f"there is no problem {name!r}; {nearest}")
