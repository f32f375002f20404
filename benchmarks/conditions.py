"""Compare optimisers in many conditions, and store what advice rests on.

A condition is a problem with a budget, in trials or in full trainings whose epochs can be chosen,
and a number of designs at a time. Each is a comparison of its own, in runs/conditions/NAME, which
goes on where it was stopped; what all of them give is condensed into one file that comes with the
package, graphbo/advice/measurements.json. A condition of which there are no runs here stays in it
as it is; one that is no longer in the list leaves it.

    python benchmarks/conditions.py --jobs 2          # all, or --only NAME,NAME; --list names them
    python benchmarks/conditions.py --collect         # runs nothing
    python benchmarks/readme_tables.py                # writes the tables into docs/comparison.md
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbo import __version__
from graphbo.advice import (
    SHIPPED,
    Measurement,
    leave_one_problem_out,
    read_measurements,
    to_text,
)
from graphbo.budget import spent
from graphbo.comparison import compare
from graphbo.optimizers.auto import space_features, unusable
from graphbo.optimizers.registry import file_name
from graphbo.problems.base import Problem
from graphbo.problems.registry import get_problem
from graphbo.report.ranks import critical_difference, mean_ranks
from graphbo.report.spending import SHARES, spending_curves
from graphbo.report.summary import difference, regret_curves
from graphbo.storage import Ask, Storage
from graphbo.study import Result
from graphbo.trial import Trial

OUTPUT = Path(__file__).parent / "results" / __version__ / "conditions.json"
RUNS = Path("runs", "conditions")
POINTS = (10, 25, 50, 100, 150)

SINGLE = (
    *("graph-bo", "embedding-bo", "one-hot-gp", "smac", "tpe", "bananas", "pnas", "genetic-cnn"),
    *("reinforce", "local-search", "regularized-evolution", "random", "random-ranking"),
)
BATCH = tuple(name for name in SINGLE if name != "random-ranking")
ANY_SPACE = (
    *("graph-bo", "smac", "tpe", "local-search", "regularized-evolution", "random"),
    "random-ranking",
)
CHAINS = (
    *("graph-bo", "one-hot-gp", "smac", "tpe", "q-learning", "reinforce", "genetic-cnn"),
    *("local-search", "regularized-evolution", "random"),
)
CHOICE = (
    *("graph-mf", "bohb", "dehb", "hyperband", "asha", "successive-halving", "graph-bo", "random"),
)


@dataclass(frozen=True)
class Condition:
    """A comparison that advice rests on.

    Attributes:
        problem: The name of the problem, or its TOML file.
        optimizers: Which are compared; those that the problem refuses are left out, with the
            reason.
        trials: The budget in trials, unless it is in epochs.
        trainings: The budget in epochs, as the number of full trainings that have as many.
        batch: How many designs are evaluated at a time.
        seeds: The number of runs of each optimiser.
    """

    problem: str
    optimizers: tuple[str, ...]
    trials: int | None = None
    trainings: int | None = None
    batch: int = 1
    seeds: int = 10

    @property
    def name(self) -> str:
        """What its folder is called."""
        budget = f"{self.trials}-trials" if self.trials else f"{self.trainings}-trainings"
        batch = f"-batch{self.batch}" if self.batch > 1 else ""
        return f"{Path(self.problem).stem}-{budget}{batch}"

    @property
    def points(self) -> tuple[float, ...]:
        """The budgets at which regrets are stored, in trials or full trainings."""
        if self.trainings is not None:
            return tuple(share * self.trainings for share in SHARES)
        assert self.trials is not None
        # One that ends between two points is looked at where it ends, as one of 144 trials is.
        return tuple(map(float, sorted({*(p for p in POINTS if p <= self.trials), self.trials})))


CONDITIONS = (
    Condition("nasbench201-cifar10", SINGLE, trials=150, seeds=30),
    Condition("nasbench201-cifar100", SINGLE, trials=150, seeds=30),
    Condition("nasbench101", SINGLE, trials=150),
    Condition("digits-table", SINGLE, trials=150),
    Condition("digits-table", BATCH, trials=144, batch=8),
    Condition("nasbench201-cifar10", BATCH, trials=144, batch=8),
    Condition("digits-table", CHOICE, trainings=40, seeds=20),
    Condition("nasbench101", CHOICE, trainings=40, seeds=20),
    Condition(str(Path(__file__).with_name("chains.toml")), CHAINS, trials=60, seeds=5),
    Condition("branin", ANY_SPACE, trials=50),
    Condition("hartmann6", ANY_SPACE, trials=100),
    Condition("rosenbrock4", ANY_SPACE, trials=100),
    Condition("ackley8", ANY_SPACE, trials=100),
    Condition("mlp-digits", ANY_SPACE, trials=50),
    Condition("mlp-digits", CHOICE, trainings=20),
    Condition("cells-digits", ANY_SPACE, trials=60, seeds=5),
    Condition("cells-digits", CHOICE, trainings=20, seeds=5),
    Condition("cells-digits-table", ANY_SPACE, trials=150, seeds=20),
    Condition("cells-digits-table", CHOICE, trainings=40, seeds=20),
)


def main(
    arguments: Sequence[str] | None = None, conditions: Sequence[Condition] = CONDITIONS
) -> None:
    """Run the comparisons, and store and print what they give.

    Args:
        arguments: Instead of those of the process.
        conditions: Which there are.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of conditions, commas between")
    parser.add_argument("--seeds", type=int, help="instead of each condition's own number")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--list", action="store_true", help="name the conditions and stop")
    parser.add_argument("--collect", action="store_true", help="run nothing")
    parser.add_argument("--data", help="the folder of the tables; by default GRAPHBO_DATA")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--measurements", type=Path, default=SHIPPED)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    chosen = _chosen(parser, conditions, options.only)
    if options.list:
        for condition in chosen:
            print(f"{condition.name}: {len(condition.optimizers)} x {condition.seeds} seeds")
        return
    if options.seeds is not None:
        chosen = [replace(condition, seeds=options.seeds) for condition in chosen]
    stored: dict[str, Measurement] = {}
    names = [condition.name for condition in conditions]
    if options.measurements.exists():
        found = read_measurements(options.measurements)
        stored = {each.name: each for each in found if each.name in names}
    for condition in chosen:
        problem = get_problem(condition.problem, options.data)
        refused = refusals(condition, problem)
        if not options.collect:
            _run(condition, problem, refused, options)
        measured = condense(condition, problem, refused, options.runs / condition.name)
        if measured is not None:
            stored[condition.name] = measured
    if not stored:
        raise SystemExit("there is nothing to store: no runs, and no measurements yet")
    measurements = sorted(stored.values(), key=lambda each: names.index(each.name))
    words = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python benchmarks/conditions.py", *words])
    options.measurements.parent.mkdir(parents=True, exist_ok=True)
    options.measurements.write_text(to_text(measurements, command), encoding="utf-8")
    # From the file, so that tables and advice rest on the same figures.
    result = summary(read_measurements(options.measurements), command)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(table(result))
    print()
    print(advice_table(result))


