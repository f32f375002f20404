"""`benchmarks/estimators.py` measures every estimator and writes what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "benchmarks" / "estimators.py"


@pytest.mark.slow
def test_it_measures_every_estimator(tmp_path: Path) -> None:
    output = tmp_path / "results" / "estimators.json"
    small = "--cells 6 --epochs 4 --train 96 --validation 90 --channels 3 --supernet-epochs 2"
    command = [sys.executable, str(COMMAND), *small.split(), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    estimators = json.loads(output.read_text())["estimators"]
    assert {"another seed", "1 of 4 epochs", "2 of 4 epochs", "inheritance"} <= set(estimators)
    assert {"supernet", "synflow", "naswot", "snip", "parameters"} <= set(estimators)
    for name, row in estimators.items():
        assert -1 <= row["kendall"] <= 1
        assert row["cost"] > 0
        assert f"| {name} |" in done.stdout
    assert estimators["parameters"]["cost"] < 1
