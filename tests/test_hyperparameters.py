"""A search of hyperparameters, from the command line and from Python to its exports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ConfigSpace import ConfigurationSpace

import graphbo
from graphbo.architecture import Architecture
from graphbo.cli import main
from graphbo.evaluators import FunctionEvaluator
from graphbo.spaces import CellSpace, HyperparameterSpace, JointSpace
from graphbo.testing.optimizers import example_hyperparameters

CELLS = CellSpace(3, ["a", "b"], on="edges")
JOINT = JointSpace(CELLS, example_hyperparameters())


def both(architecture: Architecture, chosen: Mapping[str, Any]) -> float:
    return float(chosen["rate"]) + chosen["layers"] - len(architecture.edges)


def test_an_objective_takes_what_the_space_has() -> None:
    result = graphbo.minimize(both, JOINT, budget=12, seed=1, optimizer="random")
    assert result.failed == 0
    assert result.value == both(result.architecture, result.hyperparameters)
    alone = HyperparameterSpace(ConfigurationSpace({"x": (0.0, 1.0)}))
    found = graphbo.minimize(lambda chosen: chosen["x"], alone, budget=8, optimizer="random")
    assert found.value == found.hyperparameters["x"]
    with pytest.raises(graphbo.InputError, match="a function takes one of architecture"):
        FunctionEvaluator(both, takes="everything")


def test_a_stored_search_goes_on_to_the_last_design(tmp_path: Path) -> None:
    whole = graphbo.minimize(both, JOINT, budget=8, seed=2, optimizer="graph-bo")
    path = tmp_path / "study.sqlite"
    graphbo.minimize(both, JOINT, budget=6, seed=2, optimizer="graph-bo", storage=path)
    resumed = graphbo.minimize(both, JOINT, budget=8, seed=2, optimizer="graph-bo", storage=path)
    assert [t.design for t in resumed.trials] == [t.design for t in whole.trials]
    assert [t.design.row for t in resumed.trials] == [t.design.row for t in whole.trials]
    other = JointSpace(CELLS, ConfigurationSpace({"rate": (0.0, 2.0), "layers": (1, 8)}))
    with pytest.raises(graphbo.InputError, match="holds another study"):
        graphbo.minimize(both, other, budget=8, seed=2, optimizer="graph-bo", storage=path)


def test_a_function_is_minimised_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    arguments = ["search", "branin", "--optimizer", "tpe", "--trials", "15", "--output", folder]
    with pytest.raises(SystemExit) as done:
        main(list(map(str, arguments)))
    assert not done.value.code
    printed = capsys.readouterr().out
    assert "Best of 15 configurations" in printed
    assert "  x1: " in printed
    assert not (folder / "architecture.png").exists()
    with pytest.raises(SystemExit):
        main(["export", "deepcave", str(folder), str(tmp_path / "cave")])
    (written,) = (tmp_path / "cave").rglob("configspace.csv")
    assert {line.split(",")[0] for line in written.read_text().splitlines()[1:]} == {"x1", "x2"}


def test_comparisons_write_hyperparameters(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    graphbo.compare("branin", ["random", "local-search"], trials=5, seeds=1, output=tmp_path)
    table = pandas.read_parquet(tmp_path / "evaluations.parquet")
    assert table[["hyperparameter_x1", "hyperparameter_x2"]].notna().all(axis=None)


def test_optuna_suggests_both() -> None:
    optuna = pytest.importorskip("optuna")
    from graphbo.integrations.optuna import GraphSampler, suggest

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seen = []

    def objective(trial: Any) -> float:
        design = suggest(trial, JOINT)
        seen.append(design)
        return both(design.architecture, design.hyperparameters)

    study = optuna.create_study(sampler=GraphSampler(JOINT, "graph-bo"))
    study.optimize(objective, n_trials=9)
    assert len(set(seen)) == 9
    assert {"rate", "layers"} <= study.best_params.keys()


SMALL = JointSpace(
    CellSpace(2, ["a", "b"], on="edges"), ConfigurationSpace({"n": (1, 3), "o": ["x", "y", "z"]})
)


PROBLEM = """
objectives = ["loss", "layers"]
[hyperparameters]
rate = { low = 0.1, high = 1.0 }
layers = { low = 1, high = 4 }
[evaluate]
function = "measured_layers:evaluate"
objective = "loss"
"""
MEASURED = """
def evaluate(chosen):
    return {"loss": chosen["rate"] / chosen["layers"], "layers": float(chosen["layers"])}
"""


@pytest.mark.parametrize("optimizer", ["random", "nsga2", "graph-bo", "parego"])
def test_a_space_with_an_end_is_exhausted_when_all_of_it_was_tried(optimizer: str) -> None:
    def small(architecture: Architecture, chosen: Mapping[str, Any]) -> float:
        return float(chosen["n"]) - len(architecture.edges)

    result = graphbo.minimize(small, SMALL, budget=40, optimizer=optimizer, batch=9)
    assert result.exhausted
    assert len({trial.design for trial in result.trials}) == len(result.trials) == 27


def test_constants_alone_leave_the_architectures() -> None:
    space = JointSpace(CELLS, ConfigurationSpace({"rate": 0.1}))
    result = graphbo.minimize(lambda cell, chosen: 9.0 - len(cell.edges), space, 8)
    assert (result.failed, result.hyperparameters) == (0, {"rate": 0.1})
    alone = HyperparameterSpace(ConfigurationSpace({"rate": 0.1}))
    assert len(graphbo.minimize(lambda chosen: chosen["rate"], alone, 8).trials) == 1


def test_a_front_is_printed_with_its_hyperparameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "problem.toml").write_text(PROBLEM)
    (tmp_path / "measured_layers.py").write_text(MEASURED)
    arguments = ["--optimizer", "nsga2", "--trials", "9", "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as done:
        main(["search", str(tmp_path / "problem.toml"), *arguments])
    assert not done.value.code
    printed = capsys.readouterr().out
    assert "layers = " in printed
    assert "operation" not in printed
