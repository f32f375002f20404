"""Kernel density estimates over vectors of choices and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri

from graphbo.spaces.base import INACTIVE, Column

Array = NDArray[np.float64]

_LEAST = 1e-300  # of a probability whose logarithm is taken


class KernelDensity:
    """A density over vectors: the mean over the observed ones of a product of kernels.

    There is one kernel for each column: that of Aitchison and Aitken for unordered choices, and
    that of Wang and Van Ryzin for ordered ones, cut off at the first and last choice; see `kernel`.
    Numbers have a normal kernel that is cut off at 0 and 1. The bandwidths follow the normal
    reference rule, ``1.06 s n^(-1 / (4 + d))`` for n vectors of d columns. The deviation s is that
    of the numbers, or of those of the choices if they are ordered. Any two others are equally far
    from each other, whatever their numbers: s is then the root of half the share of pairs that
    differ, which for two choices is the same.

    Reference: Li and Racine, "Nonparametric estimation of distributions with categorical and
    continuous data", Journal of Multivariate Analysis 2003.

    Args:
        vectors: The observed vectors, ``n x d``, of which nothing is inactive; see `impute`.
        columns: The d columns.
        min_bandwidth: The smallest bandwidth, more than 0.

    Attributes:
        bandwidths: The d bandwidths.

    Example:
        >>> columns = [Column("operation", 4)]
        >>> KernelDensity(np.array([[0], [1]]), columns).log_density(np.array([[0], [2]])).shape
        (2,)
    """

    def __init__(
        self, vectors: Array, columns: Sequence[Column], min_bandwidth: float = 1e-3
    ) -> None:
        self.vectors = np.asarray(vectors, dtype=float)
        self.columns = tuple(columns)
        n, d = vectors.shape
        scale = 1.06 * n ** (-1 / (4 + d))
        self.bandwidths = tuple(
            min(max(scale * _deviation(entries, column), min_bandwidth), widest(column))
            for entries, column in zip(self.vectors.T, self.columns, strict=True)
        )

    def log_density(self, vectors: Array) -> Array:
        """Return the logarithm of the density.

        Args:
            vectors: What to evaluate it at, ``m x d``.

        Returns:
            m values.
        """
        terms = np.zeros((len(self.vectors), len(vectors)))
        for j, column in enumerate(self.columns):
            centres, points = self.vectors[:, j, None], np.asarray(vectors, float)[None, :, j]
            if column.choices:
                logs = np.log(np.maximum(kernel(self.bandwidths[j], column), _LEAST))
                terms += logs[centres.astype(int), points.astype(int)]
            else:
                terms += _log_normal(points, centres, self.bandwidths[j])
        result: Array = logsumexp(terms, axis=0) - np.log(len(self.vectors))
        return result

    def draw(self, m: int, rng: np.random.Generator, factor: float = 1.0) -> Array:
        """Draw vectors from the density.

        Args:
            m: How many.
            rng: The source of randomness.
            factor: What the bandwidths are multiplied with for this.

        Returns:
            The vectors, ``m x d``.
        """
        centres = self.vectors[rng.integers(len(self.vectors), size=m)]
        drawn = np.empty_like(centres)
        for j, column in enumerate(self.columns):
            bandwidth, shares = min(factor * self.bandwidths[j], widest(column)), rng.random((m, 1))
            if column.choices:
                reached = kernel(bandwidth, column).cumsum(1)[centres[:, j].astype(int)]
                drawn[:, j] = (shares >= reached[:, :-1]).sum(1)
            else:
                low, high = (ndtr((end - centres[:, j]) / bandwidth) for end in (0, 1))
                quantiles = ndtri(low + shares[:, 0] * (high - low))
                drawn[:, j] = (centres[:, j] + bandwidth * quantiles).clip(0, 1)
        return drawn


def kernel(bandwidth: float, column: Column) -> Array:
    """Return how likely each choice is around each other one.

    With the bandwidth h, c unordered choices have ``1 - h`` at the centre and ``h / (c - 1)``
    elsewhere; ordered ones have ``1`` at the centre and ``h^k / 2`` at k steps from it, divided by
    their sum over the choices.

    Args:
        bandwidth: From 0 to `widest`.
        column: A column of choices.

    Returns:
        A ``c x c`` matrix, the rows of which are the centres and sum to one.
    """
    numbers = np.arange(column.choices)
    steps = np.abs(numbers[:, None] - numbers)
    weights: Array
    if column.ordered:
        weights = np.where(steps, 0.5 * bandwidth**steps, 1.0)
    else:
        weights = np.where(steps, bandwidth / max(len(numbers) - 1, 1), 1.0 - bandwidth)
    weights /= weights.sum(1, keepdims=True)
    return weights


def widest(column: Column) -> float:
    """Return the largest bandwidth, at which unordered choices are equally likely."""
    return 1.0 if column.ordered or not column.choices else 1.0 - 1.0 / column.choices


def impute(vectors: Array, columns: Sequence[Column], rng: np.random.Generator) -> Array:
    """Return vectors in which what is inactive has taken a choice or a number, too.

    For one inactive column after the other, drawn at random, a vector in which it is active lends
    what it has there and at all others that are still open; without such a vector, the entry is
    drawn uniformly.

    Args:
        vectors: The vectors, ``n x d``.
        columns: The d columns.
        rng: The source of randomness.

    Returns:
        Other vectors, ``n x d``.
    """
    filled = vectors.copy()
    for vector in filled:
        while len(left := np.flatnonzero(vector == INACTIVE)):
            column = int(rng.choice(left))
            lenders = np.flatnonzero(vectors[:, column] != INACTIVE)
            if len(lenders):
                vector[left] = vectors[int(rng.choice(lenders)), left]
            else:
                choices = columns[column].choices
                vector[column] = rng.integers(choices) if choices else rng.random()
    return filled


def _deviation(entries: Array, column: Column) -> float:
    if column.ordered or not column.choices:
        return float(entries.std())
    shares = np.bincount(entries.astype(int)) / len(entries)
    return float(np.sqrt((1.0 - (shares**2).sum()) / 2))


def _log_normal(points: Array, centres: Array, bandwidth: float) -> Array:
    """Return the logarithm of normal densities that are cut off at 0 and 1."""
    inside = ndtr((1 - centres) / bandwidth) - ndtr(-centres / bandwidth)
    exponent = -0.5 * ((points - centres) / bandwidth) ** 2
    result: Array = exponent - np.log(np.sqrt(2 * np.pi) * bandwidth * inside)
    return result
