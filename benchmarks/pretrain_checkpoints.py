"""Pretrain the encoders that come with the package, and say how long that takes.

Runs ``graphbo pretrain`` for each, as the cards beside the checkpoints say it, and prints the
minutes and the size. Two threads are what "two cores" means in the docs.

    python benchmarks/pretrain_checkpoints.py
    python benchmarks/pretrain_checkpoints.py --spaces nasbench101 --quick --folder /tmp/checkpoints
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from graphbo import cli

FOLDER = Path(__file__).resolve().parents[1] / "embeddings" / "data"
ARGUMENTS = {"nasbench201": ["--table", "digits-table"], "nasbench101": []}
"""What each space is pretrained on, beside the proxies that are taken by default."""

_QUICK = ["--no-proxies", "--epochs", "1", "--architectures", "100"]


def main() -> None:
    """Write the checkpoints and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", type=_names, default=list(ARGUMENTS), help="comma-separated")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="hardly pretrain, to try it out")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.spaces if name not in ARGUMENTS]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; choose from {', '.join(ARGUMENTS)}")
    torch.set_num_threads(arguments.threads)
    lines = ["| checkpoint | minutes | kB |", "| --- | ---: | ---: |"]
    for name in arguments.spaces:
        path = arguments.folder / f"{name}.pt"
        options = _QUICK if arguments.quick else ARGUMENTS[name]
        start = time.perf_counter()
        try:
            cli.main(["pretrain", name, *options, "--output", str(path)])
        except SystemExit as end:
            if end.code:
                raise
        minutes = (time.perf_counter() - start) / 60
        lines.append(f"| {name} | {minutes:.1f} | {path.stat().st_size / 1000:.0f} |")
    print("\n".join(lines))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


if __name__ == "__main__":
    main()
