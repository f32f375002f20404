"""How many evaluations a search takes that knows what is cheap.

Encoders are pretrained on cheap labels, proxies and the graphs of all cells, and searched with in
the loop of graph-bo. Beside them stand the same loop without them; the same Gaussian process on the
plain vector of the cheap quantities; and no surrogate at all, but the cells in the order of the
cheap prediction. The labels of the target are never among the cheap ones.

Each seed draws its own labels, pretrains its own encoder and makes its own search. A run ends when
it finds the optimum, or after ``--trials``, and then counts as its number of trials. Proxies and
encoders are kept under ``--folder``, so that a second run of the command takes them from there.

    python benchmarks/embedding_search.py --problem nasbench201-cifar100 \
        --tables nasbench201-cifar10@12 --labels 200 \
        --output benchmarks/results/0.1.0/embedding-search-nasbench201-cifar100.json
    python benchmarks/embedding_search.py --quick --seeds 2 --trials 20
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from ablation import search, summary
from embedding_setting import (
    BY_LABELS,
    METHODS,
    ORDERS,
    Known,
    Setting,
    add_options,
    choose,
    load_target,
    mapping,
    names,
    prepare,
)

from graphbo import __version__
from graphbo.errors import InputError

SEARCHES = {**METHODS, **ORDERS}
DEFAULT = [
    "kernels and embedding",
    "embedding",
    "embedding without prior mean",
    "kernels",
    "plain vector",
    *ORDERS,
]


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--methods", type=names, help="comma-separated")
    parser.add_argument("--seeds", type=int, default=50, help="at least 2")
    parser.add_argument("--trials", type=int, default=100)
    arguments = parser.parse_args()
    methods = arguments.methods or [m for m in DEFAULT if arguments.tables or m != BY_LABELS]
    choose(parser, methods, list(SEARCHES))
    if arguments.seeds < 2:
        parser.error("a standard error takes at least 2 seeds")
    try:
        result = measure(
            Setting.of(arguments),
            methods,
            arguments.seeds,
            arguments.trials,
            arguments.processes,
        )
    except InputError as error:
        parser.error(str(error))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def measure(
    setting: Setting, methods: Sequence[str], seeds: int, trials: int, processes: int
) -> dict[str, Any]:
    """Return the means over the seeds, by method."""
    prepare(setting)
    with mapping(processes) as computed:
        tasks = [(setting, tuple(methods), seed, trials) for seed in range(seeds)]
        runs = []
        for seed, found in enumerate(computed(_run, tasks)):
            runs.append(found)
            reached = {method: int(values[0]) for method, values in found.items()}
            print(f"seed {seed}: {reached}", file=sys.stderr, flush=True)
    return {
        "version": __version__,
        **setting.described,
        "seeds": seeds,
        "trials": trials,
        "methods": {
            method: {
                **summary([run[method] for run in runs]),
                "found_share": sum(run[method][0] < trials for run in runs) / seeds,
            }
            for method in methods
        },
    }


def _run(task: tuple[Setting, tuple[str, ...], int, int]) -> dict[str, list[float]]:
    setting, methods, seed, trials = task
    problem = load_target(setting.problem, setting.data)
    known = Known(setting, seed)
    return {method: search(problem, SEARCHES[method](known), trials) for method in methods}


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result."""
    cheap = [
        *(f"{result['labels'] or 'all'} of {name}" for name in result["tables"]),
        *(["proxies"] if result["proxies"] else []),
    ]
    head = [
        f"`{result['problem']}` from {', '.join(cheap) or 'nothing'}, {result['seeds']} seeds",
        "evaluations to the optimum",
        f"found in {result['trials']}",
        "to the best 0.1 %",
        "regret at 25",
    ]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for method, found in result["methods"].items():
        error = found["evaluations_to_optimum_standard_error"]
        row = [
            method,
            f"{found['evaluations_to_optimum']:.1f} ± {error:.1f}",
            f"{found['found_share']:.0%}",
            f"{found['evaluations_to_top_permille']:.1f}",
            f"{found['regret_25']:.2f}",
        ]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
