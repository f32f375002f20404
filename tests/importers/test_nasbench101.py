"""Record files of the structure of NAS-Bench-101, made small here."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.importers import import_tables
from graphbo.importers.nasbench101 import read_nasbench101
from graphbo.importers.tfrecord import masked_crc
from graphbo.problems import get_problem
from graphbo.trial import Job

SMALL = "010001000", "input,maxpool3x3,output"
LARGE = (
    "0111000000000100001000000100000001000000010000000",
    "input,conv3x3-bn-relu,conv1x1-bn-relu,conv3x3-bn-relu,maxpool3x3,conv1x1-bn-relu,output",
)


def varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def field(number: int, value: Any) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def evaluation(epoch: float, seconds: float, valid: float, test: float) -> bytes:
    values = enumerate((epoch, seconds, 0.99, valid, test), start=1)
    return b"".join(field(i, value) for i, value in values) + field(6, b"/model.ckpt-1234")


def metrics(epochs: int, seconds: float, valid: float, test: float, parameters: int) -> bytes:
    points = (
        (0.0, 0.0, 0.1, 0.1),
        (epochs / 2, seconds / 2, 0.2, 0.2),
        (float(epochs), seconds, valid, test),
    )
    data = b"".join(field(1, evaluation(*point)) for point in points)
    return data + field(2, parameters) + field(3, 2 * seconds)


def record(
    cell: tuple[str, str], epochs: int, valid: float, test: float = 0.5, **changes: Any
) -> bytes:
    content = {
        "hash": hashlib.md5("".join(cell).encode()).hexdigest(),
        "schedule": epochs,
        "adjacency": cell[0],
        "operations": cell[1],
        "metrics": base64.b64encode(metrics(epochs, 2.0 * epochs, valid, test, 300)).decode(),
        **changes,
    }
    return json.dumps(list(content.values())).encode()


def write(path: Path, *contents: bytes) -> Path:
    def frame(data: bytes) -> bytes:
        length = struct.pack("<Q", len(data))
        sums = [struct.pack("<I", masked_crc(part)) for part in (length, data)]
        return length + sums[0] + data + sums[1]

    path.write_bytes(b"".join(map(frame, contents)))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(
        tmp_path / "nasbench_full.tfrecord",
        record(LARGE, 4, 0.3),
        record(SMALL, 108, 0.9001, 0.8),
        record(LARGE, 108, 0.94),
        record(SMALL, 108, 0.9003, 0.9),
        record(LARGE, 108, 0.95),
    )


def test_the_end_of_every_training_is_kept(source: Path) -> None:
    table = read_nasbench101(source)
    assert table.name == "nasbench101"
    assert table.epochs.tolist() == [4, 108]
    expected = [[[30, 94], [np.nan, 95]], [[np.nan, 90.01], [np.nan, 90.03]]]
    np.testing.assert_allclose(table.percent("valid"), expected)
    np.testing.assert_allclose(table.percent("test")[1, :, 1], [80, 90])
    assert table.seconds is not None
    np.testing.assert_array_equal(table.seconds[0], [[8, 216], [np.nan, 216]])
    assert table.facts["parameters"].tolist() == [300, 300]
    assert not table.continuous


def test_cells_are_those_of_the_benchmark(tmp_path: Path, source: Path) -> None:
    (file,) = import_tables(source, tmp_path / "tables")
    problem = get_problem("nasbench101", file)
    assert problem.space.size == 2
    small = Architecture([INPUT, "maxpool3x3", OUTPUT], [(0, 1), (1, 2)])
    nodes = [INPUT, "conv3x3", "conv1x1", "conv3x3", "maxpool3x3", "conv1x1", OUTPUT]
    edges = [(0, 1), (0, 2), (0, 3), (1, 6), (2, 4), (3, 4), (4, 5), (5, 6)]
    for cell, error in ((small, 9.98), (Architecture(nodes, edges), 5.5)):
        evaluation = problem.evaluator.evaluate_one(Job(problem.space.design_of(cell)))
        assert evaluation.objectives["validation_error"] == pytest.approx(error)
        assert evaluation.cost == 216
        assert evaluation.curve == ()


def test_the_smaller_file_has_one_schedule(tmp_path: Path) -> None:
    path = write(tmp_path / "nasbench_only108.tfrecord", record(SMALL, 108, 0.9))
    assert read_nasbench101(path).epochs.tolist() == [108]


ONE_EVALUATION = field(1, evaluation(4.0, 1.0, 0.5, 0.5))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting"),
        (b"[1, 2]", "not enough values"),
        (b"\xff\xff\xff", "utf"),
        (record(SMALL, 4, 1.5), "1.5 is no accuracy from 0 to 1"),
        (record(SMALL, 4, float("nan")), "nan is no accuracy"),
        (record(SMALL, 4, 0.5, schedule="4"), "'4' is no number of epochs"),
        (record(SMALL, 4, 0.5, hash="xyz"), "non-hexadecimal"),
        (record(SMALL, 4, 0.5, adjacency="01"), "'01' is no adjacency matrix of 3 vertices"),
        (record(SMALL, 4, 0.5, adjacency="010000100"), "not upper triangular"),
        (record(SMALL, 4, 0.5, adjacency="010000000"), "must connect input and output"),
        (record(SMALL, 4, 0.5, operations="input,conv9x9,output"), "'conv9x9' is no operation"),
        (record(SMALL, 4, 0.5, operations="output"), "a cell has 2 to 7 vertices"),
        (record(SMALL, 4, 0.5, operations=3), "split"),
        (record(SMALL, 4, 0.5, metrics="?"), "base64|padding"),
        (record(SMALL, 4, 0.5, metrics=""), "lack accuracies"),
        (record(SMALL, 4, 0.5, metrics=base64.b64encode(ONE_EVALUATION).decode()), "parameters"),
        (record(SMALL, 4, 0.5, metrics=base64.b64encode(ONE_EVALUATION[:9]).decode()), "cut off"),
        (record(SMALL, 4, 0.5, metrics=base64.b64encode(b"\x0b").decode()), "unknown kind 3"),
        (record(SMALL, 4, 0.5, metrics=base64.b64encode(b"\xff" * 12).decode()), "does not end"),
    ],
)
def test_records_of_another_structure_are_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = write(tmp_path / "x.tfrecord", record(LARGE, 4, 0.5), content)
    with pytest.raises(InputError, match=rf"x\.tfrecord, record 1 is not as .*{message}"):
        import_tables(path, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no records"):
        read_nasbench101(write(tmp_path / "x.tfrecord"))
