"""What a study of thousands of trials costs, and whether searching on from one is worth it.

Costs: for each optimiser and number of trials, in a process of its own, a study file is filled with
random designs of a space of cells (7 nodes, 3 operations, too many to enumerate) and the values of
a cheap synthetic objective. Then the real thing is measured on top, in seconds of one CPU: to open
it, the first ask (which fits the model, if there is one), later asks, and what a trial takes beside
(its result told and stored; the wait for the disk is not counted), medians over ``--repeats``; the
peak memory of the process and the size of the file. What an optimiser that chooses epochs proposes at the lowest cost, `hyperband` all and
`graph-mf` its race, it proposes itself; then come designs at the lowest rung, a third of which were
trained further, and so on.

    python benchmarks/large_study.py --output benchmarks/results/0.1.0/large_study.json

Quality: each of ``--seeds`` studies of 2,000 random trials is continued for 50 trials, by each
optimiser. What is shown is how far the best trial lies below the best of the 2,000 random ones, on
average over the studies, with its standard error, in standard deviations of the objective.

    python benchmarks/large_study.py --quality --output benchmarks/results/0.1.0/large_study_quality.json
"""  # noqa: E501 (a command is one line)

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from graphbo import CellSpace, Study, __version__
from graphbo.architecture import Architecture
from graphbo.evaluators import Evaluator
from graphbo.optimizers import Optimizer
from graphbo.optimizers.multi_fidelity import MultiFidelityOptimizer
from graphbo.spaces import Design
from graphbo.storage import Storage
from graphbo.trial import Evaluation, Job, Trial

OPTIMIZERS = (
    "random", "regularized-evolution", "local-search", "tpe", "one-hot-gp", "graph-bo", "hyperband",
    "graph-mf",
)  # fmt: skip
CONTINUED = ("random", "regularized-evolution", "local-search", "graph-bo")
OPERATIONS = ("conv3x3", "conv1x1", "maxpool")
SPACE = CellSpace(7, OPERATIONS, on="nodes", name="large-cells")
FILLED, CONTINUATION = 2000, 50
_CHEAP = ("hyperband",)
_RACE = 40  # trials of the race that graph-mf begins with
_IN_MEMORY = Path("/dev/shm")  # no fsync while a study is filled


