"""``graphbo advise``, and ``auto`` on the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graphbo.cli import main
from graphbo.storage import begun_with

PROBLEM = """
name = "toy"
trials = 7
[space]
type = "cell"
nodes = 4
operations = ["conv3x3", "skip"]
on = "edges"
[evaluate]
function = "toy_module_of_advice:objective"
objective = "validation_error"
"""


@pytest.fixture
def toy(tmp_path: Path) -> str:
    (tmp_path / "toy_module_of_advice.py").write_text(
        "def objective(cell):\n    return len(cell)\n"
    )
    path = tmp_path / "problem.toml"
    path.write_text(PROBLEM)
    return str(path)


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 0


def test_it_prints_the_command_and_the_evidence(
    toy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("advise", toy, "--trials", 12, "--workers", 4)
    shown = capsys.readouterr().out
    assert "for toy: 12 trials, 4 at a time" in shown
    assert "settings: its defaults" in shown
    assert f"graphbo search {toy} --optimizer " in shown
    assert "--trials 12 --batch 4" in shown
    assert "Measurements of" in shown
    assert "Left out:" in shown


def test_the_command_that_it_prints_keeps_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    run("advise", "digits-table", "--budget-epochs", 90)
    shown = capsys.readouterr().out
    assert "--budget-epochs 90\n" in shown
    assert "10 trainings, epochs of choice, one at a time" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no problem 'nowhere'"),
        (["digits-table", "--trials", "3", "--budget-epochs", "9"], "advice is for one budget"),
        (["digits-table", "--batch", "0"], "the number of workers must be at least 1"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["advise", *arguments])
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("graphbo: ")
    assert message in shown
    assert shown.count("\n") == 1


def test_a_search_takes_what_is_advised_and_goes_on_with_it(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    for trials in (5, 9):
        run("search", toy, "--optimizer", "auto", "--trials", trials, "--output", folder)
        chosen = begun_with(folder / "study.sqlite")
        assert f"auto is {chosen}; graphbo advise says why" in capsys.readouterr().out


def test_it_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run("list")
    assert "  auto " in capsys.readouterr().out


def test_advice_is_not_imported_before_it_is_needed() -> None:
    script = (
        "import sys, graphbo, graphbo.cli, graphbo.optimizers\n"
        "print('graphbo.advice' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
