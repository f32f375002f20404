"""Differential evolution over vectors of choices and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graphbo.spaces.base import INACTIVE

Vector = NDArray[np.float64]


def to_point(vector: Sequence[float], choices: Sequence[int], rng: np.random.Generator) -> Vector:
    """Draw a point of the unit cube that stands for a vector.

    Args:
        vector: d entries; see `graphbo.spaces.base.Column`.
        choices: How many choices there are at each, 0 for a number.
        rng: The source of randomness.

    Returns:
        d numbers from 0 to 1: where there are c choices, the i-th of them is the i-th of c equal
        parts, in which the number is drawn; where the entry is inactive it is any.
    """
    shares = rng.random(len(vector))
    return np.array(
        [
            share if entry == INACTIVE else (entry + share) / c if c else entry
            for entry, c, share in zip(vector, choices, shares.tolist(), strict=True)
        ]
    )


def to_vector(point: Vector, choices: Sequence[int]) -> tuple[float, ...]:
    """Return the vector that a point stands for, in which nothing is inactive."""
    pairs = zip(point.tolist(), choices, strict=True)
    return tuple(min(int(x * c), c - 1) if c else x for x, c in pairs)


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
