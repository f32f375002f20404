"""How well each kernel ranks the cells of a table after a few trainings.

Draws training cells, fits a surrogate with each kernel to their validation errors, predicts other
cells, and correlates the predictions with the table by Spearman's rho and Kendall's tau. Beside the
kernels stand a random forest and gradient boosting on one-hot and path features.

Cells are distinct up to isomorphism and twins are averaged, so that no twin of a training cell is
tested. Every kernel sees the same draws, and a smaller training set is the beginning of a larger.

    python benchmarks/kernel_regression.py --problem nasbench201-cifar10 --repeats 20 \
        --sizes 25,46,100,233,400 --output kernels-cifar10.json
    python benchmarks/kernel_regression.py --problem nasbench101 --test-cells 5000 \
        --kernels wl,wl-oa,default,random-forest
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpytorch.kernels import Kernel
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

from graphbo import __version__, kernels
from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators import TableEvaluator
from graphbo.kernels import FeatureMap, FeatureStore, RBFFeatureKernel
from graphbo.problems import get_problem
from graphbo.spaces import Design, PoolSpace, SearchSpace
from graphbo.surrogates import GraphSurrogate, NormalScores
from graphbo.surrogates.defaults import (
    KernelFactory,
    default_kernels,
    path_profile,
    spectrum,
    weisfeiler_lehman,
)

Values = NDArray[np.float64]
Predictor = Callable[[Sequence[Design], Values, Sequence[Design]], Values]
"""Predicts some designs, given others and their values; only the order counts."""

_LANDMARKS = 200
_CHUNK = 2000  # the feature stores remember products with the latest sets of rows


def main() -> None:
    """Measure, print a Markdown table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", default="nasbench201-cifar10", help="a problem with a table")
    parser.add_argument("--data", help="the folder of the tables; by default GRAPHBO_DATA")
    parser.add_argument("--sizes", type=_numbers, default=[25, 46, 100, 233, 400])
    parser.add_argument("--repeats", type=int, default=20, help="at least 2")
    parser.add_argument("--kernels", type=_names, default=list(PREDICTORS), help="comma-separated")
    parser.add_argument("--test-cells", type=int, help="by default all that are not trained")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.kernels if name not in PREDICTORS]
    if unknown:
        parser.error(f"there is no kernel {unknown[0]!r}; choose from {', '.join(PREDICTORS)}")
    if arguments.repeats < 2:
        parser.error("a standard error takes at least 2 repeats")
    try:
        result = measure(
            arguments.problem,
            arguments.data,
            arguments.kernels,
            arguments.sizes,
            arguments.repeats,
            arguments.test_cells,
            arguments.processes,
        )
    except InputError as error:
        parser.error(str(error))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def measure(
    problem: str,
    data: str | None,
    names: Sequence[str],
    sizes: Sequence[int],
    repeats: int,
    test_cells: int | None,
    processes: int,
) -> dict[str, Any]:
    """Return the mean and the standard error of both correlations, by kernel and size."""
    available = len(Worker(problem, data).designs)
    if not 0 < min(sizes) <= max(sizes) <= available - (test_cells or 2):
        raise InputError(
            f"the sizes and the test cells must fit into the {available} cells of {problem}"
        )
    tasks = [
        (name, repeat, tuple(sizes), test_cells) for name in names for repeat in range(repeats)
    ]
    results: dict[str, Any] = {}
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(problem, data),
    ) as executor:
        found = executor.map(_correlations, tasks)
        for name in names:
            values, seconds = zip(*(next(found) for _ in range(repeats)), strict=True)
            print(f"{name}: {np.mean(seconds):.1f} s a repeat", file=sys.stderr, flush=True)
            mean = np.mean(values, axis=0)
            error = np.std(values, axis=0, ddof=1) / np.sqrt(repeats)
            results[name] = {
                str(size): {
                    measure: {"mean": float(mean[i, j]), "standard_error": float(error[i, j])}
                    for j, measure in enumerate(("spearman", "kendall"))
                }
                for i, size in enumerate(sizes)
            }
    return {
        "version": __version__,
        "problem": problem,
        "sizes": list(sizes),
        "repeats": repeats,
        "test_cells": test_cells,
        "kernels": results,
    }