def _chosen(
    parser: argparse.ArgumentParser, conditions: Sequence[Condition], only: str | None
) -> list[Condition]:
    known = {condition.name: condition for condition in conditions}
    names = list(known) if only is None else [name.strip() for name in only.split(",")]
    for name in names:
        if name not in known:
            parser.error(f"there is no condition {name!r}; see --list")
    return [known[name] for name in names]


def refusals(condition: Condition, problem: Problem) -> dict[str, str]:
    """Return the optimisers of a condition that the problem refuses, and why."""
    return unusable(
        condition.optimizers,
        problem.space,
        problem.evaluator,
        problem.fidelity,
        problem=problem.name,
        epochs=problem.epochs,
        spends=condition.trainings is not None,
    )


def _run(
    condition: Condition, problem: Problem, refused: dict[str, str], options: argparse.Namespace
) -> None:
    print(f"{condition.name}: {condition.seeds} seeds", file=sys.stderr)
    compare(
        condition.problem,
        [name for name in condition.optimizers if name not in refused],
        trials=condition.trials,
        epochs=_epochs(condition, problem),
        seeds=condition.seeds,
        output=options.runs / condition.name,
        batch=condition.batch,
        jobs=options.jobs,
        data=options.data,
        progress=True,
    )


def _epochs(condition: Condition, problem: Problem) -> float | None:
    if condition.trainings is None:
        return None
    return condition.trainings * problem.fidelity["epochs"]


# Condensing -----------------------------------------------------------------------------------


