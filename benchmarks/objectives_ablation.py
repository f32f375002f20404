"""What each pretraining objective contributes, and each kind of cheap label.

Pretrains one encoder for each choice of objectives, or of labels, and seed. Measures Kendall's tau
of predictions of the target from a few of its labels, by a Gaussian process on the frozen embedding
and, with ``prior``, with what the encoder predicts as its mean; and the evaluations of the search
with the latter if there is one, else with the former. The labels of the target are never among the
cheap ones.

    python benchmarks/objectives_ablation.py --problem nasbench201-cifar10 --tables digits-table \
        --output benchmarks/results/0.1.0/objectives-nasbench201-cifar10.json
    python benchmarks/objectives_ablation.py --quick --seeds 2 --trials 10 --sizes 0,10
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ablation import search
from embedding_regression import correlations
from embedding_setting import (
    METHODS,
    UNTRAINED,
    Known,
    Setting,
    add_options,
    choose,
    load_target,
    mapping,
    names,
    numbers,
    prepare,
)

from graphbo import __version__
from graphbo.embeddings import OBJECTIVES
from graphbo.errors import InputError

_ALL = tuple(OBJECTIVES)

VARIANTS: dict[str, dict[str, Any]] = {
    "supervised and reconstruction": {},
    "supervised": {"objectives": ("supervised",)},
    "reconstruction": {"objectives": ("reconstruction",)},
    "masked operations": {"objectives": ("masked",)},
    "contrastive": {"objectives": ("contrastive",)},
    "supervised and masked operations": {"objectives": ("supervised", "masked")},
    "supervised and contrastive": {"objectives": ("supervised", "contrastive")},
    "all four": {"objectives": _ALL},
    "all but supervised": {"objectives": _ALL[1:]},
    "not pretrained": {"objectives": (UNTRAINED,)},
    "without tables": {"tables": ()},
    "without proxies": {"proxies": ()},
    "parameters and FLOPs alone": {"tables": (), "proxies": ("parameters", "flops")},
}
"""What is other than by default."""


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--variants", type=names, default=list(VARIANTS), help="comma-separated")
    parser.add_argument("--sizes", type=numbers, default=[0, 25, 100])
    parser.add_argument("--seeds", type=int, default=10, help="at least 2")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--test-cells", type=int, default=3000)
    arguments = parser.parse_args()
    choose(parser, arguments.variants, list(VARIANTS))
    if arguments.seeds < 2:
        parser.error("a standard error takes at least 2 seeds")
    setting = Setting.of(arguments)
    if not setting.proxies:
        parser.error("the ablation leaves proxies out by itself; name some")
    variants = {
        name: replace(setting, **VARIANTS[name])
        for name in arguments.variants
        if setting.tables or "tables" not in VARIANTS[name]
    }
    result = {
        "version": __version__,
        **setting.described,
        "sizes": arguments.sizes,
        "seeds": arguments.seeds,
        "trials": arguments.trials,
        "test_cells": arguments.test_cells,
        "variants": {},
    }
    try:
        prepare(setting)
        with mapping(arguments.processes) as computed:
            for name, variant in variants.items():
                tasks = [
                    (variant, seed, arguments.sizes, arguments.test_cells, arguments.trials)
                    for seed in range(arguments.seeds)
                ]
                found = _summary(list(computed(_run, tasks)))
                result["variants"][name] = found
                print(name, found, file=sys.stderr, flush=True)
    except InputError as error:
        parser.error(str(error))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def _run(task: tuple[Setting, int, Sequence[int], int, int]) -> dict[str, float]:
    """Return the tau of each way and size, and the evaluations to the optimum."""
    setting, seed, sizes, test_cells, trials = task
    ways = {"plain": "embedding without prior mean"}
    if "supervised" in setting.objectives and (setting.tables or setting.proxies):
        ways["prior"] = "embedding"
    taus = correlations(setting, list(ways.values()), seed, sizes, test_cells)
    result = {
        f"{way} {size}": tau
        for way, method in ways.items()
        for size, tau in zip(sizes, taus[method], strict=True)
        if tau is not None
    }
    optimizer = METHODS[list(ways.values())[-1]](Known(setting, seed))
    problem = load_target(setting.problem, setting.data)
    return {**result, "evaluations": search(problem, optimizer, trials)[0]}


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "mean": float(np.mean([run[name] for run in runs])),
            "standard_error": float(np.std([run[name] for run in runs], ddof=1) / len(runs) ** 0.5),
        }
        for name in runs[0]
    }


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result."""
    columns = {
        **{f"plain {size}": f"tau, {size} labels" for size in result["sizes"] if size},
        **{f"prior {size}": f"tau, {size} labels, prior" for size in result["sizes"]},
        "evaluations": "evaluations to the optimum",
    }
    head = [f"`{result['problem']}`, {result['seeds']} seeds", *columns.values()]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * len(columns)]
    for variant, found in result["variants"].items():
        row = []
        for name in columns:
            entry, digits = found.get(name), 1 if name == "evaluations" else 3
            row.append(
                f"{entry['mean']:.{digits}f} ± {entry['standard_error']:.{digits}f}"
                if entry
                else "-"
            )
        lines.append(f"| {variant} | " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
