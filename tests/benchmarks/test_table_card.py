"""`benchmarks/table_card.py` writes the figures of a table into its card."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from graphbo.problems.curves import CurveTable

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_it_replaces_what_stands_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array([[0, 0, 0, a, 0, 0] for a in range(1, 5)])
    counts = np.array([[[10, 40], [12, 44]], [[9, 50], [9, 52]], [[8, 60]] * 2, [[7, 70]] * 2])
    table = CurveTable(
        "small",
        {"type": "nasbench201"},
        rows=rows,
        epochs=np.array([1, 2]),
        valid=counts,
        images={"valid": 100},
        seconds=np.full((4, 2), 450.0),
        facts={"parameters": np.arange(4)},
        about={"dataset": "dots", "training": "2 epochs", "diverged": "0 trainings"},
    )
    table.write(tmp_path / "small.npz")
    card = tmp_path / "small.md"
    card.write_text("before\n<!-- table:begin -->\nold\n<!-- table:end -->\nafter\n")
    monkeypatch.syspath_prepend(BENCHMARKS)
    importlib.import_module("table_card").main([str(tmp_path / "small.npz"), "--card", str(card)])
    text = card.read_text()
    assert text.startswith("before\n<!-- table:begin -->\n|")
    assert text.endswith("|\n<!-- table:end -->\nafter\n")
    assert "old" not in text
    assert "| dataset | dots |" in text
    assert "| all trainings, one by one on one thread | 1.0 hours |" in text
    assert table.checksum in text
    assert "| 2 | 42.0 |" in text
    assert text.count("\\|avg_pool_3x3~0\\|") == 2  # the best cell, and the largest
