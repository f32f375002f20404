"""`benchmarks/draw_shapes.py` draws a column of images for each class."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMAND = Path(__file__).parents[2] / "benchmarks" / "draw_shapes.py"


def test_it_writes_a_picture(tmp_path: Path) -> None:
    output = tmp_path / "shapes.png"
    small = ["--rows", "1", "--classes", "4", "--size", "8", "--output", str(output)]
    subprocess.run([sys.executable, str(COMMAND), *small], check=True)
    assert output.read_bytes().startswith(b"\x89PNG")