class Synthetic(Evaluator):
    """A cheap objective of cells: effects of their operations, of pairs in sequence, and depth."""

    objectives = ("error",)
    epochs = (1, 3, 9, 27)

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        labels = ("input", *OPERATIONS, "output")
        self.single = dict(zip(labels, rng.normal(0, 0.5, len(labels)), strict=True))
        self.pairs = {(a, b): rng.normal(0, 0.5) for a in labels for b in labels}
        self.depth, self.early = rng.uniform(2, 5), rng.normal(0, 0.3, len(labels))

    def evaluate_one(self, job: Job) -> Evaluation:
        """Return the value; after few epochs, it is too high, and misjudges operations."""
        cell = job.design.architecture
        left = 1 - np.log(job.fidelity.get("epochs", self.epochs[-1])) / np.log(self.epochs[-1])
        value = self.value(cell) + left * (1 + len(cell.edges) * self.early[len(cell) % 5])
        return Evaluation({"error": float(value)}, cost=1.0, facts={"edges": len(cell.edges)})

    def value(self, cell: Architecture) -> float:
        """Return the value after a full training."""
        depth = [0] * len(cell)
        total = sum(self.single[label] for label in cell.nodes)
        for u, v, _ in cell.edges:  # sorted, and nodes are in topological order
            depth[v] = max(depth[v], depth[u] + 1)
            total += self.pairs[cell.nodes[u], cell.nodes[v]]
        return float(total + 0.5 * (max(depth) - self.depth) ** 2)


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimizers", type=_names, help="comma-separated")
    parser.add_argument("--trials", type=_numbers, default=[100, 1000, 3000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quality", action="store_true", help="continue studies instead")
    parser.add_argument("--seeds", type=int, default=3, help="how many studies are continued")
    parser.add_argument("--one", nargs=2, metavar=("OPTIMIZER", "TRIALS"), help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    if arguments.one:
        name, trials = arguments.one
        print(json.dumps(cost(name, int(trials), arguments.repeats)))
        return
    result: dict[str, Any] = {"version": __version__}
    if arguments.quality:
        names = arguments.optimizers or list(CONTINUED)
        result |= {"seeds": arguments.seeds, "filled": FILLED, "continuation": CONTINUATION}
        result["gains"] = {name: gains(name, arguments.seeds) for name in names}
        text = quality_table(result)
    else:
        result |= {"repeats": arguments.repeats, "costs": {}}
        for name in arguments.optimizers or OPTIMIZERS:
            result["costs"][name] = {
                str(trials): _in_a_process(name, trials, arguments.repeats)
                for trials in arguments.trials
            }
        text = cost_table(result)
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(text)


def cost(name: str, trials: int, repeats: int) -> dict[str, float]:
    """Return what a study of so many trials costs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.sqlite"
        fill(path, name, trials, seed=0)
        start = time.process_time()
        study = Study(SPACE, Synthetic(), name, storage=path)
        result = {"open": time.process_time() - start}
        seconds: dict[str, list[float]] = {"ask": [], "evaluate": []}
        total: list[float] = []
        with (
            _timed(study.optimizer, "ask", seconds["ask"]),
            _timed(study.evaluator, "evaluate_one", seconds["evaluate"]),
        ):
            for _ in range(repeats + 1):
                start = time.process_time()
                study.run(trials=len(study.trials) + 1)
                total.append(time.process_time() - start)
        reports = np.subtract(total, np.add(seconds["ask"], seconds["evaluate"]))
        result |= {
            "first_ask": seconds["ask"][0],
            "ask": float(np.median(seconds["ask"][1:])),
            "report": float(np.median(reports)),
            "peak_megabytes": _peak(),
            "file_megabytes": path.stat().st_size / 1e6,
        }
        study.close()
    return result


def gains(name: str, seeds: int) -> list[float]:
    """Return how far each of some large studies gets below its best random trial."""
    found = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.sqlite"
            values = fill(path, name, FILLED, seed)
            study = Study(SPACE, Synthetic(seed), name, seed=seed, storage=path)
            study.run(trials=FILLED + CONTINUATION)
            found.append(float((min(values) - study.result.value) / np.std(values)))
            study.close()
    return found


def fill(path: Path, name: str, trials: int, seed: int) -> list[float]:
    """Write a study of random designs, and return their values."""
    evaluator = Synthetic(seed)
    values = []
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        draft = Path(folder) / path.name
        study = Study(SPACE, evaluator, name, seed=seed, storage=draft)
        study.close()
        storage = Storage(draft)
        rng = np.random.default_rng([seed, 1])
        for number, design in enumerate(_designs(study.optimizer, trials, rng)):
            fidelity = dict(design.fidelity or {})
            trial = Trial(design, number=number, ask=number, fidelity=fidelity, started=0.0)
            storage.add_ask(number, [trial], 0.0)
            evaluation = evaluator.evaluate_one(Job(design, fidelity))
            values.append(evaluation.objectives["error"])
            trial = replace(trial, value=values[-1], evaluation=evaluation, finished=1.0)
            storage.finish(trial)
            study.optimizer.tell(trial)
        storage.close()
        shutil.copy(draft, path)
    return values


def _designs(optimizer: Optimizer, n: int, rng: np.random.Generator) -> Iterator[Design]:
    """Yield what a study is filled with; each must be told before the next."""
    rungs = optimizer.rungs if isinstance(optimizer, MultiFidelityOptimizer) else ()
    own = n if optimizer.name in _CHEAP else min(n, _RACE) if rungs else 0
    for _ in range(own):
        yield optimizer.ask()[0]
    seen = set(optimizer.seen)
    fresh = [design for design in _distinct(n, rng) if design not in seen]
    yield from islice(_at_rungs(fresh, rungs), n - own)


def _distinct(n: int, rng: np.random.Generator) -> list[Design]:
    found: dict[Design, Design] = {}
    while len(found) < n:
        design = SPACE.sample(rng).described("random")
        found.setdefault(design, design)
    return list(found)


def _at_rungs(designs: Iterable[Design], rungs: Sequence[int]) -> Iterator[Design]:
    """Yield designs with epochs: each at the lowest rung, every third at the next one, ..."""
    for i, design in enumerate(designs, start=1):
        yield design.at({"epochs": float(rungs[0])}) if rungs else design
        for level, epochs in enumerate(rungs[1:], start=1):
            if i % 3**level:
                break
            yield design.at({"epochs": float(epochs)})


@contextmanager
def _timed(owner: object, method: str, seconds: list[float]) -> Iterator[None]:
    """Note the seconds of each call of a method."""
    original: Callable[..., Any] = getattr(owner, method)

    def timed(*args: Any) -> Any:
        start = time.process_time()
        try:
            return original(*args)
        finally:
            seconds.append(time.process_time() - start)

    with mock.patch.object(owner, method, timed):
        yield


def _in_a_process(name: str, trials: int, repeats: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", name, str(trials), "--repeats", str(repeats)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"{name}, {trials} trials: {run.stdout.strip()}", file=sys.stderr)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def cost_table(result: dict[str, Any]) -> str:
    """Return the Markdown table of costs."""
    lines = [
        "| optimiser | trials | open, s | first ask, s | ask, s | report, ms | memory, MB "
        "| file, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, costs in result["costs"].items():
        for trials, found in costs.items():
            cells = [
                f"{int(trials):,}", f"{found['open']:.2f}", f"{found['first_ask']:.3f}",
                f"{found['ask']:.3f}", f"{1000 * found['report']:.1f}",
                f"{found['peak_megabytes']:.0f}", f"{found['file_megabytes']:.1f}",
            ]  # fmt: skip
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def quality_table(result: dict[str, Any]) -> str:
    """Return the Markdown table of gains."""
    lines = [f"| {result['seeds']} studies | gain, standard deviations |", "| --- | ---: |"]
    for name, found in result["gains"].items():
        error = np.std(found, ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.nan
        lines.append(f"| `{name}` | {np.mean(found):.2f} ± {error:.2f} |")
    return "\n".join(lines)


def _peak() -> float:
    """Return the largest resident memory that this process has had so far, in megabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
