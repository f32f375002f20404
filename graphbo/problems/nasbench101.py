"""The problem of a table of NAS-Bench-101 (Ying et al., ICML 2019)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.npz import NpzFile
from graphbo.problems.base import Problem
from graphbo.problems.frame import table_problem
from graphbo.problems.nasbench201 import recorded_times
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.nasbench101 import OPERATIONS, NASBench101Space
from graphbo.spaces.pool import PoolSpace

_TRIALS = 150
_DESCRIPTION = "cells of NAS-Bench-101 on CIFAR-10, looked up in {}"


def nasbench101_problems(path: Path) -> dict[str, str]:
    """Return the name and description of the problem of a file.

    Raises:
        InputError: If the file cannot be read or is no table of NAS-Bench-101.
    """
    if "adjacency" not in NpzFile(path):
        raise InputError(f"{path} is no table of NAS-Bench-101: it has no array 'adjacency'")
    return {"nasbench101": _DESCRIPTION.format(path.name)}


def nasbench101(path: Path, *, entries: str = "mean") -> Problem:
    """Load the problem ``nasbench101``.

    The arrays ``adjacency``, ``ops``, ``num_vertices``, ``epochs`` and ``valid_acc`` (a fraction)
    must be there; ``test_acc``, ``train_time_<epochs>_s`` and ``params`` are used if they are.

    Args:
        path: The file.
        entries: ``"mean"`` or ``"raw"``; see `TableEvaluator`.

    Returns:
        The problem. Its space is the benchmark's if the file has all its 423,624 cells, else a
        `PoolSpace` of those that it has.

    Raises:
        InputError: If the file cannot be read or is incomplete.
    """
    file = NpzFile(path)
    status = path.stat()
    architectures, space = _cells(path, status.st_mtime_ns, status.st_size)
    n = len(architectures)
    epochs = file.array("epochs", (None,), "iu").tolist()
    if not epochs or epochs != sorted(set(epochs)):
        raise InputError(f"{path}: 'epochs' must be ascending; got {epochs}")
    accuracies = {"validation_error": "valid_acc"}
    if "test_acc" in file:
        accuracies["test_error"] = "test_acc"
    evaluator = TableEvaluator(
        architectures,
        {
            objective: 100 - 100 * file.accuracies(name, (n, len(epochs)), 1)
            for objective, name in accuracies.items()
        },
        epochs=epochs,
        cost=recorded_times(file, "", epochs, n),
        facts={"parameters": file.array("params", (n,))} if "params" in file else None,
        entries=entries,
    )
    description = _DESCRIPTION.format(path.name)
    return table_problem("nasbench101", space, evaluator, description=description, trials=_TRIALS)


@lru_cache(maxsize=2)
def _cells(path: Path, modified: int, size: int) -> tuple[list[Architecture], SearchSpace]:
    """Return each entry's architecture, and the space."""
    file = NpzFile(path)
    adjacency = file.array("adjacency", (None, None, None), "iub")
    n, width = adjacency.shape[0], adjacency.shape[1]
    file.array("adjacency", (n, width, width), "iub")
    operations = file.array("ops", (n, width), "i")
    vertices = file.array("num_vertices", (n,), "iu")
    if not n or vertices.min() < 2 or vertices.max() > width:
        raise InputError(f"{path}: 'num_vertices' must lie between 2 and {width}")
    if np.tril(adjacency).any():
        raise InputError(f"{path}: 'adjacency' must be upper triangular")
    architectures = []
    for i, count in enumerate(vertices.tolist()):
        inner = operations[i, 1 : count - 1].tolist()
        if any(not 0 <= choice < len(OPERATIONS) for choice in inner):
            raise InputError(f"{path}: 'ops', entry {i}: {inner} are no operations")
        nodes = (INPUT, *(OPERATIONS[choice] for choice in inner), OUTPUT)
        edges = zip(
            *(ends.tolist() for ends in np.nonzero(adjacency[i, :count, :count])), strict=True
        )
        cell = Architecture._trusted(nodes, tuple((u, v, "") for u, v in edges)).pruned()
        if not cell.edges:
            raise InputError(f"{path}: 'adjacency', entry {i} does not join input and output")
        architectures.append(cell)
    space = NASBench101Space()
    distinct = dict.fromkeys(architectures)
    if len(distinct) == space.size:
        return architectures, space
    return architectures, PoolSpace(distinct, name=space.name, parent=space)