def condense(
    condition: Condition, problem: Problem, refused: dict[str, str], folder: Path
) -> Measurement | None:
    """Return what the runs of a condition give, None if there are none.

    The seeds are those that every optimiser has finished of which there are runs.

    Args:
        condition: The condition.
        problem: Its problem.
        refused: The optimisers that the problem refuses, and why.
        folder: The folder of the comparison.
    """
    finished = {
        name: _finished(condition, problem, name, folder)
        for name in condition.optimizers
        if name not in refused
    }
    found = {name: runs for name, runs in finished.items() if runs}
    missing = [name for name in finished if name not in found]
    seeds = sorted(set.intersection(*(set(runs) for runs in found.values()))) if found else []
    if not seeds:
        print(f"{condition.name}: no finished runs", file=sys.stderr)
        return None
    if missing:
        print(f"{condition.name}: no runs of {', '.join(missing)}", file=sys.stderr)
    runs = {name: [each[seed] for seed in seeds] for name, each in found.items()}
    epochs, areas, in_seconds = _epochs(condition, problem), {}, {}
    if epochs is None:
        assert condition.trials is not None
        curves = regret_curves(problem, runs, condition.trials)
        index = [round(point) - 1 for point in condition.points]
    else:
        grid, curves = spending_curves(problem, runs, epochs, "epochs")
        index = [round(share * len(grid)) - 1 for share in SHARES]
        areas = _areas(curves)
        everything = [result for results in runs.values() for result in results]
        shortest = min(spent(result.trials, "seconds")[-1] for result in everything)
        if shortest > 0:
            in_seconds = _areas(spending_curves(problem, runs, shortest, "seconds")[1])
    return Measurement(
        name=condition.name,
        problem=problem.name,
        space=space_features(problem.space),
        fidelities=epochs is not None and len(problem.epochs) > 1,
        workers=condition.batch,
        points=condition.points,
        # What rounding leaves of a regret of nought would break ties.
        regrets={name: np.round(curve[:, index].T, 9) + 0.0 for name, curve in curves.items()},
        areas=areas,
        areas_in_seconds=in_seconds,
        seconds={
            name: sum(each.optimizer_seconds for each in results)
            / sum(len(each.trials) for each in results)
            for name, results in runs.items()
        },
        inapplicable=refused,
    )


