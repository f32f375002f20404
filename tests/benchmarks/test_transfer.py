"""`benchmarks/transfer.py` searches as it says, and its table shows what it stores."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from graphbo import Result, Trial, get_problem


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "transfer.py"
    spec = importlib.util.spec_from_file_location("transfer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["transfer"] = module  # where its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def test_the_figures_are_regrets_and_their_differences(benchmark: ModuleType) -> None:
    problem = get_problem("digits-table")
    assert problem.optimum is not None
    designs = problem.space.enumerate()[:6]

    def found(above: float) -> Result:
        return Result(tuple(Trial(design, problem.optimum + above) for design in designs))

    runs = [
        {name: found(k + seed) for k, name in enumerate(benchmark.METHODS)} for seed in range(2)
    ]
    setting = benchmark.Setting("digits-table", "digits-table", trials=6)
    result = benchmark.summary(setting, runs)
    regrets = [found["5"] for found in result["mean_regret"].values()]
    assert regrets == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    difference = result["differences"][f"{benchmark.WARM} - random"]["6"]
    assert difference["mean"] == pytest.approx(-5.0)
    assert "| random | 5.50 | 5.50 |" in benchmark.table(result)
    assert "| random | -5.00 [-5.00, -5.00] |" in benchmark.table(result)
