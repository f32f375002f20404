"""Choices and numbers as features in which a distance means something."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from graphbo.spaces.base import INACTIVE, Column


class HyperparameterFeatures:
    """Vectors of hyperparameters as features in which a distance means something.

    An unordered choice has an entry for each of its values, one of which is 1; an ordered one, and
    a number, is a number from 0 to 1. What can be inactive stands on a quarter of the unit circle,
    ``(cos(pi u / 2), sin(pi u / 2))``, and at its centre while it is inactive: then it is equally
    far from all that it could be, and two designs that differ in nothing else are the same point.

    Reference: Swersky et al., "Raiders of the lost architecture: kernels for Bayesian optimization
    in conditional parameter spaces", arXiv:1409.4011.

    Args:
        columns: What the entries of the vectors stand for.

    Attributes:
        dim: The number of features.

    Example:
        >>> HyperparameterFeatures([Column("rate"), Column("optimizer", 3)]).dim
        4
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.dim = sum(map(_width, self.columns))

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of vectors, `... x n x dim` for `... x n x d`."""
        parts = [self._features(x[..., j], column) for j, column in enumerate(self.columns)]
        return torch.cat(parts, dim=-1)

    def _features(self, entries: Tensor, column: Column) -> Tensor:
        active = (entries != INACTIVE).unsqueeze(-1)
        if column.choices and not column.ordered:
            indices = entries.round().long().clamp_min(0)
            return functional.one_hot(indices, column.choices).to(entries) * active
        unit = (entries / max(column.choices - 1, 1)).unsqueeze(-1)
        if not column.conditional:
            return unit
        angle = math.pi / 2 * unit
        return torch.cat([angle.cos(), angle.sin()], dim=-1) * active


def _width(column: Column) -> int:
    if column.choices and not column.ordered:
        return column.choices
    return 2 if column.conditional else 1
