"""NAS-Bench-101 (Ying et al., ICML 2019)."""

from __future__ import annotations

import base64
import json
import math
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphbo.errors import InputError
from graphbo.importers.stream import Progress, no_progress
from graphbo.importers.tfrecord import records
from graphbo.problems.curves import CurveTable, unrecorded
from graphbo.spaces.nasbench101 import OPERATIONS, NASBench101Space

_IMAGES = 10_000
_VERTICES = 7
_NAMES = {"conv3x3-bn-relu": "conv3x3", "conv1x1-bn-relu": "conv1x1", "maxpool3x3": "maxpool3x3"}
_PAIRS = [(u, v) for v in range(1, _VERTICES) for u in range(v)]


class Metrics(NamedTuple):
    """What was measured at the end of one training.

    Attributes:
        seconds: Of training.
        validation: Accuracy, from 0 to 1.
        test: Accuracy, from 0 to 1.
        parameters: Number of trainable ones.
    """

    seconds: float
    validation: float
    test: float
    parameters: int


def read_nasbench101(source: Path, progress: Progress = no_progress) -> CurveTable:
    """Read the record file of NAS-Bench-101.

    Args:
        source: ``nasbench_only108.tfrecord`` or ``nasbench_full.tfrecord``.
        progress: Called with how many MiB have been read, and of how many.

    Returns:
        The table ``nasbench101``: the end of each training of 108 epochs, or of 4, 12, 36 and 108,
        each repeated up to three times.

    Raises:
        InputError: If the file is damaged or not that of NAS-Bench-101; the message names the
            record.
    """
    trainings = _Trainings()
    for number, data in enumerate(records(source, progress)):
        try:
            trainings.add(*_parsed(data))
        except (InputError, ValueError, TypeError, AttributeError, struct.error) as error:
            raise InputError(
                f"{source}, record {number} is not as NAS-Bench-101 writes it: {error}"
            ) from error
    if not trainings.cells:
        raise InputError(f"{source} has no records")
    return trainings.table(source.name)


def _parsed(data: bytes) -> tuple[bytes, int, str, str, Metrics]:
    name, epochs, adjacency, operations, metrics = json.loads(data)
    if type(epochs) is not int or not 0 < epochs < 1 << 15:
        raise InputError(f"{epochs!r} is no number of epochs")
    decoded = _metrics(base64.b64decode(metrics, validate=True))
    return bytes.fromhex(name), epochs, adjacency, operations, decoded


