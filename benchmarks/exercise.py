"""The classic exercise: search on one dataset, and see how good the cell is on another.

NAS-Bench-201 as a ConfigSpace, optimisers that know nothing of graphs, a budget in epochs of
simulated training; the test error of the cell that each run found, on the dataset it was searched
on and on the other one, above the lowest of all cells.

    python benchmarks/exercise.py --seeds 10
    graphbo export deepcave runs/exercise runs/deepcave
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from graphbo import __version__
from graphbo.comparison import compare
from graphbo.evaluators import TableEvaluator
from graphbo.optimizers.registry import file_name, split_names
from graphbo.problems.base import Problem
from graphbo.problems.registry import get_problem
from graphbo.spaces.base import Design
from graphbo.study import Study
from graphbo.trial import Job

OUTPUT = Path(__file__).parent / "results" / __version__ / "exercise.json"


def main(arguments: list[str] | None = None) -> None:
    """Run the searches, print the table and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimizers", default="smac,dehb,regularized-evolution,graph-bo")
    parser.add_argument("--problem", default="nasbench201-cifar10", help="where to search")
    parser.add_argument("--other", default="nasbench201-cifar100", help="where to look after that")
    parser.add_argument("--data", help="the folder of the tables; by default GRAPHBO_DATA")
    parser.add_argument("--epochs", type=float, default=10_000, help="the budget of each run")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs", "exercise"))
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    names = split_names(options.optimizers)
    compare(
        options.problem,
        names,
        epochs=options.epochs,
        seeds=options.seeds,
        output=options.runs,
        jobs=options.jobs,
        data=options.data,
    )
    problem, other = (get_problem(name, options.data) for name in (options.problem, options.other))
    result = {
        "command": " ".join(["python benchmarks/exercise.py", *(arguments or sys.argv[1:])]),
        "problem": options.problem,
        "other": options.other,
        "epochs": options.epochs,
        "seeds": options.seeds,
        "optimizers": {
            name: _measured(problem, other, name, options.seeds, options.runs) for name in names
        },
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def _measured(
    problem: Problem, other: Problem, name: str, seeds: int, runs: Path
) -> dict[str, float]:
    """Return the mean test regrets of what the runs of an optimiser found."""
    here, there, trained = [], [], []
    for seed in range(seeds):
        path = runs / "runs" / f"{file_name(name)}-{seed:03d}.sqlite"
        study = Study.of(problem, name, seed=seed, storage=path)
        here.append(_test_regret(problem, study.result.best.design))
        there.append(_test_regret(other, study.result.best.design))
        trained.append(len(study.result.trials))
        study.close()
    return {
        "trainings": float(np.mean(trained)),
        "regret": float(np.mean(here)),
        "regret_error": _error(here),
        "other_regret": float(np.mean(there)),
        "other_regret_error": _error(there),
    }


def _test_regret(problem: Problem, design: Design) -> float:
    """Return how far the test error of a design lies above the lowest of all."""
    table = problem.evaluator
    if not isinstance(table, TableEvaluator) or problem.test_optimum is None:
        raise SystemExit(f"{problem.name} has no table of test errors")
    job = Job(problem.space.design_of(design.architecture), problem.fidelity)
    return table.evaluate_one(job).objectives["test_error"] - problem.test_optimum


def _error(values: list[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result."""
    head = [
        f"{result['epochs']:g} epochs, {result['seeds']} seeds",
        "trainings",
        f"test regret on `{result['problem']}`",
        f"on `{result['other']}`",
    ]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for name, found in result["optimizers"].items():
        here = f"{found['regret']:.2f} ± {found['regret_error']:.2f}"
        there = f"{found['other_regret']:.2f} ± {found['other_regret_error']:.2f}"
        lines.append(f"| `{name}` | {found['trainings']:.0f} | {here} | {there} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
