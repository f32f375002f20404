"""`benchmarks/throughput.py` trains in every way and writes what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from graphbo.training.native import available

COMMAND = Path(__file__).parents[2] / "benchmarks" / "throughput.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(COMMAND), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_measures_every_way_of_training(tmp_path: Path) -> None:
    output = tmp_path / "results" / "throughput.json"
    small = "--networks 4 --train 32 --validation 16 --channels 2 --repeats 1 --threads 1"
    where = ["--device", "cpu", "--processes", "2", "--output", str(output)]
    done = run(*small.split(), *where)
    assert done.returncode == 0, done.stderr
    backends = ["torch", "native"] if available() else ["torch"]
    rows = json.loads(output.read_text())["rows"]
    assert [(row["way"], row["processes"], row["size"]) for row in rows] == [
        ("one at a time", 1, 1),
        *((f"population, {backend}", 1, size) for backend in backends for size in (1, 2, 4)),
        ("processes", 2, 1),
        ("processes with a population", 2, 2),
    ]
    assert rows[0]["ratio"] == 1
    for row in rows:
        assert row["networks"] == 4
        assert row["per_minute"] == pytest.approx(240 / row["seconds"])
        assert f"| {row['way']} | {row['processes']} | 1 | {row['size']} |" in done.stdout


def test_numbers_out_of_range_are_refused() -> None:
    done = run("--networks", "0")
    assert done.returncode == 2
    assert "all numbers must be at least 1" in done.stderr
