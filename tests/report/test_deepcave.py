"""The rules of DeepCAVE's format for data frames, as tests of what is written."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from graphbo import FunctionEvaluator, Study
from graphbo.cli import main
from graphbo.errors import InputError
from graphbo.report import write_deepcave
from graphbo.spaces import (
    CellSpace,
    ChainSpace,
    Decision,
    Design,
    JointSpace,
    PoolSpace,
    SearchSpace,
)
from graphbo.trial import Evaluation, Trial

pandas = pytest.importorskip("pandas")

SPACE = CellSpace(3, ["conv", "skip"], on="edges")
METRIC = r"metric:(\w+) \[(-?\d+\.?\d*); (-?\d+\.?\d*)\] \(minimize\)"
DECIMAL = re.compile(r"-?\d+(\.\d+)?")


def frames(folder: Path) -> tuple[Any, Any]:
    """Return both tables as DeepCAVE reads them, after a check of its rules."""
    space = pandas.read_csv(folder / "configspace.csv")
    trials = pandas.read_csv(folder / "trials.csv")
    assert {"name", "type", "log", "lower", "upper", "default", "ordered"} <= set(space.columns)
    assert space["name"].is_unique
    for _, row in space.iterrows():
        column = trials[row["name"]]
        if row["type"] in ("integer", "float"):
            assert column.between(row["lower"], row["upper"]).all()
            assert row["lower"] < row["upper"]
            continue
        assert row["type"] == "categorical"
        items = [row[c] for c in space.columns if c.startswith("item_") and pandas.notna(row[c])]
        assert all(isinstance(item, str) for item in items), "not read as a number, nor as missing"
        assert row["default"] in items
        assert set(column) <= set(items)
    metrics = [column for column in trials.columns if column.startswith("metric")]
    assert metrics
    for column in metrics:
        match = re.fullmatch(METRIC, column)
        assert match, column
        low, high = float(match[2]), float(match[3])
        assert low < high, "DeepCAVE divides by the difference"
        values = trials[column].dropna()
        assert values.between(low, high).all()
        assert values.index.equals(trials.index[trials["status"] == "SUCCESS"])
    assert set(trials["status"]) <= {"SUCCESS", "CRASHED"}
    assert (trials["end_time"] >= trials["start_time"]).all()
    chosen = trials.groupby("config_id")[list(space["name"])].nunique()
    assert (chosen == 1).all(axis=None)
    assert len(trials[list(space["name"])].drop_duplicates()) == trials["config_id"].nunique()
    with (folder / "trials.csv").open() as file:
        for row in csv.DictReader(file):
            for name in (*metrics, "start_time", "end_time", "budget", "cost"):
                assert row[name] == "" or DECIMAL.fullmatch(row[name]), (name, row[name])
    return space, trials


def finished(space: SearchSpace, n: int = 6, **given: Any) -> list[Trial]:
    designs = space.enumerate()[:n]
    return [
        Trial(design, value=3.0 * i, number=i, started=100.0 + i, finished=100.5 + i, **given)
        for i, design in enumerate(designs)
    ]


def test_statuses_times_seeds_and_origins_are_written(tmp_path: Path) -> None:
    trials = finished(SPACE)
    design = trials[1].design.described("mutation")
    trials[1] = Trial(design, error="out of memory", number=1, started=101.0, finished=109.25)
    running = Trial(SPACE.enumerate()[7], number=7)
    _, table = frames(write_deepcave([*trials, running], SPACE, tmp_path, seed=4))
    assert list(table["status"]) == ["SUCCESS", "CRASHED", *["SUCCESS"] * 4]
    assert list(table["metric:objective [0; 15] (minimize)"].dropna()) == [0, 6, 9, 12, 15]
    assert (table["start_time"][1], table["end_time"][1]) == (101.0, 109.25)
    assert table["origin"][1] == "mutation"
    assert set(table["seed"]) == {4}
    assert list(table["trial"]) == list(range(6))


def test_every_configuration_is_written_as_it_is(tmp_path: Path) -> None:
    space = ChainSpace(3, ["conv3x3"], ["maxpool2"], [8, 16])
    trials = finished(space, 40)
    table, rows = frames(write_deepcave(trials, space, tmp_path))
    conditional = {d.name for d in space.decisions if d.conditions}
    inactive = {name for name in table["name"] if (rows[name] == "inactive").any()}
    assert inactive
    assert inactive <= conditional
    for trial, (_, row) in zip(trials, rows.iterrows(), strict=True):
        for decision, index in zip(space.decisions, trial.design.row, strict=True):
            expected = "inactive" if index < 0 else decision.choices[index]
            assert row[decision.name].strip("'") == expected


class Odd(SearchSpace):
    """Names and choices that a reader of CSV files could take for something else."""

    name = "odd"
    operations = ("conv",)
    decisions = (
        Decision("status", ("None", "NA", "true", "", "none", "1e3", "8", "a,b", 'c"d')),
        Decision("metric:x", ("inactive", "nan")),
        Decision("depth", ("1", "2"), ordered=True),
    )

    def decode(self, row: Any) -> Any:
        return SPACE.enumerate()[int(row[0])].architecture

    def encode(self, architecture: Any) -> Any:
        raise NotImplementedError


def test_names_and_choices_are_read_back_as_texts(tmp_path: Path) -> None:
    space = Odd()
    rows = [(i, i % 2, i % 2) for i in range(9)]
    trials = [Trial(Design(space.decode(row), row), value=float(row[0])) for row in rows]
    hyperparameters, table = frames(write_deepcave(trials, space, tmp_path))
    assert list(hyperparameters["name"]) == ["decision_status", "decision_metric:x", "depth"]
    texts = list(table["decision_status"])
    assert texts == ["'None'", "'NA'", "'true'", "''", "none", "'1e3'", "'8'", "a,b", 'c"d']
    assert list(hyperparameters["ordered"]) == [False, False, True]


@pytest.mark.parametrize("values", [[5.0, 5.0], [0.0, 0.0], [-1e-9, 1e-9], [1e20, 2e20], []])
def test_bounds_differ_and_numbers_are_plain(values: list[float], tmp_path: Path) -> None:
    trials = [Trial(d, value=v) for d, v in zip(SPACE.enumerate(), values, strict=False)]
    trials.append(Trial(SPACE.enumerate()[5], error="failed"))
    frames(write_deepcave(trials, SPACE, tmp_path))


def test_objectives_that_all_have_and_the_cost_are_written(tmp_path: Path) -> None:
    def evaluation(i: int) -> Evaluation:
        more = {"latency-ms": 0.5 * i} if i else {}
        return Evaluation({"error": 3.0 * i, "test error": 1.0 + i, **more}, cost=2.5)

    trials = [
        Trial(t.design, value=t.value, number=i, evaluation=evaluation(i))
        for i, t in enumerate(finished(SPACE))
    ]
    _, table = frames(write_deepcave(trials, SPACE, tmp_path, objective="error"))
    names = [column for column in table.columns if column.startswith("metric")]
    assert names == ["metric:error [0; 15] (minimize)", "metric:test_error [1; 6] (minimize)"]
    assert set(table["cost"]) == {2.5}


def test_the_budget_is_in_epochs(tmp_path: Path) -> None:
    first, second = SPACE.enumerate()[:2]
    full = Evaluation({"objective": 1.0}, facts={"epochs": 90.0})
    trials = [
        Trial(first, value=2.0, fidelity={"epochs": 3.0, "width": 0.5}),
        Trial(first, value=1.0, evaluation=full),
        Trial(second, error="failed"),
    ]
    _, table = frames(write_deepcave(trials, SPACE, tmp_path))
    assert list(table["budget"]) == [3, 90, 90], "a failed trial would have had the full budget"
    assert list(table["config_id"]) == [0, 0, 1]
    assert table["fidelity_width"][0] == 0.5
    _, table = frames(write_deepcave(finished(SPACE), SPACE, tmp_path))
    assert table["budget"].isna().all()


def test_pools_are_written_as_parts_of_their_space_or_as_numbers(tmp_path: Path) -> None:
    members = [design.architecture for design in SPACE.enumerate()[::2]]
    part = PoolSpace(members, parent=SPACE)
    hyperparameters, _ = frames(write_deepcave(finished(part), part, tmp_path / "part"))
    assert list(hyperparameters["name"]) == [decision.name for decision in SPACE.decisions]
    for pool in (PoolSpace(members), PoolSpace(members[:1])):
        _, table = frames(write_deepcave(finished(pool), pool, tmp_path / "pool"))
        assert list(table["architecture"]) == list(range(len(table)))
    joint = JointSpace(PoolSpace(members), ConfigurationSpace({"rate": (0.1, 1.0)}))
    rng = np.random.default_rng(0)
    trials = [Trial(joint.sample(rng), value=float(i), number=i) for i in range(4)]
    hyperparameters, table = frames(write_deepcave(trials, joint, tmp_path / "joint"))
    assert list(hyperparameters["name"]) == ["architecture", "rate"]
    assert list(table["architecture"]) == [trial.design.row[0] for trial in trials]


def test_nothing_to_write_and_nowhere_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished trial"):
        write_deepcave([Trial(SPACE.enumerate()[0])], SPACE, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_deepcave(finished(SPACE), SPACE, tmp_path / "file")


# The command -----------------------------------------------------------------------------------


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0


TOML = """
[space]
type = "cell"
nodes = 3
operations = ["conv", "skip"]
on = "edges"

