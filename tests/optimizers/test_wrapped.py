"""What holds for every optimiser of another package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphbo.architecture import Architecture
from graphbo.evaluators.base import FunctionEvaluator
from graphbo.optimizers import make_optimizer
from graphbo.spaces import CellSpace
from graphbo.study import Study

SPACE = CellSpace(4, ["conv", "skip"], on="edges")
QUICK: dict[str, dict[str, Any]] = {
    "smac": {"initial": 4, "challengers": 50},
    "tpe": {"initial": 4},
}


def error(architecture: Architecture) -> float:
    labels = [label for *_, label in architecture.edges]
    return 30.0 - 4 * labels.count("conv") - labels.count("skip")


@pytest.mark.parametrize("name", QUICK)
def test_a_stopped_search_goes_on_to_the_last_design(name: str, tmp_path: Path) -> None:
    def search(path: Path | None) -> Study:
        optimizer = make_optimizer(name, SPACE, seed=2, **QUICK[name])
        return Study(SPACE, FunctionEvaluator(error), optimizer, seed=2, storage=path)

    whole = search(None).run(trials=14)
    for trials in (3, 6, 14):
        study = search(tmp_path / "study.sqlite")
        result = study.run(trials=trials)
        study.close()
    assert [t.design.row for t in result.trials] == [t.design.row for t in whole.trials]
    assert len(result.trials) == 14
