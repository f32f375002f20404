from __future__ import annotations

import pytest

from graphbo.architecture import Architecture
from graphbo.evaluators import FunctionEvaluator
from graphbo.report import describe
from graphbo.report.progress import print_table, quantity, search_progress
from graphbo.spaces import CellSpace
from graphbo.study import Study


def test_an_architecture_reads_as_its_nodes_and_their_inputs() -> None:
    architecture = Architecture(
        ["input", "", "conv3x3", "output"], [(0, 1, "skip"), (0, 2), (1, 3, "pool"), (2, 3)]
    )
    assert describe(architecture).splitlines() == [
        "0  input",
        "1  sum      <- skip(0)",
        "2  conv3x3  <- 0",
        "3  output   <- pool(1), 2",
    ]


def test_errors_are_in_percent() -> None:
    assert quantity("validation_error", 8.39) == "validation error 8.39 %"
    assert quantity("loss", 0.123456) == "loss 0.1235"


def test_a_table_prints_its_title_and_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Results", ["name", "value"], [["random", "1.5"]])
    shown = capsys.readouterr().out
    for text in ("Results", "name", "value", "random", "1.5"):
        assert text in shown


def test_the_best_so_far_keeps_the_constraints(capsys: pytest.CaptureFixture[str]) -> None:
    def measured(cell: Architecture) -> dict[str, float]:
        size = float(len(cell.edges))
        return {"error": 9.0 - size, "size": size}

    space = CellSpace(3, ["a", "b"], on="edges")
    evaluator = FunctionEvaluator(measured, "error")
    for bound, shown in (("size<=1", "best error 8 %"), ("size<=-1", "15/15 ")):
        study = Study(space, evaluator, "random", objective="error", constraints=[bound])
        with search_progress(study, 15) as callback:
            study.run(15, callback=callback)
        last = capsys.readouterr().err.splitlines()[-1]
        assert shown in last
        assert ("best" in last) == (bound == "size<=1")
