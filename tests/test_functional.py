from __future__ import annotations

from pathlib import Path

import pytest

import graphbo
from graphbo.evaluators.base import FunctionEvaluator

SPACE = graphbo.CellSpace(4, ["conv3x3", "skip"], on="edges")


def edges(architecture: graphbo.Architecture) -> float:
    return -float(len(architecture.edges))


def test_a_function_of_an_architecture_is_minimised() -> None:
    result = graphbo.minimize(edges, SPACE, budget=SPACE.size or 0, optimizer="random")
    assert result.value == -6
    assert len(result.architecture.edges) == 6
    assert len(result.trials) == SPACE.size


def test_the_default_optimiser_is_graph_bo() -> None:
    result = graphbo.minimize(edges, SPACE, budget=25, seed=1)
    assert result.value == -6


def test_the_same_seed_gives_the_same_search() -> None:
    runs = [graphbo.minimize(edges, SPACE, 10, seed, "random") for seed in (1, 1, 2)]
    first, again, other = ([trial.design for trial in run.trials] for run in runs)
    assert first == again != other


def test_a_search_with_a_file_goes_on(tmp_path: Path) -> None:
    calls = []

    def objective(architecture: graphbo.Architecture) -> float:
        calls.append(architecture)
        return edges(architecture)

    path = tmp_path / "study.sqlite"
    for budget in (5, 12):
        result = graphbo.minimize(objective, SPACE, budget, optimizer="random", storage=path)
        assert len(result.trials) == len(calls) == budget


def test_an_evaluator_serves_as_objective() -> None:
    evaluator = FunctionEvaluator(edges, "edges")
    result = graphbo.minimize(evaluator, SPACE, 3, optimizer="random")
    assert result.best.evaluation is not None
    assert set(result.best.evaluation.objectives) == {"edges"}


def test_progress_shows_the_incumbent(capsys: pytest.CaptureFixture[str]) -> None:
    def objective(architecture: graphbo.Architecture) -> float:
        if len(architecture.edges) > 5:
            raise RuntimeError("too large")
        return edges(architecture)

    graphbo.minimize(objective, SPACE, SPACE.size or 0, optimizer="random", progress=True)
    shown = capsys.readouterr()
    assert f"{SPACE.size}/{SPACE.size}" in shown.err
    assert shown.out == ""


def test_what_cannot_be_searched_is_refused() -> None:
    with pytest.raises(graphbo.InputError, match="space must be a search space"):
        graphbo.minimize(edges, [1, 2, 3])  # type: ignore[arg-type]
    with pytest.raises(graphbo.InputError, match="objective must be a function"):
        graphbo.minimize(7.0, SPACE)  # type: ignore[arg-type]
    with pytest.raises(graphbo.InputError, match="budget"):
        graphbo.minimize(edges, SPACE, budget=0, optimizer="random")


def test_every_export_exists_and_nothing_else_does() -> None:
    for name in graphbo.__all__:
        assert getattr(graphbo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'maximise'"):
        _ = graphbo.maximise
