"""What each kernel of the default surrogate adds to a search.

The search of graph-bo, with parts of its default kernels left out or alone, on problems with a
table. A run ends when it finds the optimum, or after ``--trials``; what it would have found later
counts as found. ``evaluations`` are means over the seeds 0, 1, ...; a run that does not find the
optimum, or a design among the best 0.1 %, counts as its number of trials.

    python benchmarks/ablation.py --output benchmarks/results/0.1.0/ablation.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphbo import __version__
from graphbo.evaluators import TableEvaluator
from graphbo.optimizers import GraphBO, Optimizer
from graphbo.problems import get_problem
from graphbo.problems.base import Problem
from graphbo.spaces import SearchSpace
from graphbo.surrogates import KernelFactory, default_kernels
from graphbo.surrogates.defaults import path_profile, spectrum, weisfeiler_lehman
from graphbo.trial import Job, Trial

_EXACT = 1e-9


def _positions(space: SearchSpace) -> list[KernelFactory]:
    return [path_profile(space, positions=True)] if space.aligned_positions else []


VARIANTS: dict[str, Callable[[SearchSpace], list[KernelFactory]]] = {
    "default": default_kernels,
    "without the graph kernel": lambda s: [spectrum(s), path_profile(s), *_positions(s)],
    "without the string kernel": lambda s: [weisfeiler_lehman(s), path_profile(s), *_positions(s)],
    "without path profiles alone": lambda s: [weisfeiler_lehman(s), spectrum(s), *_positions(s)],
    "without positions": lambda s: [weisfeiler_lehman(s), spectrum(s), path_profile(s)],
    "graph kernel alone": lambda s: [weisfeiler_lehman(s)],
    "string kernel alone": lambda s: [spectrum(s)],
    "path profile alone": lambda s: [path_profile(s)],
    "path profile with positions alone": _positions,
}


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    problems = ["nasbench201-cifar10", "nasbench201-cifar100", "nasbench101"]
    parser.add_argument("--problems", type=_names, default=problems, help="comma-separated")
    parser.add_argument("--variants", type=_names, default=list(VARIANTS), help="comma-separated")
    parser.add_argument("--data", help="the folder of the tables; by default GRAPHBO_DATA")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.variants if name not in VARIANTS]
    if unknown:
        parser.error(f"there is no variant {unknown[0]!r}; choose from {', '.join(VARIANTS)}")
    result: dict[str, Any] = {
        "version": __version__,
        "seeds": arguments.seeds,
        "trials": arguments.trials,
        "problems": {},
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, mp_context=context) as executor:
        for problem in arguments.problems:
            entry = result["problems"][problem] = {}
            space = get_problem(problem, arguments.data).space
            for variant in arguments.variants:
                if not VARIANTS[variant](space):
                    continue
                tasks = [
                    (problem, arguments.data, variant, seed, arguments.trials)
                    for seed in range(arguments.seeds)
                ]
                entry[variant] = summary(list(executor.map(_run, tasks)))
                print(problem, variant, entry[variant], file=sys.stderr, flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


@lru_cache(maxsize=1)
def _problem(name: str, data: str | None) -> Problem:
    torch.set_num_threads(1)
    return get_problem(name, data)


def _run(task: tuple[str, str | None, str, int, int]) -> list[float]:
    """Return the evaluations to the optimum and to the best 0.1 %, and the regrets."""
    name, data, variant, seed, trials = task
    problem = _problem(name, data)
    return search(
        problem, GraphBO(problem.space, seed=seed, kernels=VARIANTS[variant](problem.space)), trials
    )


def search(problem: Problem, optimizer: Optimizer, trials: int) -> list[float]:
    """Return the evaluations to the optimum and to the best 0.1 %, and the regrets at 25 and 50.

    Args:
        problem: A problem with a table and a known optimum, at which the search ends.
        optimizer: A new optimiser.
        trials: The largest number of evaluations, which is what a miss counts as.
    """
    table = problem.evaluator
    if not isinstance(table, TableEvaluator) or problem.optimum is None:
        raise SystemExit(f"{problem.name} has no table with a known optimum")
    best: list[float] = []
    while len(best) < trials and (not best or best[-1] > problem.optimum + _EXACT):
        (design,) = optimizer.ask()
        value = table.evaluate_one(Job(design)).objectives[problem.objective]
        optimizer.tell(Trial(design, value))
        best.append(min([value, *best[-1:]]))
    curve = np.array(best)

    def reached(target: float | None) -> float:
        hits = np.flatnonzero(curve <= (target or -np.inf) + _EXACT)
        return float(hits[0] + 1) if len(hits) else float(trials)

    regret = [float(curve[min(k, len(curve)) - 1] - problem.optimum) for k in (25, 50)]
    return [reached(problem.optimum), reached(problem.top_permille), *regret]


def summary(runs: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return the means of what `search` returned over two or more runs."""
    values = np.array(runs)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return {
        "evaluations_to_optimum": float(values[:, 0].mean()),
        "evaluations_to_optimum_standard_error": float(error[0]),
        "evaluations_to_top_permille": float(values[:, 1].mean()),
        "regret_25": float(values[:, 2].mean()),
        "regret_50": float(values[:, 3].mean()),
    }


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of all problems."""
    problems = list(result["problems"])
    lines = ["| kernels | " + " | ".join(f"`{name}`" for name in problems) + " |"]
    lines.append("| --- |" + " ---: |" * len(problems))
    for variant in VARIANTS:
        cells = []
        for name in problems:
            entry = result["problems"][name].get(variant)
            cells.append(
                f"{entry['evaluations_to_optimum']:.1f} "
                f"± {entry['evaluations_to_optimum_standard_error']:.1f}, "
                f"{entry['evaluations_to_top_permille']:.1f}, "
                f"{entry['regret_25']:.2f}, {entry['regret_50']:.2f}"
                if entry
                else "-"
            )
        if set(cells) != {"-"}:
            lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


if __name__ == "__main__":
    main()
