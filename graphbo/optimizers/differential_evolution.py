"""Differential evolution over rows of choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graphbo.spaces.base import INACTIVE, Row

Vector = NDArray[np.float64]


def to_vector(row: Row, sizes: Sequence[int], rng: np.random.Generator) -> Vector:
    """Draw a vector that stands for a row.

    Args:
        row: The choices of d decisions.
        sizes: How many choices each decision has.
        rng: The source of randomness.

    Returns:
        d numbers from 0 to 1: where a decision has c choices, the i-th of them is the i-th of c
        equal parts, in which the number is drawn; for an inactive decision it is any.
    """
    shares = rng.random(len(row))
    pairs = zip(row, sizes, strict=True)
    bounds = [(0.0, 1.0) if i == INACTIVE else (i / c, 1 / c) for i, c in pairs]
    return np.array([low + width * u for (low, width), u in zip(bounds, shares, strict=True)])


def to_row(vector: Vector, sizes: Sequence[int]) -> Row:
    """Return the row that a vector stands for, without inactive decisions."""
    return tuple(min(int(x * c), c - 1) for x, c in zip(vector.tolist(), sizes, strict=True))


def mutated(base: Vector, first: Vector, second: Vector, factor: float) -> Vector:
    """Return ``base + factor (first - second)``, the mutant of ``rand/1``."""
    return base + factor * (first - second)


def crossed(target: Vector, mutant: Vector, probability: float, rng: np.random.Generator) -> Vector:
    """Return the binomial crossover of two vectors.

    Args:
        target: The vector, of length d, that the mutant is crossed with.
        mutant: The mutant.
        probability: How likely each number is that of the mutant; one always is.
        rng: The source of randomness.
    """
    mask = rng.random(len(target)) < probability
    if not mask.any():
        mask[rng.integers(len(target))] = True
    return np.where(mask, mutant, target)


def bounded(vector: Vector, rng: np.random.Generator) -> Vector:
    """Return a vector whose numbers that are not from 0 to 1 are drawn anew."""
    inside = (vector >= 0) & (vector <= 1)
    return np.where(inside, vector, rng.random(len(vector)))
