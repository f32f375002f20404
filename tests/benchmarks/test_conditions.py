"""The collection of measurements, on the table that comes with the package."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.advice import read_measurements
from graphbo.problems import get_problem

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("conditions")


def test_conditions_have_different_names(module: Any) -> None:
    names = [condition.name for condition in module.CONDITIONS]
    assert len(set(names)) == len(names)


def test_points_end_with_the_budget(module: Any) -> None:
    made = module.Condition
    assert made("p", (), trials=150).points == (10, 25, 50, 100, 150)
    assert made("p", (), trials=144, batch=8).points == (10, 25, 50, 100, 144)
    assert made("p", (), trainings=40).points == (10, 20, 30, 40)


@pytest.mark.slow
def test_comparisons_are_condensed_and_stored(
    module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = (
        module.Condition("digits-table", ("random", "local-search", "q-learning"), trials=12),
        module.Condition("digits-table", ("random", "hyperband"), trainings=4),
    )
    stored, output = tmp_path / "measurements.json", tmp_path / "conditions.json"
    paths = [
        *("--runs", str(tmp_path / "runs"), "--measurements", str(stored)),
        *("--output", str(output)),
    ]
    module.main(["--seeds", "2", "--jobs", "1", *paths], conditions)
    trials, epochs = read_measurements(stored)
    assert (trials.name, trials.problem, trials.points) == (
        "digits-table-12-trials",
        "digits-table",
        (10, 12),
    )
    assert trials.seeds == epochs.seeds == 2
    assert "chain" in trials.inapplicable["q-learning"]
    assert not trials.fidelities
    assert epochs.fidelities
    assert epochs.points == (1, 2, 3, 4)
    summary = json.loads((tmp_path / "runs" / trials.name / "summary.json").read_text())
    for name in ("random", "local-search"):
        expected = summary["optimizers"][name]["mean_regret"]["12"]
        assert trials.mean_regret(name, 1) == pytest.approx(expected, rel=1e-4)
        assert trials.mean_rank(name, 1) == pytest.approx(summary["mean_rank"]["12"][name])
    (spending,) = json.loads((tmp_path / "runs" / epochs.name / "summary.json").read_text())[
        "spending"
    ]
    for name in ("random", "hyperband"):
        expected = list(spending["optimizers"][name]["mean_regret"].values())
        found = [epochs.mean_regret(name, point) for point in range(4)]
        assert found == pytest.approx(expected, rel=1e-4)
        area = spending["optimizers"][name]["area"]
        assert epochs.areas[name].mean() == pytest.approx(area, rel=1e-4)
        found = np.mean(epochs.areas_in_seconds[name])
        assert 0 < found < 100
    assert not trials.areas
    assert not trials.areas_in_seconds
    shown = capsys.readouterr().out
    assert "**`digits-table`**, 2 seeds" in shown
    assert "`q-learning` does not apply" in shown
    assert "| area | area in seconds | s per trial |" in shown
    assert "cannot be advised on" in shown
    assert module.table(json.loads(output.read_text())) in shown
    # Without its runs a condition stays as it is; one that has left the list goes.
    module.main(
        ["--collect", *paths[2:], "--runs", str(tmp_path / "none"), "--seeds", "2"], conditions[1:]
    )
    (kept,) = read_measurements(stored)
    assert kept.name == epochs.name
    np.testing.assert_array_equal(kept.regrets["hyperband"], epochs.regrets["hyperband"])


def test_what_the_problem_refuses_is_not_run(module: Any) -> None:
    problem = get_problem("digits-table")
    condition = module.Condition("digits-table", ("q-learning", "hyperband", "random"), trials=5)
    assert set(module.refusals(condition, problem)) == {"q-learning", "hyperband"}
