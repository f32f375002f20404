"""What one proposal of Bayesian optimisation costs, fitting included.

`GraphBO` with its default kernels is told the values of random cells and asked for the next, among
all cells of NAS-Bench-201's space (8,765 distinct ones) or among 15,625 distinct cells drawn from
the space with a fifth operation. The values are a synthetic function of the cell: an effect of each
choice, effects of pairs of choices, and noise.

A first ask, after 10 observations, computes the features of every cell; it is reported by itself.
Then each repeat takes other observations and asks twice: once with the hyperparameters fitted anew,
and once, after one more observation, only conditioned on it. The medians are shown, in seconds and
split into fit (or condition), posterior moments of all cells, acquisition function, and the rest.

    python benchmarks/ask_cost.py --output benchmarks/results/0.1.0/ask_cost.json
    python benchmarks/ask_cost.py --spaces cells --observations 5000 --repeats 1 --threads 2
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from graphbo import __version__
from graphbo.optimizers.graph_bo import GraphBO
from graphbo.spaces import CellSpace, Design, NASBench201Space, SearchSpace
from graphbo.surrogates import GraphGP, GraphSurrogate
from graphbo.trial import Trial

PARTS = ("fit", "moments", "acquisition", "rest")
_CANDIDATES, _NOISE, _FIRST = 15_625, 0.2, 10


class DrawnCells(CellSpace):
    """Some cells of the space of NAS-Bench-201 with a fifth operation."""

    def __init__(self) -> None:
        operations = ("skip", "conv1x1", "conv3x3", "avgpool", "maxpool")
        super().__init__(4, operations, on="edges", name="cells")

    @cached_property
    def _all_designs(self) -> tuple[Design, ...]:
        every = super()._all_designs
        drawn = np.random.default_rng(0).permutation(len(every))[:_CANDIDATES]
        return tuple(every[i] for i in sorted(drawn))


SPACES: dict[str, Callable[[], SearchSpace]] = {
    "cells": DrawnCells,
    "nasbench201": NASBench201Space,
}


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", type=_names, default=list(SPACES), help="comma-separated")
    parser.add_argument("--observations", type=_numbers, default=[10, 50, 100, 200, 500])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.spaces if name not in SPACES]
    if unknown:
        parser.error(f"there is no space {unknown[0]!r}; choose from {', '.join(SPACES)}")
    if min(arguments.observations) < 2 or arguments.repeats < 1:
        parser.error("there must be at least 2 observations and 1 repeat")
    torch.set_num_threads(arguments.threads)
    result: dict[str, Any] = {
        "version": __version__,
        "repeats": arguments.repeats,
        "threads": arguments.threads,
        "spaces": {},
    }
    with threadpool_limits(arguments.threads):
        measure(CellSpace(3, ["conv", "skip"], on="edges"), [5], 1)  # imports and first calls
        for name in arguments.spaces:
            result["spaces"][name] = measure(
                SPACES[name](), arguments.observations, arguments.repeats
            )
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


def measure(space: SearchSpace, sizes: Sequence[int], repeats: int) -> dict[str, Any]:
    """Return the median seconds of an ask, by number of observations and by part."""
    pool = space.enumerate()
    if max(sizes) + 2 > len(pool):
        raise SystemExit(f"the space {space.name} has only {len(pool)} cells to observe")
    values = synthetic_values(space)
    surrogate = GraphSurrogate(space)
    rng = np.random.default_rng(1)
    first, _ = asks(space, surrogate, values, rng.permutation(len(pool))[:_FIRST])
    result: dict[str, Any] = {"candidates": len(pool), "first": first, "observations": {}}
    for size in sizes:
        found = [
            asks(space, surrogate, values, rng.permutation(len(pool))[:size])
            for _ in range(repeats)
        ]
        result["observations"][str(size)] = {
            kind: {part: float(np.median([f[i][part] for f in found])) for part in found[0][i]}
            for i, kind in enumerate(("fitted", "conditioned"))
        }
        result["observations"][str(size)]["peak_gigabytes"] = _peak()
    return result


def asks(
    space: SearchSpace,
    surrogate: GraphSurrogate,
    values: NDArray[np.float64],
    observed: NDArray[np.int64],
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds of an ask that fits, and of the next that conditions on one more."""
    pool = space.enumerate()
    optimizer = TimedGraphBO(space, surrogate)
    optimizer.tell(Trial(pool[i], value=float(values[i])) for i in observed)
    fitted = optimizer.timed_ask()
    (proposed,) = optimizer.pending
    optimizer.tell(Trial(proposed, value=float(values[pool.index(proposed)])))
    optimizer.anew = False
    return fitted, optimizer.timed_ask()


