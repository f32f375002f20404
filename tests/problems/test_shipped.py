"""The tables that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphbo.problems import get_problem, list_problems
from graphbo.problems.curves import CurveTable
from graphbo.problems.tables import SHIPPED
from graphbo.tabulate.check import check
from graphbo.tabulate.protocols import PROTOCOLS
from graphbo.tabulate.statistics import statistics

LARGEST = 3_000_000  # bytes
FILES = sorted(SHIPPED.glob("*.npz"))

pytestmark = pytest.mark.skipif(not FILES, reason="the table has not been built yet")


@pytest.fixture(autouse=True)
def _no_folder_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHBO_DATA", raising=False)


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def table(request: pytest.FixtureRequest) -> CurveTable:
    """Each of them."""
    return CurveTable.read(request.param)


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES) <= LARGEST


def test_they_are_the_first_problems() -> None:
    names = [path.stem for path in FILES]
    assert [name for name, _ in list_problems()][: len(names)] == names


def test_it_is_that_of_its_protocol(table: CurveTable) -> None:
    assert table.about["protocol"] == PROTOCOLS[table.name].to_json()
    assert table.about["licence"].startswith("MIT")


@pytest.mark.slow
def test_it_is_whole(table: CurveTable) -> None:
    assert [finding.detail for finding in check(table) if not finding.passed] == []


@pytest.mark.slow
def test_it_tells_the_better_cells_apart(table: CurveTable) -> None:
    if table.seeds == 1:
        pytest.skip("a single seed tells nothing of the noise")
    found = statistics(table)
    assert found.last.mean_ratio >= 3
    assert found.last.quantiles[-1] < 99.5  # not saturated
    assert found.near_best < 0.05
    assert found.largest_rank > 1  # the best is not the largest


@pytest.mark.slow
def test_its_problem_knows_the_optimum(table: CurveTable) -> None:
    problem = get_problem(table.name)
    means = table.percent("valid")[:, :, -1].mean(axis=1)
    assert problem.space.size == len(table.rows)
    assert problem.optimum == pytest.approx(100 - np.nanmax(means))
    assert Path(SHIPPED, f"{table.name}.npz") in FILES
