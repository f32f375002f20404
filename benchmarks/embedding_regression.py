"""How well pretrained encoders rank the cells of a table after few or no target labels.

Fits the surrogates of a search to the validation errors of a few cells, predicts all others, and
correlates the predictions with the table by Kendall's tau. With no target label at all, what an
encoder learned from cheap labels ranks the cells. Every surrogate sees the same draws, and a
smaller training set is the beginning of a larger one; each repeat draws its cheap labels and
pretrains its encoder, too. The labels of the target are never among the cheap ones.

Proxies and encoders are kept under ``--folder``, where `embedding_search.py` finds them as well.

    python benchmarks/embedding_regression.py --problem nasbench201-cifar10 --tables digits-table \
        --output benchmarks/results/0.1.0/embedding-regression-nasbench201-cifar10.json
    python benchmarks/embedding_regression.py --quick --repeats 2 --sizes 0,10 --test-cells 500
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from embedding_setting import (
    METHODS,
    Known,
    Setting,
    add_options,
    choose,
    load_target,
    mapping,
    names,
    numbers,
    predicted,
    prepare,
)
from scipy.stats import kendalltau

from graphbo import __version__
from graphbo.errors import InputError
from graphbo.evaluators import TableEvaluator
from graphbo.spaces import Design

DEFAULT = [
    "kernels and embedding",
    "embedding",
    "embedding without prior mean",
    "embedding without pretraining",
    "kernels",
    "graph kernel",
    "plain vector",
]


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--methods", type=names, default=DEFAULT, help="comma-separated")
    parser.add_argument("--sizes", type=numbers, default=[0, 10, 25, 46, 100, 233])
    parser.add_argument("--repeats", type=int, default=20, help="at least 2")
    parser.add_argument("--test-cells", type=int, default=3000)
    arguments = parser.parse_args()
    choose(parser, arguments.methods, list(METHODS))
    if arguments.repeats < 2:
        parser.error("a standard error takes at least 2 repeats")
    try:
        result = measure(
            Setting.of(arguments),
            arguments.methods,
            arguments.sizes,
            arguments.repeats,
            arguments.test_cells,
            arguments.processes,
        )
    except InputError as error:
        parser.error(str(error))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def measure(
    setting: Setting,
    methods: Sequence[str],
    sizes: Sequence[int],
    repeats: int,
    test_cells: int,
    processes: int,
) -> dict[str, Any]:
    """Return the mean and the standard error of Kendall's tau, by method and size."""
    prepare(setting)
    available = len(recorded(setting)[0])
    if not 0 <= min(sizes) <= max(sizes) <= available - test_cells:
        raise InputError(
            f"the sizes and the {test_cells} test cells must fit into the {available} cells of "
            f"{setting.problem}"
        )
    with mapping(processes) as computed:
        tasks = [
            (setting, tuple(methods), repeat, tuple(sizes), test_cells) for repeat in range(repeats)
        ]
        runs = []
        for repeat, found in enumerate(computed(_correlations, tasks)):
            runs.append(found)
            print(f"repeat {repeat}: {found}", file=sys.stderr, flush=True)
    return {
        "version": __version__,
        **setting.described,
        "sizes": list(sizes),
        "repeats": repeats,
        "test_cells": test_cells,
        "methods": {method: _summary(sizes, [run[method] for run in runs]) for method in methods},
    }


def recorded(setting: Setting) -> tuple[list[Design], list[float]]:
    """Return the designs of the target's table, and their values."""
    problem = load_target(setting.problem, setting.data)
    if not isinstance(problem.evaluator, TableEvaluator):
        raise InputError(f"the problem {setting.problem} has no table")
    values = problem.evaluator.values(problem.objective)
    kept = np.flatnonzero(np.isfinite(values))
    designs = [problem.space.design_of(problem.evaluator.architectures[i]) for i in kept]
    return designs, values[kept].tolist()


def correlations(
    setting: Setting, methods: Sequence[str], repeat: int, sizes: Sequence[int], test_cells: int
) -> dict[str, list[float | None]]:
    """Return Kendall's tau of each method at each size, None without labels or a prior."""
    designs, values = recorded(setting)
    order = np.random.default_rng(repeat).permutation(len(designs))
    test = [designs[i] for i in order[len(order) - test_cells :]]
    truth = [values[i] for i in order[len(order) - test_cells :]]
    known, result = Known(setting, repeat), {}
    for method in methods:
        surrogate = METHODS[method](known).surrogate
        taus: list[float | None] = []
        for size in sizes:
            train = order[:size]
            if size:
                surrogate.fit([designs[i] for i in train], [values[i] for i in train])
                scores = predicted(surrogate, test)
            elif surrogate.has_prior:
                scores = surrogate.prior_scores(test)
            else:
                taus.append(None)
                continue
            taus.append(float(kendalltau(scores, truth).statistic))
        result[method] = taus
    return result


def _correlations(
    task: tuple[Setting, tuple[str, ...], int, tuple[int, ...], int],
) -> dict[str, list[float | None]]:
    return correlations(*task)


def _summary(sizes: Sequence[int], runs: Sequence[Sequence[float | None]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for size, taus in zip(sizes, zip(*runs, strict=True), strict=True):
        found = [tau for tau in taus if tau is not None]
        if found:
            error = np.std(found, ddof=1) / np.sqrt(len(found))
            result[str(size)] = {"mean": float(np.mean(found)), "standard_error": float(error)}
    return result


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result."""
    sizes = [str(size) for size in result["sizes"]]
    title = f"Kendall's tau, `{result['problem']}`, {result['repeats']} repeats"
    head = [title, *(f"{size} labels" for size in sizes)]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * len(sizes)]
    for method, found in result["methods"].items():
        entries = [found.get(size) for size in sizes]
        row = [f"{e['mean']:.3f} ± {e['standard_error']:.3f}" if e else "-" for e in entries]
        lines.append(f"| {method} | " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
