"""Sorting by domination and crowding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from graphbo.goals import Goals
from graphbo.trial import Trial

Array = npt.NDArray[np.float64]


def domination_ranks(values: Array, violations: Array) -> npt.NDArray[np.int64]:
    """Return the front that each point belongs to, 0 for what nothing dominates.

    A point without violation dominates all with one; of two with violations, the smaller one
    dominates. Among points without, domination is that of the values.

    Reference: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
    Transactions on Evolutionary Computation, 2002.

    Args:
        values: ``n x m`` values, to be minimised.
        violations: By how much each breaks the constraints (``n``).
    """
    no_worse = (values[:, None] <= values[None]).all(axis=-1)
    better = (values[:, None] < values[None]).any(axis=-1)
    kept = violations == 0
    dominates = np.where(
        kept[:, None] & kept[None], no_worse & better, violations[:, None] < violations[None]
    )
    ranks = np.full(len(values), -1)
    rank = 0
    while (left := ranks < 0).any():
        front = left & ~dominates[left].any(axis=0)
        ranks[front] = rank
        rank += 1
    return ranks


def crowding_distances(values: Array) -> Array:
    """Return how far each point of a front is from its neighbours, infinite at the ends.

    It is the sum over the objectives of the distance between the two neighbours, as a share of the
    range of the front.

    Args:
        values: ``n x m`` values.
    """
    n, m = values.shape
    distances = np.zeros(n)
    for k in range(m):
        order = np.argsort(values[:, k], kind="stable")
        sorted_values = values[order, k]
        distances[order[[0, -1]]] = np.inf
        width = sorted_values[-1] - sorted_values[0]
        if width > 0:
            distances[order[1:-1]] += (sorted_values[2:] - sorted_values[:-2]) / width
    return distances


def ranked(trials: Sequence[Trial], goals: Goals) -> list[Trial]:
    """Return completed trials by their front, and within one the least crowded first."""
    if not trials:
        return []
    values = np.array([goals.values(trial) for trial in trials])
    ranks = domination_ranks(values, np.array([goals.violation(trial) for trial in trials]))
    distances = np.zeros(len(trials))
    for rank in range(ranks.max() + 1):
        front = ranks == rank
        distances[front] = crowding_distances(values[front])
    return [trials[int(i)] for i in np.lexsort((-distances, ranks))]
