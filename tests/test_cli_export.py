"""`graphbo export csv` and `graphbo export parquet`; those for DeepCAVE stand with their report."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphbo
from graphbo.architecture import Architecture
from graphbo.cli import main

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def objective(cell: Architecture) -> float:
    if len(cell.edges) < 4:
        raise ValueError('few edges, "very" few\nindeed')
    return 1 / len(cell.edges)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of a function, which no problem describes."""
    path = tmp_path / "study.sqlite"
    space = graphbo.CellSpace(4, ["conv", "skip"], on="edges")
    graphbo.minimize(objective, space, 12, 0, "random", storage=path)
    return path


def export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        main(["export", *map(str, arguments)])
    return int(done.value.code or 0)


def test_both_formats_hold_the_trials_of_a_study_without_a_problem(
    study: Path, tmp_path: Path
) -> None:
    assert export("csv", study, tmp_path / "trials.csv") == 0
    assert export("parquet", study.parent, tmp_path / "trials.parquet") == 0
    text = pandas.read_csv(tmp_path / "trials.csv")
    binary = pandas.read_parquet(tmp_path / "trials.parquet")
    assert list(text.columns) == list(binary.columns)
    assert len(text) == len(binary) == 12
    assert text["value"].equals(binary["value"])
    assert set(text["state"]) == {"completed", "failed"}
    failed = text[text["state"] == "failed"]
    assert failed["value"].isna().all()
    assert failed["error"].str.endswith('few edges, "very" few\nindeed\n').all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: (folder / "none", folder / "t.csv"), "is no study"),
        (lambda folder: (folder / "runs", folder / "t.csv"), "has 2 studies"),
        (lambda folder: (folder / "study.sqlite", folder / "study.sqlite"), "is the study itself"),
        (lambda folder: (folder / "study.sqlite", folder / "no" / "t.csv"), "cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(
    make: object, message: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    for name in ("a.sqlite", "b.sqlite"):
        (tmp_path / "runs" / name).write_bytes(study.read_bytes())
    before = study.read_bytes()
    assert callable(make)
    assert export("csv", *make(tmp_path)) == 2
    assert message in capsys.readouterr().err
    assert study.read_bytes() == before
