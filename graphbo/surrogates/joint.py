"""Kernels over architectures and hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from gpytorch.kernels import Kernel

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.kernels import MaternEmbeddingKernel
from graphbo.spaces.base import Column, SearchSpace
from graphbo.spaces.joint import JointSpace
from graphbo.surrogates.column_features import HyperparameterFeatures
from graphbo.surrogates.defaults import KernelFactory
from graphbo.surrogates.model import ModelFactory

_Factory = TypeVar("_Factory", bound=KernelFactory | ModelFactory)


def with_hyperparameters(space: SearchSpace, factories: Sequence[_Factory]) -> list[_Factory]:
    """Return factories of kernels that see the hyperparameters of a space, too.

    Each kernel on architectures is multiplied by a Matern kernel on the `HyperparameterFeatures`,
    with a length-scale for each. In a space of one architecture that is all there is.

    Args:
        space: The search space.
        factories: Factories of kernels on architectures; returned as they are if the space has no
            hyperparameters, or constants only.

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
    if not columns:
        return list(factories)
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
