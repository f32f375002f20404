"""A study file is data: it opens no other file and runs no code."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from ConfigSpace import ConfigurationSpace

from graphbo import CellSpace, FunctionEvaluator, HyperparameterSpace, JointSpace, Study
from graphbo.errors import InputError
from graphbo.report.recorded import check_space, problem_of, read_study, study_file
from graphbo.spaces import SearchSpace
from graphbo.storage import Storage

SPACE = CellSpace(3, ["conv", "skip"], on="edges")
TOML = """
[space]
type = "cell"
nodes = 3
operations = ["conv", "skip"]
on = "edges"

[evaluate]
function = "{module}:evaluate"
"""


def written(path: Path, space: SearchSpace = SPACE, problem: str | None = None) -> Path:
    evaluator = FunctionEvaluator(lambda *given: 1.0, takes="both")
    study = Study(space, evaluator, "random", storage=path, problem=problem)
    study.run(trials=3)
    study.close()
    return path


def changed(path: Path, statement: str, *values: Any) -> Path:
    with sqlite3.connect(path) as file:
        file.execute(statement, values)
    file.close()
    return path


def test_a_study_is_read_as_it_was_run(tmp_path: Path) -> None:
    study = read_study(written(tmp_path / "a.sqlite", problem="branin"))
    assert (study.problem, study.optimizer, study.objective) == (
        "branin",
        "random",
        "objective",
    )
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert study.running == ()
    assert study.result.optimizer_seconds > 0


def test_the_problem_file_that_a_study_names_is_not_opened(tmp_path: Path) -> None:
    toml, marker = tmp_path / "theirs.toml", tmp_path / "was_run"
    toml.write_text(TOML.format(module="recorded_trap"))
    (tmp_path / "recorded_trap.py").write_text(
        f"open({str(marker)!r}, 'w').close()\ndef evaluate(cell):\n    return 1.0\n"
    )
    study = read_study(written(tmp_path / "a.sqlite", problem=str(toml)))
    with pytest.raises(InputError, match=r"is not known .*; say which problem or TOML file"):
        problem_of(study)
    assert not marker.exists()
    assert problem_of(study, str(toml)).name == "theirs", "it is what the user says"
    assert marker.exists()


def test_names_of_problems_are_looked_up(tmp_path: Path) -> None:
    named = read_study(written(tmp_path / "a.sqlite", problem="branin"))
    problem = problem_of(named)
    assert problem.name == "branin"
    with pytest.raises(InputError, match=r"a\.sqlite is not a study of branin, whose space"):
        check_space(named, problem.space, problem.name)
    with pytest.raises(InputError, match="does not say which problem"):
        problem_of(read_study(written(tmp_path / "b.sqlite")))


def test_spaces_differ_in_their_hyperparameters_too(tmp_path: Path) -> None:
    def joint(highest: float) -> JointSpace:
        return JointSpace(SPACE, ConfigurationSpace({"rate": (0.0, highest)}))

    study = read_study(written(tmp_path / "a.sqlite", joint(9.0)))
    check_space(study, joint(9.0), "it")
    for other in (
        joint(1e-9),
        SPACE,
        HyperparameterSpace(ConfigurationSpace({"rate": (0.0, 9.0)})),
    ):
        with pytest.raises(InputError, match="whose space is another one"):
            check_space(study, other, "it")


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE trials SET error = ?", b"bytes"),
        ("UPDATE trials SET value = ?", "low"),
        ("UPDATE trials SET value = ?", float("inf")),
        ("UPDATE trials SET design = ?", '{"row": [0, 0, 0], "hyperparameters": {"a": [1]}}'),
        ("UPDATE trials SET design = ?", '["a"]'),
        ("UPDATE trials SET architecture = ?", "{"),
        ("UPDATE asks SET seconds = ?", "long"),
        ("UPDATE asks SET seconds = ?", float("inf")),
        ("UPDATE trials SET finished = ?", 1e300),
        ("UPDATE meta SET value = ? WHERE key = 'seed'", "../.."),
        ("UPDATE meta SET value = ? WHERE key = 'seed'", "1" * 9999),
        ("DELETE FROM meta WHERE key = ?", "objective"),
    ],
)
def test_entries_of_the_wrong_kind_are_damage(
    statement: str, value: object, tmp_path: Path
) -> None:
    path = changed(written(tmp_path / "a.sqlite"), statement, value)
    with pytest.raises(InputError, match=r"a\.sqlite .*damaged"):
        read_study(path)


def test_a_folder_stands_for_its_only_study(tmp_path: Path) -> None:
    path = written(tmp_path / "one" / "study.sqlite")
    assert study_file(tmp_path / "one") == study_file(path) == path
    written(tmp_path / "one" / "other.sqlite")
    with pytest.raises(InputError, match=r"has 2 studies; name one of them, such as .*other"):
        study_file(tmp_path / "one")
    Storage(tmp_path / "empty.sqlite").close()
    with pytest.raises(InputError, match="no search has begun in it"):
        read_study(tmp_path / "empty.sqlite")