def table(result: dict[str, Any]) -> str:
    """Return the Markdown tables of a result, Kendall's tau first."""
    sizes = [str(size) for size in result["sizes"]]
    lines = []
    for measure, name in (("kendall", "Kendall's tau"), ("spearman", "Spearman's rho")):
        title = f"{name}, `{result['problem']}`, {result['repeats']} repeats"
        head = [title, *(f"{size} cells" for size in sizes)]
        lines += ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * len(sizes)]
        for kernel, found in result["kernels"].items():
            cells = [
                f"{found[size][measure]['mean']:.3f} ± {found[size][measure]['standard_error']:.3f}"
                for size in sizes
            ]
            lines.append(f"| {kernel} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines[:-1])


# Kernels ----------------------------------------------------------------------------------------

KernelMaker = Callable[[SearchSpace], Iterable[Kernel | KernelFactory]]
"""Makes the kernels of a space, one for each Gaussian process that is averaged over."""


def _cardinalities(space: SearchSpace) -> list[int]:
    return [len(decision.choices) for decision in space.decisions]


def _rbf(feature_map: FeatureMap) -> KernelMaker:
    return lambda space: [RBFFeatureKernel(FeatureStore(space.decode, feature_map, unary=True))]


def _paths(space: SearchSpace) -> list[KernelFactory]:
    store = FeatureStore(space.decode, kernels.PathMap())
    return [lambda train: kernels.PathKernel(store, kernels.path_vocabulary(train))]


def _landmarks(space: SearchSpace) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.sample(rng).architecture for _ in range(_LANDMARKS)]


KERNELS: dict[str, KernelMaker] = {
    "wl": lambda space: [kernels.WLKernel(space.decode)],
    "wl-oa": lambda space: [kernels.WLOptimalAssignmentKernel(space.decode)],
    "wl-rbf": lambda space: [kernels.WLRBFKernel(space.decode)],
    "spectrum": lambda space: [kernels.SpectrumKernel(space.decode)],
    "spectrum-rbf": _rbf(kernels.SpectrumMap()),
    "subsequences": lambda space: [kernels.SubsequenceKernel(space.decode)],
    "subsequences-rbf": lambda space: [kernels.SubsequenceRBFKernel(space.decode)],
    "paths": _paths,
    "shortest-paths": lambda space: [kernels.ShortestPathKernel(space.decode)],
    "shortest-paths-rbf": _rbf(kernels.ShortestPathMap()),
    "random-walks": lambda space: [kernels.RandomWalkKernel(space.decode)],
    "random-walks-rbf": _rbf(kernels.RandomWalkMap()),
    "graphlets": lambda space: [kernels.GraphletKernel(space.decode)],
    "graphlets-rbf": _rbf(kernels.GraphletMap()),
    "transport": lambda space: [kernels.OptimalTransportKernel(space.decode, _landmarks(space))],
    "edit-distance": lambda space: [kernels.EditDistanceKernel(space.decode, _landmarks(space))],
    "one-hot": lambda space: [kernels.OneHotKernel(_cardinalities(space))],
    "hamming": lambda space: [kernels.HammingKernel(_cardinalities(space))],
    "path-profile": lambda space: [path_profile(space)],
    "one-hot + path-profile": lambda space: [path_profile(space, positions=True)],
    "wl-rbf, spectrum-rbf": lambda space: [weisfeiler_lehman(space), spectrum(space)],
    "default": default_kernels,
}
"""Add a kernel here, and it is measured."""


class GaussianProcess:
    """A graph surrogate, which keeps features from one repeat to the next."""

    def __init__(self, space: SearchSpace, make_kernels: KernelMaker) -> None:
        self.surrogate = GraphSurrogate(space, kernels=list(make_kernels(space)))

    def __call__(self, train: Sequence[Design], values: Values, test: Sequence[Design]) -> Values:
        """Return the predicted scores."""
        self.surrogate.fit(train, values.tolist())
        starts = range(0, len(test), _CHUNK)
        parts = [self.surrogate.predict(test[i : i + _CHUNK])[0] for i in starts]
        return np.concatenate(parts)