class TimedGraphBO(GraphBO):
    """Bayesian optimisation that notes the seconds of its parts.

    Args:
        space: The search space.
        surrogate: A surrogate that may know the features of the space.

    Attributes:
        anew: Whether an ask fits the hyperparameters; if so, to all observations.
    """

    def __init__(self, space: SearchSpace, surrogate: GraphSurrogate) -> None:
        super().__init__(space)
        self.surrogate = surrogate
        self.anew = True
        self.seconds: dict[str, float] = {}

    def timed_ask(self) -> dict[str, float]:
        """Ask for one design, and return the seconds by part and in total."""
        self.seconds = dict.fromkeys(PARTS, 0.0)
        start = time.perf_counter()
        self.ask()
        total = time.perf_counter() - start
        self.seconds["rest"] = total - sum(self.seconds.values())
        return {**self.seconds, "total": total}

    def _prepare(self, rng: np.random.Generator) -> None:
        designs = [trial.design for trial in self.completed]
        values = [trial.value for trial in self.completed if trial.value is not None]
        with self._timing("fit"):
            (self.surrogate.fit if self.anew else self.surrogate.condition)(designs, values)

    def _score(
        self, pool: Sequence[Design], pending: Sequence[Design], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        moments = self.seconds["moments"]
        with (
            self._timing("acquisition"),
            mock.patch.object(GraphGP, "posterior", self._posterior()),
        ):
            result = super()._score(pool, pending, rng)
        self.seconds["acquisition"] -= self.seconds["moments"] - moments
        return result

    def _posterior(self) -> Callable[..., Any]:
        """Return the models' method, timed: the acquisition function gets its moments there."""
        original = GraphGP.posterior

        def timed(model: GraphGP, *args: Any, **kwargs: Any) -> Any:
            with self._timing("moments"):
                return original(model, *args, **kwargs)

        return timed

    @contextmanager
    def _timing(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - start


def synthetic_values(space: SearchSpace) -> NDArray[np.float64]:
    """Return a noisy function of each cell of a space: effects of choices and of their pairs."""
    rng = np.random.default_rng(2)
    rows = np.array([design.row for design in space.enumerate()])
    choices = [len(decision.choices) for decision in space.decisions]
    values = rng.normal(0, _NOISE, len(rows))
    for i, first in enumerate(choices):
        values += rng.normal(0, 1, first)[rows[:, i]]
        for j, second in enumerate(choices[:i]):
            values += rng.normal(0, 0.3, (first, second))[rows[:, i], rows[:, j]]
    return values


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table of a result, in seconds."""
    head = ["Candidates", "Observations", "Ask", "total", *PARTS]
    lines = ["| " + " | ".join(head) + " |", "| ---: | ---: | --- |" + " ---: |" * (len(head) - 3)]
    for found in result["spaces"].values():
        rows = [("", "first", found["first"])]
        for size, kinds in found["observations"].items():
            rows += [(size, kind, kinds[kind]) for kind in ("fitted", "conditioned")]
        for size, kind, seconds in rows:
            cells = [f"{seconds[part]:.3f}" for part in ("total", *PARTS)]
            lines.append(f"| {found['candidates']} | {size} | {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _peak() -> float:
    """Return the largest resident memory that this process has had so far, in gigabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
