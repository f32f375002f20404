"""How well cheap estimates rank cells, and what they cost, beside training each cell alone.

Random cells of NAS-Bench-201, all different, are trained alone. Each estimator ranks them too, and
its Spearman and Kendall correlation with the validation error of training alone is printed, the
latter also among the better half of the cells, beside its cost: the seconds that it took for all
cells, divided by those of training alone, in one run on one machine with one thread.

- another seed: training alone once more, which no estimate can be expected to beat;
- fewer epochs: the same trainings, stopped early;
- inheritance: the cells one after the other, each from the nearest one before it;
- supernet: trained once, its training counted in;
- proxies: minus the score, from untrained networks.

With ``--table``, training alone is looked up in a file that ``graphbo table`` wrote; data, network
and recipe are those that it records. The seconds of the table are scaled by ``--calibrate``
trainings here.

    python benchmarks/estimators.py --dataset shapes --cells 100
    python benchmarks/estimators.py --table graphbo/problems/data/digits-table.npz \
        --output benchmarks/results/0.1.0/estimators.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from throughput import sample

from graphbo.datasets.base import ImageData
from graphbo.datasets.digits import digits
from graphbo.datasets.shapes import shapes
from graphbo.evaluators.base import Evaluator
from graphbo.evaluators.inheritance import InheritanceEvaluator
from graphbo.evaluators.proxy import ProxyEvaluator
from graphbo.evaluators.supernet import SupernetEvaluator
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.networks import NASBench201Network
from graphbo.problems.curves import CurveTable
from graphbo.spaces import Design, NASBench201Space
from graphbo.tabulate.check import recorded_protocol
from graphbo.training.proxies import PROXIES
from graphbo.training.recipe import Recipe
from graphbo.trial import Evaluation, Job

DATASETS: dict[str, Callable[[], ImageData]] = {"digits": digits, "shapes": shapes}

Estimates = dict[str, tuple[NDArray[np.float64], float]]
"""By estimator the values of all cells, the lower the better, and the seconds for all of them."""


def run(evaluator: Evaluator, cells: list[Design], seed: int) -> list[Evaluation]:
    """Evaluate all cells together; a failure ends the benchmark."""
    found = []
    for report in evaluator.evaluate([Job(cell, seed=seed) for cell in cells]):
        if report.evaluation is None:
            raise RuntimeError(report.error)
        found.append(report.evaluation)
    return found


def values(evaluations: list[Evaluation]) -> NDArray[np.float64]:
    """Return the first objective of each."""
    return np.array([next(iter(evaluation.objectives.values())) for evaluation in evaluations])


def seconds(evaluations: list[Evaluation]) -> float:
    """Return the cost of all."""
    return sum(evaluation.cost for evaluation in evaluations)


def estimate(
    cells: list[Design],
    alone: Evaluator,
    training: TrainingEvaluator,
    arguments: argparse.Namespace,
) -> tuple[NDArray[np.float64], float, Estimates]:
    """Return the errors of training alone, its seconds, and the estimates."""
    seed, recipe = arguments.seed, training.recipe
    training.evaluate_one(Job(cells[0], {"epochs": 1}))  # the first of a process is slow
    truth = run(alone, cells, seed)
    scale = 1.0
    if alone is not training:
        few = cells[: arguments.calibrate]
        scale = seconds(run(training, few, seed)) / seconds(truth[: len(few)])
    total = scale * seconds(truth)
    found: Estimates = {}
    again = run(alone, cells, seed + 1)
    found["another seed"] = values(again), scale * seconds(again)
    for epochs in sorted({1, recipe.epochs // 4, recipe.epochs // 2} - {0, recipe.epochs}):
        early = np.array([evaluation.curve[epochs - 1] for evaluation in truth])
        found[f"{epochs} of {recipe.epochs} epochs"] = early, total * epochs / recipe.epochs
    inheriting = InheritanceEvaluator(training, max_distance=arguments.max_distance)
    heirs = run(inheriting, cells, seed)
    found["inheritance"] = values(heirs), seconds(heirs)
    data = arguments.data
    supernet = SupernetEvaluator(
        NASBench201Space(),
        training.build,
        data.train,
        data.validation,
        recipe=Recipe(epochs=arguments.supernet_epochs, batch_size=recipe.batch_size),
        seed=seed,
        threads=1,
    )
    start = time.perf_counter()
    supernet.fit()
    fitted = time.perf_counter() - start
    scores = run(supernet, cells, seed)
    found["supernet"] = values(scores), fitted + seconds(scores)
    for name in PROXIES:
        start = time.perf_counter()
        proxy = ProxyEvaluator(training.build, data.train, name, seed=seed, threads=1)
        scores = run(proxy, cells, seed)
        found[name] = values(scores), time.perf_counter() - start
    return values(truth), total, found


def summary(
    truth: NDArray[np.float64], total: float, estimates: Estimates
) -> dict[str, dict[str, float]]:
    """Return correlations and relative cost by estimator."""
    better = np.argsort(truth, kind="stable")[: max(2, len(truth) // 2)]
    return {
        name: {
            "spearman": correlation(spearmanr, truth, found),
            "kendall": correlation(kendalltau, truth, found),
            "kendall of the better half": correlation(kendalltau, truth[better], found[better]),
            "cost": cost / total,
        }
        for name, (found, cost) in estimates.items()
    }


def correlation(
    of: Callable[..., Any], truth: NDArray[np.float64], found: NDArray[np.float64]
) -> float:
    """Return a rank correlation; 0 if one side is constant."""
    if len(set(truth)) < 2 or len(set(found)) < 2:
        return 0.0
    return float(of(truth, found).statistic)


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result."""
    task = result["table"] or result["dataset"]
    head = f"{result['cells']} cells, {task}, {result['epochs']} epochs"
    lines = [
        f"| {head} | Spearman | Kendall | Kendall, better half | relative cost |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in result["estimators"].items():
        numbers = f"{row['spearman']:.2f} | {row['kendall']:.2f}"
        numbers += f" | {row['kendall of the better half']:.2f} | {row['cost']:.4f}"
        lines.append(f"| {name} | {numbers} |")
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=sorted(DATASETS), default="shapes")
    parser.add_argument("--cells", type=int, default=100, help="how many, at least 4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12, help="of training alone")
    parser.add_argument("--train", type=int, help="training images; by default all")
    parser.add_argument("--validation", type=int, help="validation images; by default all")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--depth", type=int, default=1, help="cells in each stage")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--supernet-epochs", type=int, help="by default 20 times --epochs")
    parser.add_argument("--max-distance", type=float, default=6, help="of a parent")
    parser.add_argument("--table", type=Path, help="where to look training alone up")
    parser.add_argument("--calibrate", type=int, default=5, help="trainings, with --table")
    parser.add_argument("--output", type=Path, help="where to write the figures as JSON")
    found = parser.parse_args(arguments)
    if found.cells < 4:
        parser.error("--cells must be at least 4")
    return found