def _metrics(message: bytes) -> Metrics:
    """Read the protocol buffer ``ModelMetrics``.

    Its field 1 is repeated, one message for each evaluation during the training, with the doubles
    epoch (1), seconds of training (2), accuracy on training (3), validation (4) and test images
    (5). Field 2 is the number of parameters.
    """
    last, parameters = b"", -1
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            last = value
        elif number == 2 and isinstance(value, int):
            parameters = value
    found = {number: value for number, value in _fields(last) if isinstance(value, float)}
    if not {2, 4, 5} <= set(found) or parameters < 0:
        raise InputError("the metrics lack accuracies, seconds or parameters")
    return Metrics(found[2], found[4], found[5], parameters)


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield number and value of the fields of a protocol buffer; 8 bytes are a double."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        value: int | float | bytes
        if kind == 0:
            value, position = _varint(message, position)
        elif kind == 1:
            (value,) = struct.unpack_from("<d", message, position)
            position += 8
        elif kind == 2:
            length, position = _varint(message, position)
            value = message[position : position + length]
            position += length
        else:
            raise InputError(f"the metrics have a field of the unknown kind {kind}")
        if position > len(message):
            raise InputError("the metrics are cut off")
        yield number, value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Return a whole number of seven bits a byte, and the position behind it."""
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(message):
            raise InputError("the metrics are cut off")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise InputError("the metrics have a number that does not end")


class _Trainings:
    """The trainings read so far, in arrays that grow."""

    def __init__(self) -> None:
        self.space = NASBench101Space()
        self.cells: dict[bytes, int] = {}
        self.rows = array("b")
        self.parameters = array("q")
        self.cell, self.epochs = array("I"), array("H")
        self.validation, self.test, self.seconds = array("H"), array("H"), array("f")

    def add(
        self, name: bytes, epochs: int, adjacency: str, operations: str, metrics: Metrics
    ) -> None:
        if name not in self.cells:
            row = _row(adjacency, operations)
            self.space.decode(row)  # refuses what is no cell
            self.rows.extend(row)
            self.parameters.append(metrics.parameters)
            self.cells[name] = len(self.cells)
        for value in (metrics.validation, metrics.test):
            if not 0 <= value <= 1:
                raise InputError(f"{value:g} is no accuracy from 0 to 1")
        self.cell.append(self.cells[name])
        self.epochs.append(epochs)
        self.validation.append(round(_IMAGES * metrics.validation))
        self.test.append(round(_IMAGES * metrics.test))
        self.seconds.append(metrics.seconds if math.isfinite(metrics.seconds) else math.nan)

    def table(self, source: str) -> CurveTable:
        epochs, column = np.unique(np.asarray(self.epochs), return_inverse=True)
        cell = np.asarray(self.cell)
        repeat = _occurrence(cell.astype(np.int64) * len(epochs) + column)
        place = cell, repeat, column
        shape = len(self.cells), int(repeat.max()) + 1, len(epochs)

        def filled(values: array[Any]) -> NDArray[np.uint16]:
            result = unrecorded(shape, source)
            result[place] = values
            return result

        validation, test = filled(self.validation), filled(self.test)
        seconds = np.full(shape, np.nan, np.float32)
        seconds[place] = self.seconds

        return CurveTable(
            "nasbench101",
            {"type": "nasbench101"},
            rows=np.asarray(self.rows).reshape(len(self.cells), -1),
            epochs=epochs,
            valid=validation,
            test=test,
            images={"valid": _IMAGES, "test": _IMAGES},
            seconds=seconds,
            facts={"parameters": np.asarray(self.parameters)},
            continuous=False,
            about={
                "description": "cells of NAS-Bench-101 on CIFAR-10",
                "dataset": "CIFAR-10",
                "protocol": f"trainings of {', '.join(map(str, epochs))} epochs, each with its own "
                "schedule, repeated",
                "licence": "Apache-2.0",
                "source": source,
            },
        )


def _occurrence(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many equal keys stand before each."""
    order = np.argsort(keys, kind="stable")
    _, starts, group = np.unique(keys[order], return_index=True, return_inverse=True)
    result = np.empty(len(keys), np.int64)
    result[order] = np.arange(len(keys)) - starts[group]
    return result


def _row(adjacency: str, operations: str) -> tuple[int, ...]:
    """Return the row of a cell: its vertices from the left, the output at the end."""
    labels = operations.split(",")
    count = len(labels)
    if not 2 <= count <= _VERTICES or labels[0] != "input" or labels[-1] != "output":
        raise InputError(f"a cell has 2 to {_VERTICES} vertices, from input to output")
    if len(adjacency) != count * count or set(adjacency) - {"0", "1"}:
        raise InputError(f"{adjacency!r} is no adjacency matrix of {count} vertices")
    unknown = [label for label in labels[1:-1] if label not in _NAMES]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no operation of the benchmark")
    choices = [OPERATIONS.index(_NAMES[label]) for label in labels[1:-1]]
    position = [*range(count - 1), _VERTICES - 1]
    edges = {
        (position[i // count], position[i % count]) for i, bit in enumerate(adjacency) if bit == "1"
    }
    if any(u >= v for u, v in edges):
        raise InputError(f"the adjacency matrix {adjacency!r} is not upper triangular")
    unused = [0] * (_VERTICES - count)
    return (*choices, *unused, *(int(pair in edges) for pair in _PAIRS))
