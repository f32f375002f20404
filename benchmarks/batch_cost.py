"""What it costs to propose several designs at a time, and what it gains.

The same search with batches of several sizes, on benchmark tables: the optimiser sees the results
of a batch together. The gain is the simulated time of training, if as many networks train at once
as a batch has and the slowest is waited for, against training one after the other.

    python benchmarks/batch_cost.py nasbench201-cifar10 --seeds 20 --trials 192
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
from graphbo.problems.registry import get_problem
from graphbo.study import Study

OUTPUT = Path(__file__).parent / "results" / __version__


def main(arguments: list[str] | None = None) -> None:
    """Run the searches, print the table and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem")
    parser.add_argument("--batches", default="1,8,64", help="sizes with commas between")
    parser.add_argument("--optimizer", default="graph-bo")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=192)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=None, help="folder of the study files")
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args(arguments)
    runs = options.runs or Path("runs", f"batch-{options.problem}")
    rows = [measure(options, runs, batch) for batch in map(int, options.batches.split(","))]
    result = {
        "command": " ".join(["python benchmarks/batch_cost.py", *(arguments or sys.argv[1:])]),
        "problem": options.problem,
        "optimizer": options.optimizer,
        "seeds": options.seeds,
        "trials": options.trials,
        "batches": rows,
    }
    output = options.output or OUTPUT / f"batch-{options.problem}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def measure(options: argparse.Namespace, runs: Path, batch: int) -> dict[str, Any]:
    """Return the figures of one size of the batch."""
    summary = compare(
        options.problem,
        [options.optimizer],
        trials=options.trials,
        seeds=options.seeds,
        batch=batch,
        jobs=options.jobs,
        output=runs / f"batch-{batch}",
        progress=True,
    )
    entry = summary["optimizers"][options.optimizer]
    problem = get_problem(options.problem)
    shares = []
    for path in sorted((runs / f"batch-{batch}" / "runs").glob("*.sqlite"))[: options.seeds]:
        seed = int(path.stem.rpartition("-")[2])
        study = Study.of(problem, options.optimizer, seed=seed, storage=path)
        costs = [t.evaluation.cost for t in study.result.trials if t.evaluation is not None]
        slowest = [max(costs[i : i + batch]) for i in range(0, len(costs), batch)]
        shares.append(sum(costs) / sum(slowest))
        study.close()
    return {
        "batch": batch,
        "found_share": entry["found_share"],
        "evaluations_to_optimum_mean": entry["evaluations_to_optimum_mean"],
        "evaluations_to_top_permille_mean": entry["evaluations_to_top_permille_mean"],
        "mean_regret": entry["mean_regret"],
        "speed_up": float(np.mean(shares)),
        "optimizer_seconds_per_trial": entry["optimizer_seconds_per_trial"],
    }


def table(result: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    points = list(result["batches"][0]["mean_regret"])
    lines = [
        f"| `{result['problem']}`, batch of | {' | '.join(f'regret at {p}' for p in points)} | "
        "optimum found | after, mean | best 0.1 % after, mean | training time, 1 to | "
        "seconds of the optimiser per trial |",
        "| ---: |" + " ---: |" * (len(points) + 5),
    ]
    for row in result["batches"]:
        regrets = " | ".join(f"{row['mean_regret'][p]:.2f}" for p in points)
        lines.append(
            f"| {row['batch']} | {regrets} | {row['found_share']:.0%} | "
            f"{row['evaluations_to_optimum_mean']:.1f} | "
            f"{row['evaluations_to_top_permille_mean']:.1f} | {row['speed_up']:.1f} | "
            f"{row['optimizer_seconds_per_trial']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
