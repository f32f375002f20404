"""Kernel density estimates over rows of choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from graphbo.spaces.base import INACTIVE, Decision

Rows = NDArray[np.int64]


class KernelDensity:
    """A density over rows: the mean over the observed ones of a product of kernels.

    There is one kernel for each decision: that of Aitchison and Aitken for unordered choices, and
    that of Wang and Van Ryzin for ordered ones, cut off at the first and last choice; see `kernel`.
    The bandwidths follow the normal reference rule, ``1.06 s n^(-1 / (4 + d))`` for n rows of d
    decisions. The deviation s is that of the numbers of the choices if they are ordered. Any two
    others are equally far from each other, whatever their numbers: s is then the root of half the
    share of pairs that differ, which for two choices is the same.

    Reference: Li and Racine, "Nonparametric estimation of distributions with categorical and
    continuous data", Journal of Multivariate Analysis 2003.

    Args:
        rows: The observed rows, ``n x d``, of which nothing is inactive; see `impute`.
        decisions: The d decisions.
        min_bandwidth: The smallest bandwidth, more than 0.

    Attributes:
        bandwidths: The d bandwidths.

    Example:
        >>> decisions = [Decision("operation", ("a", "b", "c", "d"))]
        >>> KernelDensity(np.array([[0], [1]]), decisions).log_density(np.array([[0], [2]])).shape
        (2,)
    """

    def __init__(
        self, rows: Rows, decisions: Sequence[Decision], min_bandwidth: float = 1e-3
    ) -> None:
        self.rows = rows
        self.decisions = tuple(decisions)
        n, d = rows.shape
        scale = 1.06 * n ** (-1 / (4 + d))
        self.bandwidths = tuple(
            min(max(scale * _deviation(column, decision), min_bandwidth), widest(decision))
            for column, decision in zip(rows.T, self.decisions, strict=True)
        )

    def log_density(self, rows: Rows) -> NDArray[np.float64]:
        """Return the logarithm of the density.

        Args:
            rows: What to evaluate it at, ``m x d``.

        Returns:
            m values.
        """
        terms = np.zeros((len(self.rows), len(rows)))
        for j, decision in enumerate(self.decisions):
            logs = np.log(kernel(self.bandwidths[j], decision))
            terms += logs[self.rows[:, j, None], rows[None, :, j]]
        result: NDArray[np.float64] = logsumexp(terms, axis=0) - np.log(len(self.rows))
        return result

    def draw(self, m: int, rng: np.random.Generator, factor: float = 1.0) -> Rows:
        """Draw rows from the density.

        Args:
            m: How many.
            rng: The source of randomness.
            factor: What the bandwidths are multiplied with for this.

        Returns:
            The rows, ``m x d``.
        """
        centres = self.rows[rng.integers(len(self.rows), size=m)]
        drawn = np.empty_like(centres)
        for j, decision in enumerate(self.decisions):
            wide = kernel(min(factor * self.bandwidths[j], widest(decision)), decision)
            reached = wide.cumsum(1)[centres[:, j]]
            drawn[:, j] = (rng.random((m, 1)) >= reached[:, :-1]).sum(1)
        return drawn


def kernel(bandwidth: float, decision: Decision) -> NDArray[np.float64]:
    """Return how likely each choice is around each other one.

    With the bandwidth h, c unordered choices have ``1 - h`` at the centre and ``h / (c - 1)``
    elsewhere; ordered ones have ``1`` at the centre and ``h^k / 2`` at k steps from it, divided by
    their sum over the choices.

    Args:
        bandwidth: From 0 to `widest`.
        decision: The decision.

    Returns:
        A ``c x c`` matrix, the rows of which are the centres and sum to one.
    """
    numbers = np.arange(len(decision.choices))
    steps = np.abs(numbers[:, None] - numbers)
    weights: NDArray[np.float64]
    if decision.ordered:
        weights = np.where(steps, 0.5 * bandwidth**steps, 1.0)
    else:
        weights = np.where(steps, bandwidth / max(len(numbers) - 1, 1), 1.0 - bandwidth)
    weights /= weights.sum(1, keepdims=True)
    return weights


def widest(decision: Decision) -> float:
    """Return the largest bandwidth, at which unordered choices are equally likely."""
    return 1.0 if decision.ordered else 1.0 - 1.0 / len(decision.choices)


def impute(rows: Rows, decisions: Sequence[Decision], rng: np.random.Generator) -> Rows:
    """Return rows in which the inactive decisions have taken a choice, too.

    For one inactive decision after the other, drawn at random, a row in which it is active lends
    what it has there and at all others that are still open; without such a row, the choice is drawn
    from all.

    Args:
        rows: The rows, ``n x d``.
        decisions: The d decisions.
        rng: The source of randomness.

    Returns:
        Other rows, ``n x d``.
    """
    filled = rows.copy()
    for row in filled:
        while len(left := np.flatnonzero(row == INACTIVE)):
            column = int(rng.choice(left))
            lenders = np.flatnonzero(rows[:, column] != INACTIVE)
            if len(lenders):
                row[left] = rows[int(rng.choice(lenders)), left]
            else:
                row[column] = rng.integers(len(decisions[column].choices))
    return filled


def _deviation(column: NDArray[np.int64], decision: Decision) -> float:
    if decision.ordered:
        return float(column.std())
    shares = np.bincount(column) / len(column)
    return float(np.sqrt((1.0 - (shares**2).sum()) / 2))
