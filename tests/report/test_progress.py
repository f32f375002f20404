from __future__ import annotations

import pytest

from graphbo.architecture import Architecture
from graphbo.report import describe
from graphbo.report.progress import print_table, quantity


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
