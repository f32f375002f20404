"""Finding benchmark tables and making their problems."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from graphbo.errors import InputError
from graphbo.problems.base import Problem
from graphbo.problems.nasbench101 import nasbench101, nasbench101_problems
from graphbo.problems.nasbench201 import nasbench201, nasbench201_problems
from graphbo.problems.npz import NpzFile

FOLDER_VARIABLE = "GRAPHBO_DATA"
"""The environment variable that names the folder of the tables."""
_PREFIXES = ("nasbench201", "nasbench101")

Loader = Callable[[], Problem]


def table_problems(data: str | Path | None = None) -> dict[str, tuple[str, Loader]]:
    """Return the problems of every table that is found, without reading the results.

    Args:
        data: A folder, whose files ``nasbench201*.npz`` and ``nasbench101*.npz`` are taken, or one
            such file of any name; by default the folder that ``GRAPHBO_DATA`` names.

    Returns:
        By name, the description of each problem and the function that loads it.

    Raises:
        InputError: If the path does not exist, or a table cannot be read.
    """
    found: dict[str, tuple[str, Loader]] = {}
    for path in _files(data):
        if "adjacency" in NpzFile(path):
            for name, description in nasbench101_problems(path).items():
                found.setdefault(name, (description, partial(nasbench101, path)))
        else:
            for name, description in nasbench201_problems(path).items():
                dataset = name.removeprefix("nasbench201-")
                found.setdefault(name, (description, partial(nasbench201, dataset, path)))
    return found


def missing_table(name: str, data: str | Path | None = None) -> InputError | None:
    """Return the error for a problem whose table is not there; None if it is."""
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    if prefix is None or any(known.startswith(prefix) for known in table_problems(data)):
        return None
    folder = data or os.environ.get(FOLDER_VARIABLE)
    looked = f"there is none in {folder}" if folder else f"{FOLDER_VARIABLE} is not set"
    return InputError(
        f"the problem {name!r} needs the table {prefix}.npz, and {looked}; put the file in a "
        f"folder and name the folder in {FOLDER_VARIABLE} (the problem 'digits' needs no table)"
    )


def _files(data: str | Path | None) -> list[Path]:
    given = data or os.environ.get(FOLDER_VARIABLE)
    if not given:
        return []
    path = Path(given)
    if path.is_dir():
        return [file for prefix in _PREFIXES for file in sorted(path.glob(f"{prefix}*.npz"))]
    if not path.exists():
        source = "" if data else f" that {FOLDER_VARIABLE} names"
        raise InputError(f"the folder or file {path}{source} does not exist")
    return [path]
