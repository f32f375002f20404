"""`benchmarks/kernel_speed.py` runs without GraKeL and writes what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "benchmarks" / "kernel_speed.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(COMMAND), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_measures_every_kernel_and_one_peak(tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    done = run(
        *("--without-grakel", "--sizes", "5,12", "--repeats", "1", "--output", str(output)),
        *("--memory-graphs", "40", "--memory-kernels", "WLKernel"),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    assert {"WLKernel", "WLRBFKernel", "SubsequenceKernel"} <= set(result["seconds"])
    for name, times in result["seconds"].items():
        assert set(times) == {"5", "12"}
        assert min(times.values()) > 0
        assert f"| {name} |" in done.stdout
    peak = result["memory"]["WLKernel"]
    assert peak["process"] >= peak["imports"] > 0
    assert peak["gram"] == 40 * 40 * 8 / 1e9
    assert "GraKeL" not in done.stdout


def test_an_unknown_kernel_is_refused() -> None:
    done = run("--memory-kernels", "Unknown")
    assert done.returncode == 2
    assert "there is no kernel 'Unknown'; choose from WLKernel, " in done.stderr