def main() -> None:
    """Measure, print and write."""
    arguments = parse()
    torch.set_num_threads(1)
    alone: Evaluator | None = None
    skeleton = {"channels": arguments.channels, "cells": arguments.depth}
    if arguments.table is None:
        data = DATASETS[arguments.dataset]().subset(arguments.train, arguments.validation)
        recipe = Recipe(epochs=arguments.epochs, batch_size=arguments.batch_size)
    else:
        looked_up = CurveTable.read(arguments.table)
        protocol = recorded_protocol(looked_up)
        alone = looked_up.problem(entries="seed").evaluator
        data, recipe, skeleton = protocol.data(), protocol.recipe, dict(protocol.skeleton)
        arguments.dataset, arguments.table = data.name, looked_up.name
    arguments.data, arguments.epochs, arguments.batch_size = data, recipe.epochs, recipe.batch_size
    if arguments.supernet_epochs is None:
        arguments.supernet_epochs = 20 * recipe.epochs
    build = partial(
        NASBench201Network, classes=data.classes, in_channels=data.in_channels, **skeleton
    )
    training = TrainingEvaluator(build, data.train, data.validation, recipe=recipe, threads=1)
    alone = alone or training
    cells = sample(arguments.cells, arguments.seed)
    truth, total, estimates = estimate(cells, alone, training, arguments)
    names = ("dataset", "table", "cells", "seed", "epochs", "batch_size")
    result = {
        **{name: getattr(arguments, name) for name in names},
        "network": skeleton,
        "images": {"train": len(data.train[1]), "validation": len(data.validation[1])},
        "supernet_epochs": arguments.supernet_epochs,
        "max_distance": arguments.max_distance,
        "error": {"best": float(truth.min()), "median": float(np.median(truth))},
        "estimators": summary(truth, total, estimates),
    }
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
