"""What tells whether a table is a useful benchmark."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.table import TableEvaluator
from graphbo.problems.curves import CurveTable
from graphbo.spaces.declarative import space_from_settings
from graphbo.spaces.nasbench201 import NASBench201Space
from graphbo.tabulate.equivalence import networks

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class EpochStatistics:
    """The validation accuracies after an epoch, in percent.

    The better half is that of the cells by the mean of their seeds after this epoch.

    Attributes:
        epoch: The epoch.
        quantiles: `QUANTILES` of the cells' means.
        noise: Standard deviation between the seeds of a cell, pooled over the better half.
        spread: Standard deviation between the cells of the better half, without the noise of their
            means.
        seeds: Seeds of each cell.
        seeds_rho: Spearman's rank correlation between two seeds over all cells, the mean over all
            pairs of seeds.
        last_rho: Spearman's rank correlation with the last epoch.
    """

    epoch: int
    quantiles: tuple[float, ...]
    noise: float
    spread: float
    seeds: int
    seeds_rho: float
    last_rho: float

    @property
    def ratio(self) -> float:
        """Spread over the noise of a single seed."""
        return self.spread / self.noise if self.noise > 0 else float("inf")

    @property
    def mean_ratio(self) -> float:
        """Spread over the noise of the mean of the seeds."""
        return self.ratio * math.sqrt(self.seeds)


@dataclass(frozen=True)
class Statistics:
    """What tells whether a table is a useful benchmark.

    Attributes:
        cells: The number of distinct cells.
        networks: The number of distinct networks among them.
        epochs: What is known of each epoch.
        near_best: Share of the cells within one point of the best after the last epoch.
        facts_rho: Spearman's rank correlation of facts with the accuracies after the last epoch.
        best: The best cell.
        best_accuracy: Its accuracy.
        largest: The cell with the most parameters: 3x3 convolutions everywhere.
        largest_accuracy: Its accuracy.
        largest_rank: Its rank; the best cell has rank 1.
    """

    cells: int
    networks: int
    epochs: tuple[EpochStatistics, ...]
    near_best: float
    facts_rho: Mapping[str, float]
    best: str
    best_accuracy: float
    largest: str
    largest_accuracy: float
    largest_rank: int

    @property
    def last(self) -> EpochStatistics:
        """The statistics of the last epoch."""
        return self.epochs[-1]


def statistics(table: CurveTable) -> Statistics:
    """Describe a table by its validation accuracies.

    Raises:
        InputError: If it has no validation accuracies, a single seed, or no facts.
    """
    values = table.percent("valid")
    if table.seeds < 2 or "parameters" not in table.facts:
        raise InputError(f"the table {table.name} lacks a second seed or the parameters")
    recorded: NDArray[np.bool_] = np.isfinite(values.sum(axis=2)).any(axis=1)
    if recorded.sum() < 4:
        raise InputError(f"the table {table.name} has results of {recorded.sum()} cells only")
    values = values[recorded]
    means = np.nanmean(values, axis=1)
    architectures = cells(table)
    found = np.flatnonzero(recorded)
    last = means[:, -1]
    facts = {name: np.asarray(fact, float)[recorded] for name, fact in table.facts.items()}
    best, largest = int(last.argmax()), int(facts["parameters"].argmax())
    return Statistics(
        cells=len(architectures),
        networks=len(networks(architectures)),
        epochs=tuple(
            _epoch(int(epoch), values[:, :, e], last) for e, epoch in enumerate(table.epochs)
        ),
        near_best=float((last >= last[best] - 1).mean()),
        facts_rho={name: spearman(fact, last) for name, fact in facts.items()},
        best=text(table, architectures[found[best]]),
        best_accuracy=float(last[best]),
        largest=text(table, architectures[found[largest]]),
        largest_accuracy=float(last[largest]),
        largest_rank=1 + int((last > last[largest]).sum()),
    )


def _epoch(epoch: int, values: NDArray[np.float64], last: NDArray[np.float64]) -> EpochStatistics:
    """Describe the accuracies of an epoch (``cells x seeds``)."""
    means, count = np.nanmean(values, axis=1), np.isfinite(values).sum(axis=1)
    half = np.argsort(-means, kind="stable")[: len(means) // 2]
    several = half[count[half] > 1]
    variance = float(np.nanvar(values[several], axis=1, ddof=1).mean()) if len(several) else np.nan
    between = float(np.var(means[half], ddof=1)) - variance * float((1 / count[half]).mean())
    pairs = itertools.combinations(values.T, 2)
    return EpochStatistics(
        epoch,
        tuple(np.quantile(means, QUANTILES).tolist()),
        noise=variance**0.5,
        spread=max(between, 0.0) ** 0.5,
        seeds=values.shape[1],
        seeds_rho=float(np.mean([spearman(a, b) for a, b in pairs])),
        last_rho=spearman(means, last),
    )


def cells(table: CurveTable) -> list[Architecture]:
    """Return the architecture of each row.

    Raises:
        InputError: If a row is not of the space.
    """
    space = space_from_settings(table.space, where=f"the space of the table {table.name}")
    try:
        return [space.decode(tuple(row)) for row in table.rows.tolist()]
    except ValueError as error:
        raise InputError(f"the table {table.name}: {error}") from error


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's rank correlation over the finite pairs; NaN if all of one are equal."""
    from scipy.stats import rankdata

    pairs = np.array([a, b], float)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    ranks = [rankdata(values) for values in pairs]
    if pairs.shape[1] < 2 or any(np.ptp(r) == 0 for r in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def agreement(table: CurveTable, other: Path) -> dict[str, tuple[float, float]]:
    """Compare the last validation accuracies with those of tables of NAS-Bench-201.

    Args:
        table: A table of the same space.
        other: A file ``nasbench201*.npz`` of the user.

    Returns:
        For each dataset and number of epochs, ``"cifar10, 200 epochs"``, Spearman's rank
        correlation over the networks that both have, and over their better half by this table.

    Raises:
        InputError: If the file cannot be read, or has none of the networks.
    """
    from graphbo.problems.tables import table_problems

    last = table.percent("valid")[:, :, -1]
    mine = {
        cell: float(np.nanmean(values))
        for cell, values in zip(cells(table), last, strict=True)
        if np.isfinite(values).any()
    }
    found: dict[str, tuple[float, float]] = {}
    for name, (_, load) in table_problems(other).items():
        evaluator = load().evaluator
        assert isinstance(evaluator, TableEvaluator)
        shared = [i for i, cell in enumerate(evaluator.architectures) if cell in mine]
        if len(shared) < 4:
            raise InputError(f"{other} has no networks of the table {table.name}")
        ours = np.array([mine[evaluator.architectures[i]] for i in shared])
        half = np.argsort(-ours, kind="stable")[: len(ours) // 2]
        for epochs in evaluator.epochs:
            theirs = -evaluator.values("validation_error", {"epochs": epochs})[shared]
            label = f"{name.removeprefix('nasbench201-')}, {epochs} epochs"
            found[label] = spearman(ours, theirs), spearman(ours[half], theirs[half])
    return found


def text(table: CurveTable, cell: Architecture) -> str:
    """Return the string of a cell: that of NAS-Bench-201 for its space."""
    space = space_from_settings(table.space)
    return space.format(cell) if isinstance(space, NASBench201Space) else cell.to_string()


def figures(statistics: Statistics) -> list[tuple[str, str]]:
    """Return the figures that are not of a single epoch, each with its name."""
    last = statistics.last
    return [
        ("cells (distinct networks)", f"{statistics.cells:,} ({statistics.networks:,})"),
        ("within 1 point of the best", f"{statistics.near_best:.2%} of the cells"),
        ("best cell", f"{statistics.best} ({statistics.best_accuracy:.2f} %)"),
        (
            "cell with the most parameters",
            f"{statistics.largest} (rank {statistics.largest_rank:,}, "
            f"{statistics.largest_accuracy:.2f} %)",
        ),
        *(
            (f"Spearman with {name}", f"{rho:.2f}")
            for name, rho in sorted(statistics.facts_rho.items())
        ),
        (
            f"spread over noise, better half, epoch {last.epoch}",
            f"{last.ratio:.2f} for one seed, {last.mean_ratio:.2f} for the mean of {last.seeds}",
        ),
    ]


def by_epoch(statistics: Statistics) -> tuple[list[str], list[list[str]]]:
    """Return the figures of each epoch as a table: its head and its rows."""
    head = ["epoch", *(_quantile(q) for q in QUANTILES)]
    head += ["sd\nseeds", "sd\ncells", "ratio\n(one)", "ratio\n(mean)", "rho\nseeds", "rho\nlast"]
    rows = [
        [
            str(e.epoch),
            *(f"{value:.1f}" for value in e.quantiles),
            *(f"{value:.2f}" for value in (e.noise, e.spread, e.ratio, e.mean_ratio)),
            *(f"{value:.3f}" for value in (e.seeds_rho, e.last_rho)),
        ]
        for e in statistics.epochs
    ]
    return head, rows


def _quantile(q: float) -> str:
    return {0.0: "min", 1.0: "max"}.get(q, f"{q:.0%}")