[evaluate]
function = "deepcave_train:evaluate"
"""


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(TOML)
    (tmp_path / "deepcave_train.py").write_text("def evaluate(cell):\n    return len(cell.edges)\n")
    return path


def test_studies_of_every_optimiser_are_exported(
    problem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["random", "regularized-evolution:population=4,sample=2", "local-search"]
    command = ["compare", str(problem), "--optimizers", ",".join(names), "--trials", "6"]
    run(*command, "--seeds", "2", "--output", str(tmp_path / "runs"))
    target = tmp_path / "cave"
    export = ["export", "deepcave", str(tmp_path / "runs"), str(target), "--problem", str(problem)]
    for _ in range(2):
        run(*export)
    folders = sorted(target.iterdir())
    assert len(folders) == 6
    assert [f.name[:-5] for f in folders[:2]] == ["local-search-000", "local-search-001"]
    for folder in folders:
        assert "." not in folder.name
        _, table = frames(folder)
        assert len(table) == 6
        assert set(table["seed"]) == {int(folder.name[-8:-5])}
    assert capsys.readouterr().out.count("Written") == 13


def test_the_folder_of_a_search_is_exported(problem: Path, tmp_path: Path) -> None:
    command = ["search", str(problem), "--optimizer", "random", "--trials", "3", "--seed", "5"]
    run(*command, "--output", str(tmp_path / "run"))
    run("export", "deepcave", str(tmp_path / "run"), str(tmp_path), "--problem", str(problem))
    (first,) = tmp_path.glob("random-5-*")
    _, table = frames(first)
    assert set(table["seed"]) == {5}
    for size in (3, 2):
        command[3] = f"regularized-evolution:population=3,sample={size}"
        found = str(tmp_path / f"run{size}")
        run(*command, "--output", found)
        run("export", "deepcave", found, str(tmp_path), "--problem", str(problem))
    assert len(list(tmp_path.glob("regularized-evolution-5-*"))) == 2, "one took the other's place"


def test_what_cannot_be_exported_is_named(
    problem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Study(SPACE, FunctionEvaluator(lambda cell: 1.0), "random", storage=tmp_path / "x.sqlite").run(
        trials=2
    )
    (tmp_path / "empty").mkdir()
    other = tmp_path / "other.toml"
    other.write_text(TOML.replace("3", "4").replace('"conv", ', ""))
    file = str(tmp_path / "x.sqlite")
    for arguments, message in (
        ([str(tmp_path / "empty")], "is no study; give a file such as study.sqlite"),
        ([str(tmp_path / "nowhere")], "is no study"),
        ([file], "does not say which problem it is of; name it with --problem"),
        ([file, "--problem", str(other)], "whose space is another one"),
        ([str(problem)], "is not a study file"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["export", "deepcave", arguments[0], str(tmp_path / "out"), *arguments[1:]])
        assert end.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
