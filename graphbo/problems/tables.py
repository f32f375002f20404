"""Finding benchmark tables and making their problems."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from graphbo.errors import InputError
from graphbo.npz import FOLDER_VARIABLE, NpzFile
from graphbo.problems.base import Problem
from graphbo.problems.curves import CurveTable, is_curve_table, read_metadata
from graphbo.problems.nasbench101 import nasbench101, nasbench101_problems
from graphbo.problems.nasbench201 import nasbench201, nasbench201_problems

SHIPPED = Path(__file__).with_name("data")
"""The folder of the tables that come with the package."""
_PREFIXES = ("nasbench201", "nasbench101")

Loader = Callable[[], Problem]


def shipped_problems() -> dict[str, tuple[str, Loader]]:
    """Return the problems of the tables that come with the package, as `table_problems` does."""
    found: dict[str, tuple[str, Loader]] = {}
    for path in sorted(SHIPPED.glob("*.npz")):
        metadata = read_metadata(NpzFile(path))
        description = f"{metadata['about']['description']} (part of the package)"
        found[metadata["name"]] = (description, partial(_load_curves, path))
    return found


def table_problems(data: str | Path | None = None) -> dict[str, tuple[str, Loader]]:
    """Return the problems of every table that is found, without reading the results.

    Args:
        data: A folder, whose files ``nasbench201*.npz`` and ``nasbench101*.npz`` are taken and
            those of any name that `CurveTable` wrote, or one such file; by default the folder that
            ``GRAPHBO_DATA`` names.

    Returns:
        By name, the description of each problem and the function that loads it.

    Raises:
        InputError: If the path does not exist, or a table cannot be read.
    """
    found: dict[str, tuple[str, Loader]] = {}
    for path in _files(data):
        if is_curve_table(path):
            metadata = read_metadata(NpzFile(path))
            description = metadata["about"].get("description", "a table of learning curves")
            loader = partial(_load_curves, path)
            found.setdefault(metadata["name"], (f"{description} ({path.name})", loader))
        elif "adjacency" in NpzFile(path):
            for name, description in nasbench101_problems(path).items():
                found.setdefault(name, (description, partial(nasbench101, path)))
        else:
            for name, description in nasbench201_problems(path).items():
                dataset = name.removeprefix("nasbench201-")
                found.setdefault(name, (description, partial(nasbench201, dataset, path)))
    return found


def _load_curves(path: Path) -> Problem:
    return CurveTable.read(path).problem()


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
        named = [file for prefix in _PREFIXES for file in sorted(path.glob(f"{prefix}*.npz"))]
        others = (file for file in sorted(path.glob("*.npz")) if file not in named)
        return [*named, *filter(is_curve_table, others)]
    if not path.exists():
        source = "" if data else f" that {FOLDER_VARIABLE} names"
        raise InputError(f"the folder or file {path}{source} does not exist")
    return [path]
