"""What a search gains that starts from a study of the same space on other data.

For each seed, ``--source`` studies the one problem for 100 trials, and graph-bo searches the other
one: with these trials as its prior, with their values negated, so that the best look worst, with
their values shuffled, which tells no more than where it looked, and without a prior. Local search
and random search stand beside. What is shown is the mean regret over the seeds, and paired
differences from the search with the prior, with 95 % bootstrap intervals over them.

    python benchmarks/transfer.py --seeds 20 --output benchmarks/results/0.1.0/transfer.json
    python benchmarks/readme_tables.py                # writes the table into docs/warm_starts.md
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphbo import Result, Study, __version__
from graphbo.problems import get_problem
from graphbo.report.summary import paired_differences, regret_curves
from graphbo.surrogates import FromTrials

POINTS = (5, 10, 25, 50)
WARM, MISLED = "graph-bo from the other study", "graph-bo from its negation"
SHUFFLED = "graph-bo from its values shuffled"
METHODS = (WARM, "graph-bo", MISLED, SHUFFLED, "local-search", "random")


@dataclass(frozen=True)
class Setting:
    """What is searched, and started from.

    Attributes:
        target: The name of the problem that is searched.
        other: The name of the one that was studied before.
        source: The optimiser that studied it.
        studied: For how many trials.
        trials: The budget of a search.
        data: The folder of the tables.
    """

    target: str
    other: str
    source: str = "graph-bo"
    studied: int = 100
    trials: int = POINTS[-1]
    data: str | None = None


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="nasbench201-cifar100")
    parser.add_argument("--other", default="nasbench201-cifar10")
    parser.add_argument("--source", default="graph-bo", help="the optimiser of the other study")
    parser.add_argument("--studied", type=int, default=100, help="trials of the other study")
    parser.add_argument("--trials", type=int, default=POINTS[-1])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", help="the folder of the tables; by default GRAPHBO_DATA")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="a JSON file")
    given = parser.parse_args()
    setting = Setting(
        given.target, given.other, given.source, given.studied, given.trials, given.data
    )
    result = measure(setting, given.seeds, given.processes)
    if given.output:
        given.output.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    print(table(result))


def measure(setting: Setting, seeds: int, processes: int) -> dict[str, Any]:
    """Return mean regrets and paired differences over the seeds."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        found = []
        for seed, runs in enumerate(executor.map(run, [setting] * seeds, range(seeds))):
            found.append(runs)
            print(seed, {name: each.value for name, each in runs.items()}, file=sys.stderr)
    return summary(setting, found)


def run(setting: Setting, seed: int) -> dict[str, Result]:
    """Return what each method finds with a seed; the other study has another one."""
    torch.set_num_threads(1)
    other, target = (get_problem(name, setting.data) for name in (setting.other, setting.target))
    trials = Study.of(other, setting.source, seed=1000 + seed).run(trials=setting.studied).trials
    values = np.array([trial.value for trial in trials], dtype=float)
    changed = {
        WARM: values,
        MISLED: -values,
        SHUFFLED: np.random.default_rng(seed).permutation(values),
    }
    priors = {
        method: FromTrials(
            target.space,
            [replace(t, value=float(v)) for t, v in zip(trials, each, strict=True)],
        )
        for method, each in changed.items()
    }
    results = {}
    for method in METHODS:
        name = "graph-bo" if method in priors else method
        study = Study.of(target, name, seed=seed, prior=priors.get(method))
        results[method] = study.run(trials=setting.trials)
    return results


def summary(setting: Setting, runs: list[dict[str, Result]]) -> dict[str, Any]:
    """Return what the results of each seed amount to."""
    problem = get_problem(setting.target, setting.data)
    grouped = {method: [each[method] for each in runs] for method in METHODS}
    curves = regret_curves(problem, grouped, setting.trials)
    points = sorted({*(point for point in POINTS if point <= setting.trials), setting.trials})
    return {
        "version": __version__,
        "target": setting.target,
        "other": setting.other,
        "source": setting.source,
        "studied": setting.studied,
        "trials": setting.trials,
        "seeds": len(runs),
        "mean_regret": {
            method: {str(point): float(curve[:, point - 1].mean()) for point in points}
            for method, curve in curves.items()
        },
        "differences": paired_differences(curves, points),
    }


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result, and the paired differences below it."""
    points = list(result["mean_regret"][WARM])
    head = [f"`{result['target']}`", *(f"regret at {point}" for point in points)]
    rows = [head, ["---", *["---:"] * len(points)]]
    for method, regret in result["mean_regret"].items():
        rows.append([method, *(f"{regret[point]:.2f}" for point in points)])
    others = [[f"{WARM} minus", *(f"at {point}" for point in points)], rows[1]]
    for pair, differences in result["differences"].items():
        cells = [
            f"{d['mean']:+.2f} [{d['low']:+.2f}, {d['high']:+.2f}]"
            for d in (differences[point] for point in points)
        ]
        others.append([pair.removeprefix(f"{WARM} - "), *cells])
    said = (
        f"{result['seeds']} seeds; the other study is of `{result['other']}`, "
        f"{result['studied']} trials by `{result['source']}`. Paired differences of regret, 95 % "
        "intervals:"
    )
    text = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*text, "", said, "", *("| " + " | ".join(row) + " |" for row in others)])


if __name__ == "__main__":
    main()
