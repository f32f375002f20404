"""Objectives and constraints in a problem file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphbo.cli import main
from graphbo.errors import InputError
from graphbo.goals import Constraint, Goals
from graphbo.problems import load_problem_file
from graphbo.study import Study

CELL = '[space]\ntype = "cell"\nnodes = 3\noperations = ["a", "b"]\non = "edges"\n'
FUNCTION = '[evaluate]\nfunction = "measure:evaluate"\n'
GOALS = 'objectives = ["error", "size"]\nconstraints = ["size<=2"]\n'
TRAIN = (
    '[train]\ndataset = "shapes"\noptions = {train = 20, validation = 10, test = 10}\n'
    "epochs = 1\nchannels = 4\n"
)


def write(folder: Path, text: str) -> Path:
    (folder / "measure.py").write_text(
        "def evaluate(cell):\n"
        "    labels = [label for *_, label in cell.edges]\n"
        "    return {'error': 9 - labels.count('a'), 'size': len(labels)}\n"
    )
    path = folder / "problem.toml"
    path.write_text(text)
    return path


def command(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0


def test_a_file_says_what_its_problem_is_for(tmp_path: Path) -> None:
    problem = load_problem_file(write(tmp_path, GOALS + CELL + FUNCTION))
    assert problem.goals == Goals(("error", "size"), (Constraint("size", 2.0),))
    assert problem.objective == "error"
    result = Study.of(problem, "random").run(trials=8)
    assert result.goals == problem.goals
    assert max(trial.outcomes["size"] for trial in result.front) <= 2
    other = Study.of(problem, "random", objective="size", constraints=())
    assert other.goals == Goals(("size",)), "what is said goes before"


def test_constraints_alone_leave_the_objective_as_it_was(tmp_path: Path) -> None:
    text = 'constraints = ["size>=1"]\n' + CELL + FUNCTION + 'objective = "error"\n'
    problem = load_problem_file(write(tmp_path, text))
    assert problem.goals == Goals(("error",), (Constraint("size", 1.0, upper=False),))
    assert load_problem_file(write(tmp_path, CELL + FUNCTION)).goals == Goals(("objective",))


def test_a_training_is_bounded_by_what_its_networks_cost(tmp_path: Path) -> None:
    goals = 'constraints = ["activation_memory<=320000", "flash<=1000000"]\n'
    problem = load_problem_file(write(tmp_path, goals + TRAIN))
    assert [constraint.name for constraint in problem.constraints] == ["activation_memory", "flash"]
    (trial,) = Study.of(problem, "random").run(trials=1).trials
    assert problem.goals.feasible(trial)


def test_the_command_line_takes_the_goals_of_the_file_or_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, GOALS + CELL + FUNCTION)
    monkeypatch.chdir(tmp_path)
    search = ["search", str(path), "--optimizer", "random", "--trials", "6"]
    command(search)
    assert "The front has" in capsys.readouterr().out
    command([*search, "--objectives", "size"])
    assert "Best of 6" in capsys.readouterr().out
    folders = sorted(each.name for each in (tmp_path / "runs").iterdir())
    assert folders[0].startswith("problem-for-")
    assert folders[1] == "problem-random-0"


def test_a_file_says_how_its_networks_are_to_run(tmp_path: Path) -> None:
    text = 'constraints = ["latency_ms<=1e6"]\n' + TRAIN + "[deployment]\nbits = 8\nrepeats = 2\n"
    small = load_problem_file(write(tmp_path, text))
    usual = load_problem_file(write(tmp_path, TRAIN))
    design = small.space.sample(np.random.default_rng(0))
    memory = [each.evaluator.compute("activation_memory", design) for each in (usual, small)]
    assert memory[0] == 4 * memory[1]
    (trial,) = Study.of(small, "random").run(trials=1).trials
    assert trial.outcomes["latency_ms"] > 0


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (TRAIN + "[deployment]\nbits = 9\n", r"\[deployment\]: bits must be one of 4, 8"),
        (TRAIN + "[deployment]\nbit = 8\n", r"\[deployment\].* 'bit'"),
        (TRAIN + "[deployment]\ndevice = 3\n", r"\[deployment\]: device must be such as"),
        (CELL + FUNCTION + "[deployment]\nbits = 8\n", r"\[deployment\]: it is for networks that"),
    ],
)
def test_mistakes_in_the_deployment_are_named(tmp_path: Path, section: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_problem_file(write(tmp_path, section))


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        ('objectives = "error"\n', r"objectives must be a list of strings; got 'error'"),
        ("objectives = []\n", r"objectives must be a list of strings; got \[\]"),
        ("objectives = [1]\n", r"objectives must be different strings; got 1 in \[1\]"),
        ('objectives = ["a", "a"]\n', "objectives must be different strings; got 'a'"),
        ('constraints = ["size"]\n', "constraints: a constraint is written like .* got 'size'"),
        ("constraints = [{ size = 2 }]\n", "constraints must be different strings"),
        ('objectives = ["flush"]\n', "objectives: 'flush' names .* nearest names are flash"),
        (
            'constraints = ["heat<=2"]\n',
            "constraints: 'heat<=2.0' names .* it reports validation_e",
        ),
    ],
)
def test_mistakes_name_the_entry(tmp_path: Path, goals: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"problem\.toml: {message}"):
        load_problem_file(write(tmp_path, goals + TRAIN))


def test_a_function_has_one_name_for_its_first_number(tmp_path: Path) -> None:
    text = GOALS + CELL + FUNCTION + 'objective = "loss"\n'
    with pytest.raises(InputError, match="objective is 'loss', but the first of objectives is"):
        load_problem_file(write(tmp_path, text))