class Trees:
    """An ensemble of regression trees on one-hot codes and counts of paths."""

    def __init__(self, space: SearchSpace, make_regressor: Callable[[], Any]) -> None:
        self.space = space
        self.make_regressor = make_regressor
        self.features: dict[Design, tuple[tuple[int, ...], Counter[str]]] = {}

    def __call__(self, train: Sequence[Design], values: Values, test: Sequence[Design]) -> Values:
        """Return the predicted scores."""
        paths = kernels.path_vocabulary(design.architecture for design in train)
        regressor = self.make_regressor()
        regressor.fit(self._matrix(train, paths), NormalScores(values).scores)
        predicted: Values = regressor.predict(self._matrix(test, paths))
        return predicted

    def _matrix(self, designs: Sequence[Design], paths: Sequence[str]) -> Values:
        for design in designs:
            if design not in self.features:
                graph = design.architecture.operations_on_nodes()
                row = self.space.encode(design.architecture)
                self.features[design] = row, Counter(kernels.operation_paths(graph))
        choices = [(j, c) for j, k in enumerate(_cardinalities(self.space)) for c in range(k)]
        found = [self.features[design] for design in designs]
        one_hot = np.array([[row[j] == c for j, c in choices] for row, _ in found], dtype=float)
        counts = np.array([[count[path] for path in paths] for _, count in found], dtype=float)
        others = [[count.total() - sum(row)] for (_, count), row in zip(found, counts, strict=True)]
        return np.hstack([one_hot, counts, others])


REGRESSORS: dict[str, Callable[[], Any]] = {
    "random-forest": lambda: RandomForestRegressor(n_estimators=500, random_state=0),
    "gradient-boosting": lambda: GradientBoostingRegressor(
        n_estimators=500, learning_rate=0.05, random_state=0
    ),
}
PREDICTORS = [*KERNELS, *REGRESSORS]


# In each process --------------------------------------------------------------------------------


class Worker:
    """A process's table, and the predictor that it used last."""

    def __init__(self, problem: str, data: str | None) -> None:
        loaded = get_problem(problem, data)
        if not isinstance(loaded.evaluator, TableEvaluator):
            raise InputError(f"the problem {problem} has no table")
        space = loaded.space
        if isinstance(space, PoolSpace) and space.parent is not None:
            space = space.parent  # a pool has no decisions of its own
        self.space = space
        values = loaded.evaluator.values(loaded.objective)
        recorded = np.flatnonzero(np.isfinite(values))
        designs = [Design(a, ()) for a in loaded.evaluator.architectures]
        self.designs = [designs[i] for i in recorded]
        self.values = values[recorded]
        self.name = ""

    def predictor(self, name: str) -> Predictor:
        """Return a predictor; the one before is given up, since stores of features are large."""
        if name != self.name:
            self.name = name
            self.last: Predictor = (
                GaussianProcess(self.space, KERNELS[name])
                if name in KERNELS
                else Trees(self.space, REGRESSORS[name])
            )
        return self.last

    def correlations(
        self, name: str, repeat: int, sizes: Sequence[int], test_cells: int | None
    ) -> tuple[list[list[float]], float]:
        """Return Spearman's rho and Kendall's tau for each size, and the seconds it took."""
        order = np.random.default_rng(repeat).permutation(len(self.designs))
        predict, result, start = self.predictor(name), [], time.perf_counter()
        for size in sizes:
            train, test = order[:size], order[size:]
            test = test[len(test) - (test_cells or len(test)) :]
            predicted = predict(
                [self.designs[i] for i in train],
                self.values[train],
                [self.designs[i] for i in test],
            )
            truth = self.values[test]
            result.append([float(f(predicted, truth)[0]) for f in (spearmanr, kendalltau)])
        return result, time.perf_counter() - start


_worker: Worker


def _start(problem: str, data: str | None) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = Worker(problem, data)


def _correlations(
    task: tuple[str, int, tuple[int, ...], int | None],
) -> tuple[list[list[float]], float]:
    return _worker.correlations(*task)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
