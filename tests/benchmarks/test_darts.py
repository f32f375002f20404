"""`benchmarks/darts.py` runs every method and writes what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "benchmarks" / "darts.py"


@pytest.mark.slow
def test_it_runs_every_method(tmp_path: Path) -> None:
    output = tmp_path / "results" / "darts.json"
    small = "--seeds 2 --epochs 1 --second-order --supernet-epochs 1 --candidates 5 --train 64"
    more = "--validation 60 --calibrate 1"
    command = [sys.executable, str(COMMAND), *small.split(), *more.split(), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    searches = {"darts", "darts, second order", "supernet"}
    methods = {*searches, *(f"random at the cost of {name}" for name in searches), "a random cell"}
    assert {row["method"] for row in rows} == methods
    assert len(rows) == 2 * len(methods)
    for row in rows:
        assert row["regret"] >= 0
        assert row["trainings"] >= 0
        assert f"| {row['method']} |" in done.stdout
