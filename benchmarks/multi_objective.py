"""Compare optimisers for several objectives, and under a constraint, on a table of NAS-Bench-201.

For each device the error and the latency are minimised together, and the error alone under a bound
on the latency: the median of that of the true front. Each is a comparison of its own, in
runs/multi_objective/NAME, which goes on where it was stopped.

    python benchmarks/multi_objective.py --jobs 2     # all, or --only NAME,NAME; --list names them
    python benchmarks/multi_objective.py --collect    # runs nothing
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphbo import __version__
from graphbo.comparison import compare
from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.problems.base import Problem
from graphbo.problems.registry import get_problem
from graphbo.report.fronts import true_front

OUTPUT = Path(__file__).parent / "results" / __version__ / "multi_objective.json"
RUNS = Path("runs", "multi_objective")
PROBLEM, ERROR = "nasbench201-cifar10", "validation_error"
DEVICES = ("pixel2", "gold_6226")
SEVERAL = ("graph-ehvi", "nsga2", "parego", "random")
CONSTRAINED = ("graph-bo", "regularized-evolution", "random", "one-hot-gp")


@dataclass(frozen=True)
class Comparison:
    """One comparison.

    Attributes:
        latency: The name of the latency.
        bounded: Whether it is a constraint; else it is an objective.
    """

    latency: str
    bounded: bool

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.latency}-{'bound' if self.bounded else 'front'}"

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Which are compared, the first with the others."""
        return CONSTRAINED if self.bounded else SEVERAL

    def goals(self, problem: Problem) -> Goals:
        """Return what is searched for.

        Raises:
            InputError: If the front of the problem is not known.
        """
        both = Goals((ERROR, self.latency))
        if not self.bounded:
            return both
        front = true_front(problem, both)
        if not front:
            raise InputError(f"the front of {problem.name} is not known")
        median = statistics.median(trial.outcomes[self.latency] for trial in front)
        return Goals.of(ERROR, [f"{self.latency}<={median!r}"])


def comparisons(devices: Sequence[str] = DEVICES) -> list[Comparison]:
    """Return the comparisons for some devices."""
    names = [f"latency_ms_{device}" for device in devices]
    return [Comparison(name, bounded) for bounded in (False, True) for name in names]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparisons, and store and print what they give.

    Args:
        arguments: Instead of those of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", default=PROBLEM)
    parser.add_argument("--devices", default=",".join(DEVICES), help="names, commas between")
    parser.add_argument("--only", help="names of comparisons, commas between")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--list", action="store_true", help="name the comparisons and stop")
    parser.add_argument("--collect", action="store_true", help="run nothing")
    parser.add_argument("--data", help="the folder of the tables; by default GRAPHBO_DATA")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    known = {each.name: each for each in comparisons(options.devices.split(","))}
    names = list(known) if options.only is None else options.only.split(",")
    for name in names:
        if name not in known:
            parser.error(f"there is no comparison {name!r}; see --list")
    if options.list:
        print("\n".join(names))
        return
    if not options.collect:
        problem = get_problem(options.problem, options.data)
        for name in names:
            _run(known[name], problem, options)
    found = {
        name: json.loads(path.read_text())
        for name in known
        if (path := options.runs / name / "summary.json").exists()
    }
    if not found:
        raise SystemExit("there is nothing to store: no comparison has been run")
    words = sys.argv[1:] if arguments is None else arguments
    result = {
        "command": " ".join(["python benchmarks/multi_objective.py", *words]),
        "comparisons": found,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(table(found))


def _run(comparison: Comparison, problem: Problem, options: argparse.Namespace) -> None:
    print(f"{comparison.name}: {options.seeds} seeds", file=sys.stderr)
    goals = comparison.goals(problem)
    compare(
        options.problem,
        comparison.optimizers,
        trials=options.trials,
        seeds=options.seeds,
        output=options.runs / comparison.name,
        jobs=options.jobs,
        data=options.data,
        progress=True,
        objectives=goals.objectives,
        constraints=goals.constraints,
    )


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the results as tables in Markdown, one for each comparison.

    Of a front they show the share of the true front's hypervolume, in percent; under a bound the
    regret in percentage points, a dash where not all runs have found what keeps the bound. Behind
    each figure of another optimiser stands by how much the first is ahead of it, seed by seed, with
    its interval.

    Args:
        found: By the name of a comparison, its summary.
    """
    return "\n\n".join(_table(name, summary) for name, summary in found.items())


def _table(name: str, summary: Mapping[str, Any]) -> str:
    figures = _figures(summary)
    first, points = figures[0][0], [*figures[0][1]]
    seeds = f"{summary['seeds']} seeds" if "seeds" in summary else "seeds"
    head = [f"`{name}`, {seeds}", *(f"after {point}" for point in points)]
    lines = [f"| {' | '.join(head)} |", f"| --- {'| ---: ' * len(points)}|"]
    for optimizer, values in figures:
        cells = [_cell(summary, first, optimizer, point, values[point]) for point in points]
        lines.append(f"| {' | '.join([f'`{optimizer}`', *cells])} |")
    return "\n".join(lines)


def _cell(
    summary: Mapping[str, Any], first: str, other: str, point: str, value: float | None
) -> str:
    shown = "-" if value is None else f"{value:.2f}"
    ahead = summary.get("paired", {}).get(f"{first} - {other}", {}).get(point)
    if ahead is None or ahead["mean"] is None:
        return shown
    scale = 100 / summary["true_front"] if "reference" in summary else -1.0
    low, high = sorted(scale * ahead[end] for end in ("low", "high"))
    return f"{shown} ({scale * ahead['mean']:+.2f}: {low:+.2f} to {high:+.2f})"


def _figures(summary: Mapping[str, Any]) -> list[tuple[str, dict[str, float | None]]]:
    """Return for each optimiser the figures by the number of evaluations."""
    if "reference" not in summary:
        return [(name, entry["mean_regret"]) for name, entry in summary["optimizers"].items()]
    return [
        (name, {p: None if s is None else 100 * s for p, s in entry["share"].items()})
        for name, entry in summary["optimizers"].items()
    ]


if __name__ == "__main__":
    main()
