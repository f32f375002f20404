"""A problem from a TOML file, and one clear sentence for each mistake in it."""

from __future__ import annotations

import csv
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError, MissingExtraError
from graphbo.problems import get_problem, load_problem_file
from graphbo.spaces import CellSpace, ChainSpace, NASBench101Space, PoolSpace, space_from_settings
from graphbo.trial import Job

CELL = '[space]\ntype = "cell"\nnodes = 3\noperations = ["a", "b"]\non = "edges"\n'
FUNCTION = '[evaluate]\nfunction = "train:evaluate"\n'
TABLE = '[evaluate]\ntable = "results.csv"\n'


def write(folder: Path, text: str, name: str = "problem.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def members() -> list[Architecture]:
    return [design.architecture for design in CellSpace(3, ["a", "b"], on="edges").enumerate()]


def write_csv(path: Path, rows: list[tuple[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["architecture", "error"])
        writer.writerows(rows)


# What works --------------------------------------------------------------------------------------


def test_a_function_beside_the_file_is_imported_and_called(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import beside\ndef evaluate(architecture):\n    return beside.count(architecture)\n"
    )
    (tmp_path / "beside.py").write_text("def count(a):\n    return len(a.edges)\n")
    problem = get_problem(str(write(tmp_path, f"trials = 7\n{CELL}{FUNCTION}")))
    assert (problem.name, problem.trials, problem.objective) == ("problem", 7, "objective")
    assert isinstance(problem.space, CellSpace)
    design = problem.space.design((1, 1, 1))
    assert problem.evaluator.evaluate_one(Job(design)).objectives == {"objective": 3}
    copy = pickle.loads(pickle.dumps(problem.evaluator))
    assert copy.evaluate_one(Job(design)).objectives == {"objective": 3}


def test_a_function_is_given_the_hyperparameters_of_the_file(tmp_path: Path) -> None:
    rates = '[hyperparameters]\nrate = { low = 0.1, high = 0.9 }\nkind = ["x", "y"]\n'
    (tmp_path / "both.py").write_text("def evaluate(a, h):\n    return len(a.edges) + h['rate']\n")
    (tmp_path / "alone.py").write_text("def evaluate(h):\n    return h['rate']\n")
    values = {"rate": 0.25, "kind": "y"}
    both = get_problem(
        str(write(tmp_path, f'{CELL}{rates}[evaluate]\nfunction = "both:evaluate"\n'))
    )
    design = replace(both.space.design((1, 1, 1)), hyperparameters=values)
    assert both.space.kind == "both"
    assert both.evaluator.evaluate_one(Job(design)).objectives == {"objective": 3.25}
    alone = get_problem(str(write(tmp_path, f'{rates}[evaluate]\nfunction = "alone:evaluate"\n')))
    design = alone.space.from_configuration(values)
    assert alone.space.kind == "hyperparameters"
    assert alone.evaluator.evaluate_one(Job(design)).objectives == {"objective": 0.25}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{TABLE}[hyperparameters]\na = [1]\n", "is for training and functions"),
        (f"{CELL}{FUNCTION}[hyperparameters]\n", "there must be at least one hyperparameter"),
        (f"{CELL}{FUNCTION}[hyperparameters]\na = 3\n", "a must be a list of choices or a table"),
        (f"{CELL}{FUNCTION}[hyperparameters]\nedge_0_1 = [1]\n", "is a hyperparameter and a dec"),
    ],
)
def test_mistakes_in_hyperparameters_name_the_section(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=rf"{path}.*\[hyperparameters\].*{message}"):
        load_problem_file(path)


def test_modules_of_the_same_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    problems = []
    for value in (1, 2):
        folder = tmp_path / str(value)
        folder.mkdir()
        (folder / "train.py").write_text(f"def evaluate(a):\n    return {value}\n")
        problems.append(load_problem_file(write(folder, CELL + FUNCTION)))
    for value, problem in enumerate(problems, start=1):
        design = problem.space.design((1, 1, 1))
        assert problem.evaluator.evaluate_one(Job(design)).objectives == {"objective": value}


def test_a_function_may_come_from_an_installed_module(tmp_path: Path) -> None:
    text = CELL + '[evaluate]\nfunction = "builtins:len"\nobjective = "nodes"\n'
    problem = load_problem_file(write(tmp_path, text))
    assert problem.evaluator.evaluate_one(Job(problem.space.design((0, 1, 0)))).objectives == {
        "nodes": 2
    }


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_a_table_that_covers_the_space_makes_it_the_space(tmp_path: Path, kind: str) -> None:
    strings = [member.to_string() for member in members()]
    errors = np.arange(len(strings), dtype=float)
    path = tmp_path / f"results.{kind}"
    if kind == "csv":
        write_csv(path, list(zip(strings, errors.tolist(), strict=True)))
    elif kind == "npz":
        np.savez(path, architecture=np.array(strings), error=errors, more=np.zeros((2, 2)))
    else:
        pd.DataFrame({"architecture": strings, "error": errors}).to_parquet(path)
    problem = load_problem_file(write(tmp_path, f'{CELL}[evaluate]\ntable = "results.{kind}"\n'))
    assert isinstance(problem.space, CellSpace)
    assert problem.optimum == 0
    reports = problem.evaluator.evaluate([Job(problem.space.design_of(a)) for a in members()])
    assert [report.evaluation.objectives["error"] for report in reports if report.evaluation] == [
        *errors
    ]


def test_a_table_alone_is_a_pool_and_an_empty_cell_a_failed_result(tmp_path: Path) -> None:
    strings = [member.to_string() for member in members()[:3]]
    write_csv(tmp_path / "results.csv", [(strings[0], 3), (strings[1], ""), (strings[2], 2)])
    problem = load_problem_file(write(tmp_path, f'name = "mine"\n{TABLE}'))
    assert problem.name == "mine"
    assert isinstance(problem.space, PoolSpace)
    assert problem.space.size == 3
    assert problem.optimum == 2


@pytest.mark.parametrize(
    ("settings", "space"),
    [
        (
            {"type": "cell", "nodes": 4, "operations": ["a"], "on": "nodes", "max_edges": 3},
            CellSpace(4, ["a"], on="nodes", max_edges=3),
        ),
        ({"type": "chain", "max_depth": 2, "widths": [4]}, ChainSpace(2, widths=[4])),
        ({"type": "nasbench101", "max_vertices": 4}, NASBench101Space(4)),
    ],
)
def test_spaces_from_settings(settings: dict[str, object], space: CellSpace) -> None:
    built = space_from_settings(settings)
    assert type(built) is type(space)
    assert built.enumerate() == space.enumerate()


# What does not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[space", "is no valid TOML file"),
        ("", r"the section \[evaluate\] is missing"),
        ("evaluate = 3", r"the section \[evaluate\] is missing"),
        (f"trails = 3\n{CELL}{FUNCTION}", "unknown key 'trails'; did you mean 'trials'"),
        (f"trials = 0\n{CELL}{FUNCTION}", "trials must be a whole number of at least 1; got 0"),
        (f"name = 3\n{CELL}{FUNCTION}", "name must be a string; got 3"),
        (CELL + "[evaluate]\n", r"\[evaluate\]: give either a table or a function"),
        (FUNCTION, r"a function needs a section \[space\]"),
        (CELL + '[evaluate]\nfunction = "train"\n', "function: 'train' must look like"),
        (CELL + '[evaluate]\nfunction = "broken:f"\n', "'broken' cannot be imported: ZeroDivision"),
        (CELL + '[evaluate]\nfunction = "nowhere:f"\n', "'nowhere' cannot be imported: ModuleNot"),
        (CELL + '[evaluate]\nfunction = "math:f"\n', "'math' has no function 'f'"),
        (CELL + FUNCTION + "cost = 3\n", r"\[evaluate\]: unknown key 'cost'"),
        (CELL + '[evaluate]\ntable = "no.csv"\n', r"\[evaluate\]: there is no table .*no\.csv"),
        (CELL + '[evaluate]\ntable = "broken.py"\n', r"is a \.csv, \.npz or \.parquet file"),
        (CELL + '[evaluate]\ntable = "bad.npz"\n', r"bad\.npz is not a readable"),
        (CELL + '[evaluate]\ntable = "bad.parquet"\n', r"bad\.parquet cannot be read"),
        (CELL + TABLE + 'objective = "loss"\n', r"\[evaluate\]: there is no column 'loss'"),
        (CELL + TABLE + "cost = 3\n", r"\[evaluate\]: cost must be a string; got 3"),
        (CELL + TABLE, "entry 0: .* must look like"),
        ('[space]\ntype = "sell"\n' + TABLE, r"\[space\]: type = 'sell' is unknown; it is one of"),
        ("[space]\nnodes = 3\n" + TABLE, r"\[space\]: type is missing"),
        (CELL.replace("nodes", "node") + TABLE, r"unknown key 'node'; did you mean 'nodes'"),
        (CELL.replace("nodes = 3\n", "") + TABLE, "needs the key 'nodes'"),
        (CELL.replace("3", '"3"') + TABLE, "nodes must be a whole number; got '3'"),
        (CELL.replace('["a", "b"]', '"a"') + TABLE, "operations must be a list of strings"),
        (CELL.replace('"edges"', "3") + TABLE, "on must be a string; got 3"),
        (CELL.replace("3", "1") + TABLE, r"\[space\]: a cell has at least 2 nodes"),
        ('[space]\ntype = "chain"\nmax_depth = 2\nwidths = ["8"]\n' + TABLE, "whole numbers"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "bad.npz").write_text("no archive")
    (tmp_path / "bad.parquet").write_text("no parquet")
    write_csv(tmp_path / "results.csv", [("conv", 1)])
    with pytest.raises(InputError, match=message) as caught:
        load_problem_file(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    if "bad.npz" not in text:
        assert "problem.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml cannot be read: No such file"):
        get_problem(str(tmp_path / "none.toml"))


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "results.parquet").write_bytes(b"")
    with pytest.raises(MissingExtraError, match=r"graphbo\[tables\]"):
        load_problem_file(write(tmp_path, '[evaluate]\ntable = "results.parquet"\n'))


def test_an_architecture_outside_the_space_is_named(tmp_path: Path) -> None:
    stranger = Architecture([INPUT, "z", OUTPUT], [(0, 1), (1, 2)])
    write_csv(tmp_path / "results.csv", [(stranger.to_string(), 1)])
    with pytest.raises(InputError, match=r"architecture number 0 .*does not belong to the space"):
        load_problem_file(write(tmp_path, CELL + TABLE))
