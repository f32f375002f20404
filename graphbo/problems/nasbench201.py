"""Problems from a table of NAS-Bench-201 (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.npz import NpzFile
from graphbo.problems.base import Problem
from graphbo.problems.frame import table_problem
from graphbo.spaces.base import Row, SearchSpace
from graphbo.spaces.nasbench201 import NASBench201Space
from graphbo.spaces.pool import PoolSpace

_TRIALS = 150
_DATASET = re.compile(r"(?P<dataset>.+)_valid_acc_(?P<epochs>\d+)")


def nasbench201_problems(path: Path) -> dict[str, str]:
    """Return the name and description of the problem of each dataset in a file.

    A dataset ``d`` is there if an array ``d_valid_acc_<epochs>`` is.

    Raises:
        InputError: If the file cannot be read or holds no dataset.
    """
    return {
        _name(dataset): f"cells of NAS-Bench-201 on {dataset}, {epochs[-1]} epochs, looked up "
        f"in {path.name}"
        for dataset, epochs in _datasets(NpzFile(path)).items()
    }


def nasbench201(dataset: str, path: Path, *, entries: str = "mean") -> Problem:
    """Load the problem of one dataset.

    Of the arrays only ``<dataset>_valid_acc_<epochs>`` and the architectures (``ops`` with
    ``op_names``, or ``arch_str``) must be there; ``<dataset>_test_acc_<epochs>``,
    ``<dataset>_train_time_<epochs>_s``, ``<dataset>_params_M``, ``<dataset>_flops_M``, and
    ``latency_ms`` with its ``latency_devices``, are used if they are. Accuracies are in percent.

    Args:
        dataset: Its name in the file, or with dashes for underscores.
        path: The file.
        entries: ``"mean"`` averages the entries of isomorphic cells, ``"raw"`` keeps them apart;
            see `TableEvaluator`.

    Returns:
        The problem ``nasbench201-<dataset>``. Its space is the benchmark's if the file has all its
        networks, else a `PoolSpace` of those that it has.

    Raises:
        InputError: If the file cannot be read, is incomplete, or has no such dataset.
    """
    file = NpzFile(path)
    datasets = _datasets(file)
    key = next((known for known in datasets if _name(known) == _name(dataset)), None)
    if key is None:
        raise InputError(f"{path} has the datasets {list(datasets)}; not {dataset!r}")
    architectures, rows, space = _cells(path, *_stamp(path))
    n, epochs = len(architectures), datasets[key]
    validation = [file.accuracies(f"{key}_valid_acc_{e}", (n,), 100) for e in epochs]
    objectives = {"validation_error": 100 - np.stack(validation, axis=1)}
    test = [f"{key}_test_acc_{e}" for e in epochs]
    if any(name in file for name in test):
        missing = np.full(n, np.nan)
        found = [file.accuracies(name, (n,), 100) if name in file else missing for name in test]
        objectives["test_error"] = 100 - np.stack(found, axis=1)
    facts = {
        fact: np.round(1e6 * file.array(f"{key}_{name}", (n,)).astype(float))
        for fact, name in (("parameters", "params_M"), ("flops", "flops_M"))
        if f"{key}_{name}" in file
    }
    facts |= _latencies(file, n)
    evaluator = TableEvaluator(
        architectures,
        objectives,
        epochs=epochs,
        cost=recorded_times(file, f"{key}_", epochs, n),
        facts=facts,
        rows=rows,
        entries=entries,
    )
    name = _name(key)
    description = nasbench201_problems(path)[name]
    return table_problem(name, space, evaluator, description=description, trials=_TRIALS)


def recorded_times(
    file: NpzFile, prefix: str, epochs: Sequence[int], n: int
) -> NDArray[np.float64] | None:
    """Return the seconds of training (``n x k``), NaN for schedules without; None if all are."""
    names = [f"{prefix}train_time_{e}_s" for e in epochs]
    if not any(name in file for name in names):
        return None
    missing = np.full(n, np.nan)
    columns = [file.array(name, (n,)) if name in file else missing for name in names]
    return np.stack(columns, axis=1).astype(float)


def _latencies(file: NpzFile, n: int) -> dict[str, NDArray[np.float64]]:
    """Return the milliseconds of a forward pass on each device, as ``latency_ms_<device>``."""
    if "latency_ms" not in file or "latency_devices" not in file:
        return {}
    devices = [str(device) for device in file.array("latency_devices", (None,), "U")]
    values = file.array("latency_ms", (n, len(devices))).astype(float)
    return {f"latency_ms_{device}": values[:, i] for i, device in enumerate(devices)}


def _datasets(file: NpzFile) -> dict[str, list[int]]:
    """Return the recorded epochs of each dataset, ascending."""
    found: dict[str, list[int]] = {}
    for name in file.names:
        match = _DATASET.fullmatch(name)
        if match:
            found.setdefault(match["dataset"], []).append(int(match["epochs"]))
    if not found:
        raise InputError(
            f"{file.path} is no table of NAS-Bench-201: it has no array named like "
            "'cifar10_valid_acc_200'"
        )
    return {dataset: sorted(epochs) for dataset, epochs in found.items()}


def _name(dataset: str) -> str:
    return f"nasbench201-{dataset.replace('_', '-')}"


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def _cells(
    path: Path, modified: int, size: int
) -> tuple[list[Architecture], list[Row] | None, SearchSpace]:
    """Return each entry's architecture and row, and the space; one reading serves all datasets."""
    file = NpzFile(path)
    space = NASBench201Space()
    rows = _rows(file, space) if "ops" in file else _parsed_rows(file, space)
    # Rows often prune to the same nodes and edges; shared objects need one canonical form.
    drawings: dict[object, Architecture] = {}
    architectures = []
    for row in rows:
        cell = space.decode(row)
        architectures.append(drawings.setdefault((cell.nodes, cell.edges), cell))
    distinct = dict.fromkeys(architectures)
    if len(distinct) == space.size:
        return architectures, rows, space
    return architectures, None, PoolSpace(distinct, name=space.name, parent=space)


def _rows(file: NpzFile, space: NASBench201Space) -> list[Row]:
    operations = file.array("ops", (None, len(space.pairs)), "iu")
    names = [str(name) for name in file.array("op_names", (None,), "U")]
    choices = space.decisions[0].choices
    unknown = [name for name in names if name not in choices]
    if unknown:
        raise InputError(f"{file.path}: 'op_names' has the unknown operation {unknown[0]!r}")
    if not len(operations) or operations.min() < 0 or operations.max() >= len(names):
        raise InputError(f"{file.path}: 'ops' must hold numbers of the {len(names)} 'op_names'")
    translated = np.array([choices.index(name) for name in names])[operations]
    return [tuple(row) for row in translated.tolist()]


def _parsed_rows(file: NpzFile, space: NASBench201Space) -> list[Row]:
    rows = []
    for i, text in enumerate(file.array("arch_str", (None,), "U")):
        try:
            rows.append(space.parse_row(str(text)))
        except ValueError as error:
            raise InputError(f"{file.path}: 'arch_str', entry {i}: {error}") from error
    if not rows:
        raise InputError(f"{file.path}: 'arch_str' is empty")
    return rows
