"""``graphbo table``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import graphbo.importers
from graphbo.cli import main
from graphbo.importers.stream import Progress
from graphbo.problems.curves import CurveTable
from graphbo.tabulate import Protocol
from graphbo.tabulate.protocols import PROTOCOLS
from graphbo.training.recipe import Recipe


def test_import_writes_the_tables_and_says_how_to_search_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = CurveTable(
        "nasbench101",
        {"type": "nasbench201"},
        rows=np.zeros((1, 6), int),
        epochs=np.array([4]),
        test=np.array([[[1]]]),
        images={"test": 10},
    )

    def read(source: Path, progress: Progress) -> CurveTable:
        progress(1, 1)
        return table

    monkeypatch.setattr(graphbo.importers, "read_nasbench101", read)
    (tmp_path / "x.tfrecord").touch()
    with pytest.raises(SystemExit, match="0"):
        main(["table", "import", str(tmp_path / "x.tfrecord"), str(tmp_path / "tables")])
    assert CurveTable.read(tmp_path / "tables" / "nasbench101.npz").checksum == table.checksum
    out = capsys.readouterr().out
    assert f"graphbo search nasbench101 --data {tmp_path / 'tables'}" in out


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("missing", "tables", "there is no file or folder"),
        ("x.csv", "tables", "no benchmark that can be imported"),
        ("x.csv", "tables.npz", "written to a folder"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, output: str, message: str
) -> None:
    (tmp_path / "x.csv").touch()
    with pytest.raises(SystemExit) as caught:
        main(["table", "import", str(tmp_path / source), str(tmp_path / output)])
    assert caught.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("graphbo:")]
    assert len(lines) == 1
    assert message in lines[0]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """A protocol of a few cells."""
    pytest.importorskip("sklearn")
    protocol = Protocol(
        "tiny",
        dataset={"name": "digits", "copies": 1, "canvas": 8, "noise": 0.0},
        skeleton={"channels": 2, "cells": 1, "stages": 1, "stem_stride": 2},
        recipe=Recipe(epochs=1, batch_size=64),
        space={
            "type": "cell",
            "nodes": 3,
            "operations": ["skip_connect", "nor_conv_1x1", "avg_pool_3x3"],
            "on": "edges",
        },
    )
    monkeypatch.setitem(PROTOCOLS, "tiny", protocol)  # type: ignore[misc]
    return protocol


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["table", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_build_writes_a_table_that_check_passes(
    tiny: Protocol, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("build", "tiny", "--output", str(tmp_path)) == 0
    file = tmp_path / "tiny.npz"
    out = capsys.readouterr().out
    assert f"Written {file} ({file.stat().st_size:,} bytes)" in out
    assert run("check", str(file), "--retrain", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-5:]] == ["passed"] * 5
    assert lines[0] == "cells (distinct networks): 40 (26)"


def test_each_failed_check_is_one_line_and_the_exit_code_is_1(
    tiny: Protocol, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tiny.npz"
    CurveTable(
        "tiny",
        tiny.space,
        rows=np.array([[1, 0, 0]]),
        epochs=np.array([1]),
        valid=np.full((1, 2, 1), 5),
        images={"valid": 10},
        about={"protocol": tiny.to_json()},
    ).write(file)
    assert run("check", str(file)) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert len(failed) == 2
    assert "39 cells are missing" in failed[0]  # an edge into nothing is the empty cell
    assert "lacks accuracies" in failed[1]


def test_an_unfinished_build_says_so(
    tiny: Protocol,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.modules["graphbo.tabulate.build"], "build", lambda *_, **__: None)
    assert run("build", "tiny", "--output", str(tmp_path), "--only", "1") == 0
    assert "without --only, tiny is completed" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.npz"))


def test_an_interrupted_build_is_one_line(
    tiny: Protocol, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["graphbo.tabulate.build"], "build", interrupt)
    assert run("build", "tiny") == 130
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "graphbo: stopped; the same command goes on from here"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "none"], "there is no protocol 'none'"),
        (["build", "--jobs", "0"], "jobs must be at least 1"),
        (["check", "nothing.npz"], "there is no file nothing.npz"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
