from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from graphbo import CellSpace, FunctionEvaluator, Study
from graphbo.cli import main

SPACE = CellSpace(3, ["conv", "skip"], on="edges")
TOML = """
[space]
type = "cell"
nodes = 3
operations = ["conv", "skip"]
on = "edges"

[evaluate]
function = "cli_study_train:evaluate"
"""


def run(*arguments: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a search of a problem that its study file calls by a path."""
    problem = tmp_path / "toy.toml"
    problem.write_text(TOML)
    (tmp_path / "cli_study_train.py").write_text("def evaluate(cell):\n    return 1.0\n")
    evaluator = FunctionEvaluator(lambda cell: float(len(cell.edges)))
    path = tmp_path / "run" / "study.sqlite"
    study = Study(SPACE, evaluator, "random", storage=path, problem=str(problem))
    study.run(trials=5)
    study.close()
    return tmp_path / "run"


def test_status_is_for_people_and_for_programs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("status", folder)
    assert "5 completed, 0 failed, 0 running" in capsys.readouterr().out
    run("status", folder / "study.sqlite", "--json")
    assert json.loads(capsys.readouterr().out)["completed"] == 5


def test_another_process_watches_a_search(folder: Path) -> None:
    study = Study(
        SPACE,
        FunctionEvaluator(lambda cell: float(len(cell.edges))),
        "random",
        storage=folder / "study.sqlite",
        problem=str(folder.parent / "toy.toml"),
    )
    command = [sys.executable, "-m", "graphbo", "status", str(folder), "--json"]
    seen = []

    def watch(_: object) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        seen.append(json.loads(done.stdout))

    study.run(trials=6, callback=watch)
    study.close()
    assert [status["completed"] for status in seen] == [6]
    if Path("/proc/locks").exists():
        assert seen[0]["driven"] is True


def test_a_report_takes_a_problem_file_from_the_user_only(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly")
    output = tmp_path / "report.html"
    run("report", folder, "--output", output)
    assert f"Written {output}" in capsys.readouterr().out
    assert "cli_study_train" not in sys.modules
    assert "they need the search space" in output.read_text(encoding="utf-8")
    run("report", folder, "--output", output, "--problem", tmp_path / "toy.toml")
    assert "they need the search space" not in output.read_text(encoding="utf-8")


def test_an_export_takes_a_problem_file_from_the_user_only(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("export", "deepcave", folder, tmp_path / "cave", code=2)
    assert "say which problem or TOML file it is with --problem" in capsys.readouterr().err
    assert not (tmp_path / "cave").exists()


def test_an_export_stays_in_its_folder(folder: Path, tmp_path: Path) -> None:
    with sqlite3.connect(folder / "study.sqlite") as file:
        file.execute("UPDATE meta SET value = '../../away' WHERE key = 'optimizer'")
    file.close()
    target = tmp_path / "deep" / "cave"
    run("export", "deepcave", folder, target, "--problem", tmp_path / "toy.toml")
    (written,) = target.iterdir()
    assert re.fullmatch("______away-0-[0-9a-f]{4}", written.name)


@pytest.mark.parametrize("command", ["status", "report"])
def test_what_is_no_study_is_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no study")
    for path, message in (
        (tmp_path / "none", "is no study; give a file such as study.sqlite"),
        (tmp_path / "notes.txt", "is not a study file"),
    ):
        run(command, path, *(["--output", tmp_path / "r"] if command == "report" else []), code=2)
        assert message in capsys.readouterr().err
