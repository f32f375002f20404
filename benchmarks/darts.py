"""Which cell DARTS, a supernet of random paths and random search find, and for how much training.

The task is that of ``digits-table``, which has what every cell of NAS-Bench-201 reaches when it is
trained alone: so the cell that a method ends with is looked up and not trained. For each seed:

- darts: the strongest operation on every edge, after ``--epochs`` of the mixed supernet; with
  ``--second-order`` also by the gradient that looks one step ahead;
- supernet: the cell with the lowest error by shared weights among ``--candidates`` random ones,
  after ``--supernet-epochs`` of random paths, 20 times those of one network by default;
- random at the cost of either: the cell with the lowest validation error in the table among as many
  random ones as could be trained in the same seconds;
- a random cell: a single one.

Seconds are measured in one run on one machine with one thread, and printed as the number of cells
that could be trained alone in them; what training alone takes is measured on ``--calibrate`` random
cells, in compiled code where there is a C compiler, while supernets run in torch. Regret is the
difference to the lowest validation error in the table.

    python benchmarks/darts.py --seeds 5 --second-order --output benchmarks/results/0.1.0/darts.json
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from throughput import sample

from graphbo import __version__
from graphbo.evaluators.supernet import SupernetEvaluator
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.networks import NASBench201Network
from graphbo.optimizers import DARTS
from graphbo.problems import Problem, get_problem
from graphbo.spaces import Design, NASBench201Space
from graphbo.tabulate.protocols import get_protocol
from graphbo.training.recipe import Recipe
from graphbo.trial import Job

TABLE = "digits-table"
SPACE = NASBench201Space()

Found = tuple[Design, float]
"""The cell that a method ends with, and the seconds of its search."""


def by_gradients(
    training: TrainingEvaluator, epochs: int, seed: int, second_order: bool = False
) -> Found:
    """Return the strongest cell of a relaxation."""
    optimizer = DARTS(SPACE, seed=seed, search_epochs=epochs, second_order=second_order)
    optimizer.attach(training, {})
    start = time.perf_counter()
    (cell,) = optimizer.ask()
    return cell, time.perf_counter() - start


def by_random_paths(training: TrainingEvaluator, epochs: int, candidates: int, seed: int) -> Found:
    """Return the best of random cells by the weights of a supernet."""
    settings = training.settings(Job(SPACE.design((0,) * 6)))
    supernet = SupernetEvaluator(
        SPACE,
        training.build,
        settings.train,
        settings.validation,
        recipe=Recipe(epochs=epochs, batch_size=training.recipe.batch_size),
        seed=seed,
        threads=1,
    )
    cells = sample(candidates, seed)
    start = time.perf_counter()
    errors = supernet.errors([cell.architecture for cell in cells])
    return cells[int(np.argmin(errors))], time.perf_counter() - start


def at_random(problem: Problem, trials: int, seed: int) -> Design:
    """Return the best of random cells by the table."""
    cells = sample(trials, seed)
    errors = [look_up(problem, cell)["validation_error"] for cell in cells]
    return cells[int(np.argmin(errors))]


def look_up(problem: Problem, cell: Design) -> dict[str, float]:
    """Return what a cell reaches when it is trained alone."""
    return dict(problem.evaluator.evaluate_one(Job(cell)).objectives)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every method with every seed."""
    problem, protocol = get_problem(TABLE), get_protocol(TABLE)
    data = protocol.data().subset(arguments.train, arguments.validation)
    build = partial(
        NASBench201Network, classes=data.classes, in_channels=data.in_channels, **protocol.skeleton
    )
    training = TrainingEvaluator(
        build, data.train, data.validation, recipe=protocol.recipe, device="cpu", threads=1
    )
    cells = sample(arguments.calibrate + 1, len(TABLE))
    # The first training of a process is slow.
    _, *costs = [training.evaluate_one(Job(cell)).cost for cell in cells]
    alone = float(np.mean(costs))
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        found = {
            "darts": by_gradients(training, arguments.epochs, seed),
            "supernet": by_random_paths(
                training, arguments.supernet_epochs, arguments.candidates, seed
            ),
        }
        if arguments.second_order:
            found["darts, second order"] = by_gradients(training, arguments.epochs, seed, True)
        for method, (_, seconds) in list(found.items()):
            trials = max(1, round(seconds / alone))
            found[f"random at the cost of {method}"] = (
                at_random(problem, trials, seed),
                trials * alone,
            )
        found["a random cell"] = sample(1, seed)[0], 0.0
        for method, (cell, seconds) in found.items():
            reached = look_up(problem, cell)
            rows.append(
                {
                    "method": method,
                    "seed": seed,
                    "cell": SPACE.format(cell.architecture),
                    **reached,
                    "regret": reached["validation_error"] - (problem.optimum or 0.0),
                    "trainings": seconds / alone,
                }
            )
    return {
        "version": __version__,
        "table": TABLE,
        "seeds": arguments.seeds,
        "epochs": arguments.epochs,
        "supernet_epochs": arguments.supernet_epochs,
        "candidates": arguments.candidates,
        "images": {"train": len(data.train[1]), "validation": len(data.validation[1])},
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result: means over the seeds."""
    names = ("validation_error", "test_error", "regret", "trainings")
    lines = [
        f"| {result['seeds']} seeds, {result['table']} | validation error | test error | regret "
        "| cost, in trainings |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for method in dict.fromkeys(row["method"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["method"] == method]
        means = [np.mean([row[name] for row in rows]) for name in names]
        lines.append(
            f"| {method} | "
            + " | ".join(f"{mean:.2f}" for mean in means[:3])
            + f" | {means[3]:.0f} |"
        )
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50, help="of the mixed supernet")
    parser.add_argument("--second-order", action="store_true", help="run this variant, too")
    parser.add_argument("--supernet-epochs", type=int, default=180, help="of the random paths")
    parser.add_argument("--candidates", type=int, default=1000, help="cells that it scores")
    parser.add_argument("--train", type=int, help="training images; by default all")
    parser.add_argument("--validation", type=int, help="validation images; by default all")
    parser.add_argument("--calibrate", type=int, default=10, help="trainings alone")
    parser.add_argument("--output", type=Path, help="where to write the figures as JSON")
    found = parser.parse_args(arguments)
    for name in ("seeds", "epochs", "supernet_epochs", "candidates", "calibrate"):
        if getattr(found, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return found


def main() -> None:
    """Measure, print and write."""
    arguments = parse()
    torch.set_num_threads(1)
    result = measure(arguments)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
