"""Tables of learning curves: the compact file format of tabular benchmarks."""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.npz import NpzFile
from graphbo.problems.base import Problem
from graphbo.problems.frame import table_problem
from graphbo.problems.recorded_costs import recorded_costs
from graphbo.spaces.base import Design, SearchSpace
from graphbo.spaces.declarative import space_from_settings
from graphbo.spaces.joint import JointSpace
from graphbo.spaces.joint_pool import JointPoolSpace
from graphbo.spaces.pool import PoolSpace

MARKER = "graphbo_table"
"""The array that every file of the format has: its metadata as JSON."""
MISSING = 65_535
"""The count that stands for a result that was not recorded."""
_VERSION = 1
_MOST_RESULTS = 1_000_000_000
_FACT = "fact_"
_RESULTS = {"valid": "validation_error", "test": "test_error"}


@dataclass(frozen=True, eq=False)
class CurveTable:
    """What ``n`` cells of a space reached in ``s`` trainings each, after ``k`` numbers of epochs.

    The cells can have hyperparameters beside them, with which they were trained.

    Accuracies are counts of images classified correctly, so nothing is rounded and a table of
    8,765 cells, two seeds and twelve epochs takes less than a megabyte.

    Args:
        name: The name of the problem.
        space: The settings of the space, as `space_from_settings` reads them.
        rows: A row of the space for each cell (``n x d``); several may encode the same network.
        epochs: The numbers of epochs (``k``), ascending.
        valid: Counts of validation images (``n x s x k``), `MISSING` where there is none; None if
            the benchmark has no validation images.
        test: The same of test images.
        images: The numbers of images, ``{"valid": ..., "test": ...}``.
        seconds: Seconds of training up to each of the epochs (``n x s x k``), or in total
            (``n x s``) if all epochs take the same; NaN where it is not known.
        facts: Further numbers of each cell (``n``), such as ``parameters`` and ``flops``.
        continuous: Whether the epochs are points of one training, so that the results up to one of
            them are its learning curve; else each is a training of its own.
        hyperparameters: The settings of the hyperparameters of the cells, if they have any, as
            `hyperparameters_from_settings` reads them.
        vectors: The vector of the hyperparameters of each cell (``n x h``), see `Hyperparameters`,
            in single precision.
        about: What a reader must know, as text: ``description``, ``dataset``, ``protocol``,
            ``licence``, ``version``, ...
        trials: The budget that the command line takes if none is given.

    Raises:
        InputError: If the parts do not agree or a value is out of range.

    Example:
        >>> table = CurveTable(
        ...     "two-cells",
        ...     {"type": "nasbench201"},
        ...     rows=[[3, 0, 0, 0, 0, 3], [3, 3, 0, 3, 0, 0]],
        ...     epochs=[1, 2],
        ...     valid=[[[20, 30], [22, 34]], [[10, 11], [12, 19]]],
        ...     images={"valid": 50},
        ... )
        >>> table.percent("valid")[0, 1]
        array([44., 68.])
        >>> table.problem().optimum
        36.0
    """

    name: str
    space: Mapping[str, Any]
    rows: NDArray[Any]
    epochs: NDArray[Any]
    valid: NDArray[Any] | None = None
    test: NDArray[Any] | None = None
    images: Mapping[str, int] = field(default_factory=dict)
    seconds: NDArray[Any] | None = None
    facts: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    continuous: bool = True
    about: Mapping[str, str] = field(default_factory=dict)
    trials: int = 150
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    vectors: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        self._set("rows", _integers("rows", self.rows, np.int8, ndim=2))
        self._set("epochs", _integers("epochs", self.epochs, np.int32, ndim=1))
        if not len(self.epochs) or self.epochs[0] < 1 or (np.diff(self.epochs) < 1).any():
            raise InputError(
                f"{self.name}: the epochs must be positive and ascending; got {list(self.epochs)}"
            )
        n, k = len(self.rows), len(self.epochs)
        if not n or (self.valid is None and self.test is None):
            raise InputError(f"{self.name}: a table has at least one cell and one kind of result")
        seeds = None
        for kind in _RESULTS:
            counts = getattr(self, kind)
            if counts is None:
                continue
            counts = _integers(kind, counts, np.uint16, ndim=3)
            seeds = counts.shape[1] if seeds is None else seeds
            self._check_shape(kind, counts, (n, seeds, k))
            total = self.images.get(kind)
            if type(total) is not int or not 0 < total < MISSING:
                raise InputError(
                    f"{self.name}: images[{kind!r}] must be a number from 1 to {MISSING - 1}; "
                    f"got {total!r}"
                )
            if ((counts > total) & (counts != MISSING)).any():
                raise InputError(f"{self.name}: {kind} has counts above the {total} images")
            self._set(kind, counts)
        assert seeds is not None
        if not seeds:
            raise InputError(f"{self.name}: a table has at least one training for each cell")
        if self.seconds is not None:
            seconds = np.ascontiguousarray(self.seconds, dtype=np.float32)
            self._check_shape("seconds", seconds, (n, seeds, k)[: max(2, seconds.ndim)])
            self._set("seconds", seconds)
        if bool(self.hyperparameters) != (self.vectors is not None):
            raise InputError(f"{self.name}: hyperparameters need both their settings and vectors")
        if self.vectors is not None:
            vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
            self._check_shape("vectors", vectors, (n, *vectors.shape[1:2]))
            self._set("vectors", vectors)
        facts = {name: np.ascontiguousarray(values) for name, values in sorted(self.facts.items())}
        for name, values in facts.items():
            self._check_shape(name, values, (n,))
        self._set("facts", facts)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen

    def _check_shape(self, name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            raise InputError(
                f"{self.name}: {name} must have the shape {' x '.join(map(str, shape))}; it has "
                f"{' x '.join(map(str, array.shape))}"
            )

    @property
    def seeds(self) -> int:
        """The number of trainings of each cell, recorded or missing."""
        counts = self.test if self.valid is None else self.valid
        assert counts is not None
        return int(counts.shape[1])

    @property
    def description(self) -> str:
        """One line."""
        return self.about.get("description", f"{len(self.rows)} cells, looked up")

    @property
    def checksum(self) -> str:
        """The SHA-256 of everything that the file holds, whatever the compression."""
        digest = hashlib.sha256(self._metadata().encode())
        for name, array in self._arrays().items():
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def percent(self, kind: str) -> NDArray[np.float64]:
        """Return accuracies in percent (``n x s x k``), NaN where there is none.

        Args:
            kind: ``"valid"`` or ``"test"``.

        Raises:
            InputError: If the table does not have them.
        """
        counts = {"valid": self.valid, "test": self.test}.get(kind)
        if counts is None:
            raise InputError(f"the table {self.name} has no accuracies {kind!r}")
        values: NDArray[np.float64] = counts * (100 / self.images[kind])
        values[counts == MISSING] = np.nan
        return values

    def problem(self, *, entries: str = "mean") -> Problem:
        """Return the problem of the table, each number of epochs a fidelity.

        Args:
            entries: ``"mean"`` averages all trainings of a network, ``"seed"`` takes the one that
                the seed of the job picks, ``"raw"`` keeps rows of the same network apart; see
                `TableEvaluator`.

        Returns:
            The problem. Its space is that of the table if all its networks are recorded, else a
            `PoolSpace` of those that are; with hyperparameters it is a `JointPoolSpace`.

        Raises:
            InputError: If a row or a vector is not of the space, there is no finite result, or
                rows are to be kept apart that have hyperparameters.
        """
        space, architectures = self._cells()
        joint = None if self.vectors is None else self._pool(space, architectures)
        beside = None if joint is None else [d.hyperparameters for d in joint.enumerate()]
        n, s, k = len(self.rows), self.seeds, len(self.epochs)
        errors = {
            objective: 100 - self.percent(kind)
            for kind, objective in _RESULTS.items()
            if getattr(self, kind) is not None
        }
        seconds = None if self.seconds is None else self._seconds_up_to()
        facts = {name: values.astype(float) for name, values in self.facts.items()}
        rows = None
        if entries == "raw":
            if joint is not None:
                raise InputError(f"{self.name}: entries='raw' is for cells without hyperparameters")
            errors = {name: _mean_of_seeds(values) for name, values in errors.items()}
            seconds = None if seconds is None else _mean_of_seeds(seconds)
            rows = [tuple(row) for row in self.rows.tolist()]
        else:
            architectures = [cell for cell in architectures for _ in range(s)]
            beside = None if beside is None else [values for values in beside for _ in range(s)]
            errors = {name: values.reshape(n * s, k) for name, values in errors.items()}
            seconds = None if seconds is None else seconds.reshape(n * s, k)
            facts = {name: np.repeat(values, s) for name, values in facts.items()}
        evaluator = TableEvaluator(
            architectures,
            errors,
            epochs=self.epochs.tolist(),
            cost=seconds,
            facts=facts,
            rows=rows,
            entries=entries,
            curves=self.continuous,
            hyperparameters=beside,
            costs=recorded_costs(self.about.get("protocol")),
        )
        if joint is not None:
            space = joint
        elif len(evaluator.architectures) != space.size:
            space = PoolSpace(evaluator.architectures, name=space.name, parent=space)
        return table_problem(
            self.name, space, evaluator, description=self.description, trials=self.trials
        )

    def designs(self) -> list[Design]:
        """Return the design of each row.

        Raises:
            InputError: If a row or a vector is not of the space.
        """
        space, architectures = self._cells()
        if self.vectors is not None:
            return list(self._pool(space, architectures).enumerate())
        rows = map(tuple, self.rows.tolist())
        return [Design(a, row) for a, row in zip(architectures, rows, strict=True)]

    def write(self, path: str | Path) -> None:
        """Write the table; equal tables give equal files. A file that exists is replaced whole.

        Args:
            path: The file, ``*.npz``.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {**json.loads(self._metadata()), "checksum": self.checksum}
        arrays = {MARKER: np.array(json.dumps(content)), **self._arrays()}
        part = path.with_name(path.name + ".part")
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                for name, array in arrays.items():
                    # The fixed date of a fresh ZipInfo keeps the bytes the same.
                    member = zipfile.ZipInfo(f"{name}.npy")
                    member.compress_type = zipfile.ZIP_DEFLATED
                    with archive.open(member, "w", force_zip64=True) as file:
                        np.lib.format.write_array(file, array, allow_pickle=False)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: str | Path) -> CurveTable:
        """Read a table and verify its checksum.

        Raises:
            InputError: If there is no such file, or it is damaged or of another format.
        """
        file = NpzFile(Path(path))
        metadata = read_metadata(file)
        checksum = metadata.pop("checksum", None)
        metadata.pop("format", None)
        arrays: dict[str, Any] = {
            "rows": file.array("rows", (None, None), "i"),
            "epochs": file.array("epochs", (None,), "i"),
        } | {name: file.array(name, (None, None, None), "u") for name in _RESULTS if name in file}
        if "seconds" in file:
            dimensions = metadata.pop("seconds", 2)
            if dimensions not in (2, 3):
                raise InputError(f"{path}: seconds must have 2 or 3 dimensions")
            arrays["seconds"] = file.array("seconds", (None,) * dimensions, "f")
        if "vectors" in file:
            arrays["vectors"] = file.array("vectors", (None, None), "f")
        facts = [name for name in file.names if name.startswith(_FACT)]
        try:
            table = cls(
                **arrays,
                **metadata,
                facts={name.removeprefix(_FACT): file.array(name, (None,)) for name in facts},
            )
        except (InputError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: {error}") from error
        if table.checksum != checksum:
            raise InputError(f"{path}: the content does not match its checksum")
        return table

    def _metadata(self) -> str:
        content: dict[str, Any] = {
            "format": _VERSION,
            "name": self.name,
            "space": dict(self.space),
            "images": dict(self.images),
            "continuous": self.continuous,
            "about": dict(self.about),
            "trials": self.trials,
        }
        if self.hyperparameters:
            content["hyperparameters"] = dict(self.hyperparameters)
        if self.seconds is not None:
            content["seconds"] = self.seconds.ndim
        return json.dumps(content, sort_keys=True)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any] | None] = {
            "rows": self.rows,
            "epochs": self.epochs,
            "valid": self.valid,
            "test": self.test,
            "seconds": self.seconds,
            "vectors": self.vectors,
            **{_FACT + name: values for name, values in self.facts.items()},
        }
        return {name: array for name, array in arrays.items() if array is not None}

    def _cells(self) -> tuple[SearchSpace, list[Architecture]]:
        space = space_from_settings(self.space, where=f"the space of the table {self.name}")
        # Shared objects need one canonical form; those of the space will be asked for it anyway.
        known = [d.architecture for d in space.enumerate()] if space.enumerable else []
        drawings: dict[object, Architecture] = {(cell.nodes, cell.edges): cell for cell in known}
        architectures = []
        for i, row in enumerate(self.rows.tolist()):
            try:
                cell = space.decode(tuple(row))
            except ValueError as error:
                raise InputError(f"the table {self.name}, row {i}: {error}") from error
            architectures.append(drawings.setdefault((cell.nodes, cell.edges), cell))
        return space, architectures

    def _pool(self, space: SearchSpace, architectures: Sequence[Architecture]) -> JointPoolSpace:
        """Return the pool of the cells with their hyperparameters, in the order of the rows."""
        from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings

        assert self.vectors is not None
        where = f"the hyperparameters of the table {self.name}"
        settings = hyperparameters_from_settings(self.hyperparameters, where=where)
        parent = JointSpace(space, settings)
        if self.vectors.shape[1] != len(parent.hyperparameters.columns):
            raise InputError(
                f"the table {self.name} has vectors of {self.vectors.shape[1]} entries for "
                f"{len(parent.hyperparameters.columns)} hyperparameters"
            )
        designs = []
        for i, (cell, vector) in enumerate(zip(architectures, self.vectors.tolist(), strict=True)):
            values = parent.hyperparameters.values(tuple(vector))
            if values is None:
                raise InputError(
                    f"the table {self.name}, row {i}: its hyperparameters are forbidden"
                )
            designs.append(Design(cell, (), hyperparameters=values))
        pool = JointPoolSpace(designs, parent, self.name)
        if pool.size < len(designs):
            raise InputError(f"the table {self.name} has a design more than once")
        return pool

    def _seconds_up_to(self) -> NDArray[np.float64]:
        """Return the seconds up to each of the epochs (``n x s x k``)."""
        assert self.seconds is not None
        seconds: NDArray[np.float64] = self.seconds.astype(float)
        if seconds.ndim == 3:
            return seconds
        shares: NDArray[np.float64] = self.epochs / self.epochs[-1]
        return np.multiply.outer(seconds, shares)


def counts(accuracies: ArrayLike, images: int) -> NDArray[np.uint16]:
    """Return accuracies in percent as counts of images, `MISSING` for NaN.

    Args:
        accuracies: From 0 to 100, of any shape.
        images: The number of images that they are of.

    Raises:
        InputError: If an accuracy is out of range.
    """
    values = np.asarray(accuracies, dtype=float)
    wrong = (values < 0) | (values > 100 + 1e-6)  # False for NaN; means may be rounded
    if wrong.any():
        raise InputError(f"{values[wrong].flat[0]:g} is no accuracy from 0 to 100")
    found = np.isfinite(values)
    rounded = np.rint(np.where(found, values, 0.0) * (images / 100))
    return np.where(found, rounded, MISSING).astype(np.uint16)


def unrecorded(shape: tuple[int, int, int], source: str) -> NDArray[np.uint16]:
    """Return results of which none is recorded yet: `MISSING` in every place.

    Args:
        shape: The numbers of cells, of trainings of each, and of numbers of epochs.
        source: Where the shape comes from.

    Raises:
        InputError: If there are more than a billion of them.
    """
    if math.prod(shape) > _MOST_RESULTS:
        raise InputError(
            f"{source} claims {' x '.join(map(str, shape))} results, more than any benchmark has"
        )
    return np.full(shape, MISSING, np.uint16)


def is_curve_table(path: Path) -> bool:
    """Whether a file is of this format, from the table of contents of the archive alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{MARKER}.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_metadata(file: NpzFile) -> dict[str, Any]:
    """Return the metadata of a file.

    Raises:
        InputError: If it is not of this format, or of a later version of it.
    """
    if MARKER not in file:
        raise InputError(f"{file.path} is no table of learning curves: it has no array {MARKER!r}")
    try:
        content = json.loads(str(file.array(MARKER, (), "U")))
        version, name = content["format"], content["name"]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file.path}: the metadata cannot be read: {error}") from error
    if version != _VERSION:
        raise InputError(
            f"{file.path} has version {version} of the format; this graphbo reads {_VERSION}"
        )
    if not isinstance(name, str) or not isinstance(content.get("about"), dict):
        raise InputError(f"{file.path}: the metadata lack a name or a description")
    return dict(content)


def _integers(
    name: str, values: ArrayLike, dtype: type[np.integer[Any]], ndim: int
) -> NDArray[Any]:
    array = np.asarray(values)
    limits = np.iinfo(dtype)
    if array.dtype.kind not in "iu" or array.ndim != ndim:
        raise InputError(f"{name} must be whole numbers with {ndim} dimensions")
    if array.size and not limits.min <= array.min() <= array.max() <= limits.max:
        raise InputError(f"{name} must lie between {limits.min} and {limits.max}")
    return np.ascontiguousarray(array, dtype=dtype)


def _mean_of_seeds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the finite values over the second axis; NaN where there is none."""
    finite = np.isfinite(values)
    number = finite.sum(axis=1)
    sums: NDArray[np.float64] = np.where(finite, values, 0.0).sum(axis=1)
    np.divide(sums, number, out=sums, where=number > 0)
    sums[number == 0] = np.nan
    return sums