def _areas(curves: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
    return {name: curve.mean(axis=1) for name, curve in curves.items()}


def _finished(condition: Condition, problem: Problem, name: str, folder: Path) -> dict[int, Result]:
    """Return the finished runs of an optimiser by seed."""
    suffix = f"-batch{condition.batch}" if condition.batch > 1 else ""
    budget = _epochs(condition, problem)
    found = {}
    for seed in range(condition.seeds):
        path = folder / "runs" / f"{file_name(name)}{suffix}-{seed:03d}.sqlite"
        if not path.exists():
            continue
        storage = Storage(path)
        log = storage.log()
        storage.close()
        asks = [entry for entry in log if isinstance(entry, Ask)]
        trials = tuple(entry for entry in log if isinstance(entry, Trial))
        if not trials:
            continue
        exhausted = not asks[-1].trials
        if budget is None:
            done = len(trials) >= (condition.trials or 0)
        else:
            done = spent(trials, "epochs")[-1] >= budget
        if done or exhausted:
            found[seed] = Result(trials, sum(ask.seconds for ask in asks), exhausted)
    return found


# Tables ---------------------------------------------------------------------------------------


def summary(measurements: Sequence[Measurement], command: str) -> dict[str, Any]:
    """Return the means of all conditions, and what advice is worth, as JSON values."""
    problems = {each.problem for each in measurements}
    return {
        "command": command,
        "conditions": [
            {
                "name": each.name,
                "problem": each.problem,
                "fidelities": each.fidelities,
                "workers": each.workers,
                "seeds": each.seeds,
                "points": list(each.points),
                "critical_difference": (
                    critical_difference(len(each.regrets), each.seeds)
                    if len(each.regrets) > 1
                    else None
                ),
                "optimizers": {
                    name: {
                        "mean_regret": [_known(each.mean_regret(name, i)) for i in _points(each)],
                        "mean_rank": [each.mean_rank(name, i) for i in _points(each)],
                        "seconds_per_trial": each.seconds[name],
                    }
                    | {f"mean_{key}": float(areas[name].mean()) for key, areas in _kinds(each)}
                    for name in each.regrets
                },
                "paired": _paired(each),
                **{f"{key}_rank": mean_ranks(areas) for key, areas in _kinds(each)},
                "inapplicable": dict(each.inapplicable),
            }
            for each in measurements
        ],
        "advice": asdict(leave_one_problem_out(measurements)) if len(problems) > 1 else None,
    }


def _paired(measurement: Measurement) -> dict[str, list[dict[str, float | None]]]:
    """Return how far the first optimiser's regret lies below each other one's, at each point."""
    first, *others = measurement.regrets
    values = {name: np.asarray(each, dtype=float) for name, each in measurement.regrets.items()}
    rows = {
        name: [values[first][i] - values[name][i] for i in _points(measurement)] for name in others
    }
    for _, areas in _kinds(measurement):
        rows = {name: [*row, areas[first] - areas[name]] for name, row in rows.items()}
    return {name: [difference(each) for each in row] for name, row in rows.items()}


def _kinds(measurement: Measurement) -> list[tuple[str, Mapping[str, npt.NDArray[np.float64]]]]:
    """Return the areas that there are, by the name that they have in the result."""
    kinds = ("area", measurement.areas), ("area_in_seconds", measurement.areas_in_seconds)
    return [(key, areas) for key, areas in kinds if areas]


def _points(measurement: Measurement) -> range:
    return range(len(measurement.points))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def table(result: dict[str, Any]) -> str:
    """Return the Markdown tables of a result, one for each condition."""
    return "\n\n".join(map(_condition_table, result["conditions"]))


def _condition_table(entry: dict[str, Any]) -> str:
    unit = "full trainings, in epochs" if entry["fidelities"] else "trials"
    batch = f", {entry['workers']} at a time" if entry["workers"] > 1 else ""
    points = entry["points"]
    areas = _areas_of(entry)
    head = [f"regret (mean rank) after {unit}", *(f"{point:g}" for point in points)]
    head += [key.replace("_", " ") for key in areas]
    head.append("s per trial")
    lines = [f"**`{entry['problem']}`{batch}**, {entry['seeds']} seeds", ""]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, found in entry["optimizers"].items():
        cells = [
            f"{'-' if regret is None else format(regret, '.3g')} ({rank:.1f})"
            for regret, rank in zip(found["mean_regret"], found["mean_rank"], strict=True)
        ]
        cells += [f"{found[f'mean_{k}']:.3g} ({entry[f'{k}_rank'][name]:.1f})" for k in areas]
        rows.append([f"`{name}`", *cells, f"{found['seconds_per_trial']:.2g}"])
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    if entry["paired"]:
        lines += ["", *_paired_table(entry)]
    if entry["critical_difference"] is not None:
        lines += ["", f"Ranks that differ by {entry['critical_difference']:.1f} can be told apart."]
    for name, reason in entry["inapplicable"].items():
        lines.append(f"`{name}` does not apply: {reason}.")
    return "\n".join(lines)


def _areas_of(entry: dict[str, Any]) -> list[str]:
    return [key for key in ("area", "area_in_seconds") if f"{key}_rank" in entry]


def _paired_table(entry: dict[str, Any]) -> list[str]:
    first = next(iter(entry["optimizers"]))
    head = [f"regret of `{first}` minus that of", *(f"{point:g}" for point in entry["points"])]
    head += [key.replace("_", " ") for key in _areas_of(entry)]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, differences in entry["paired"].items():
        cells = [
            "-" if d["mean"] is None else f"{d['mean']:+.2g} [{d['low']:+.2g}, {d['high']:+.2g}]"
            for d in differences
        ]
        rows.append([f"`{name}`", *cells])
    return ["| " + " | ".join(row) + " |" for row in rows]


def advice_table(result: dict[str, Any]) -> str:
    """Return the Markdown table of what advice is worth on problems that it has not seen."""
    found = result["advice"]
    if found is None:
        return "Measurements of one problem alone cannot be advised on from others."
    head = [f"{found['problems']} problems", "everywhere", "where it was run", "advice there"]
    rows = [
        [*head, "conditions"],
        ["---", *["---:"] * 4],
        ["**advice**", f"**{found['advice']:.3f}**", "", "", f"{len(found['advised'])}"],
        ["the best in hindsight", f"{found['hindsight']:.3f}", "", "", f"{len(found['advised'])}"],
    ]
    for name, each in found["fixed"].items():
        figures = [f"{each[key]:.3f}" for key in ("everywhere", "where_run", "advice")]
        rows.append([f"always `{name}`", *figures, f"{each['conditions']}"])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", "What was advised, at each budget of each condition:", ""]
    lines += [
        f"- {name}: {', '.join(f'`{each}`' for each in dict.fromkeys(advised))}"
        for name, advised in found["advised"].items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
