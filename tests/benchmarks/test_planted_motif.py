"""The motif is found in most draws; `benchmarks/planted_motif.py` measures in how many."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "planted_motif.py"
    spec = importlib.util.spec_from_file_location("planted_motif", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_motif_comes_first(benchmark: ModuleType) -> None:
    cases = benchmark.measure(draws=4, graphs=50, pool_size=2000)
    assert len(cases) == 4
    assert np.mean([case["first"] for case in cases.values()]) > 0.8


@pytest.mark.slow
def test_without_a_signal_it_does_not(benchmark: ModuleType) -> None:
    cases = benchmark.measure(draws=3, graphs=30, noise=100.0, pool_size=2000)
    assert np.mean([case["first"] for case in cases.values()]) < 0.5
