"""Kernels over architectures and hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from gpytorch.kernels import Kernel
from torch import Tensor
from torch.nn import functional

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.kernels import MaternEmbeddingKernel
from graphbo.spaces.base import INACTIVE, Column, SearchSpace
from graphbo.spaces.joint import JointSpace
from graphbo.surrogates.defaults import KernelFactory
from graphbo.surrogates.model import ModelFactory

_Factory = TypeVar("_Factory", bound=KernelFactory | ModelFactory)


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


def with_hyperparameters(space: SearchSpace, factories: Sequence[_Factory]) -> list[_Factory]:
    """Return factories of kernels that see the hyperparameters of a space, too.

    Each kernel on architectures is multiplied by a Matern kernel on the `HyperparameterFeatures`,
    with a length-scale for each. In a space of one architecture that is all there is.

    Args:
        space: The search space.
        factories: Factories of kernels on architectures; returned as they are if the space has no
            hyperparameters.

    Raises:
        InputError: If one of them makes models, which know nothing of hyperparameters.
    """
    if not isinstance(space, JointSpace):
        return list(factories)
    if any(isinstance(factory, ModelFactory) for factory in factories):
        raise InputError(
            f"the space {space.name} has hyperparameters, which only kernels can be joined with; "
            "give the surrogate kernels instead of models"
        )
    columns = space.hyperparameters.columns
    if not space.width:
        return [_Joined(None, 0, columns)]  # type: ignore[list-item]
    return [_Joined(factory, space.width, columns) for factory in factories]  # type: ignore


class _Joined:
    """A factory of products; a class, where a function would do but for pickling."""

    def __init__(
        self, factory: KernelFactory | None, width: int, columns: Sequence[Column]
    ) -> None:
        self.factory, self.width = factory, width
        self.features = HyperparameterFeatures(columns)

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        beside = MaternEmbeddingKernel(self.features, self.features.dim)
        if self.factory is None:
            return beside
        kernel = self.factory(train)
        kernel.active_dims = torch.arange(self.width)
        beside.active_dims = torch.arange(self.width, self.width + len(self.features.columns))
        return kernel * beside
