"""Kernels that are a simple function of the inner products of feature maps."""

from __future__ import annotations

from typing import Any

import gpytorch
import torch
from gpytorch.constraints import Interval, Positive
from gpytorch.priors import Prior
from torch import Tensor

from graphbo.kernels.store import FeatureStore

_LENGTHSCALE = 4.0


class LinearFeatureKernel(gpytorch.kernels.Kernel):
    r"""A weighted sum of inner products, one weight for each block.

    .. math:: k(x, x') = \sum_b w_b \langle \phi_b(x), \phi_b(x') \rangle

    With ``normalize``, divided by the geometric mean of ``k(x, x)`` and ``k(x', x')``.

    Args:
        store: The features; in unary code, inner products become histogram intersections.
        normalize: Whether the diagonal is scaled to one.
        weight_prior: A prior over the weights.
        weight_constraint: A constraint of the weights; positive by default.
        kwargs: What every GPyTorch kernel takes.
    """

    def __init__(
        self,
        store: FeatureStore,
        *,
        normalize: bool = True,
        weight_prior: Prior | None = None,
        weight_constraint: Interval | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.normalize = normalize
        raw = torch.zeros(*self.batch_shape, len(store.feature_map.blocks))
        self.register_parameter("raw_weights", torch.nn.Parameter(raw))
        self.register_constraint("raw_weights", weight_constraint or Positive())
        if weight_prior is not None:
            self.register_prior("weight_prior", weight_prior, _get_weights, _set_weights)

    @property
    def weights(self) -> Tensor:
        """The weight of each block (`... x blocks`)."""
        weights: Tensor = self.raw_weights_constraint.transform(self.raw_weights)
        return weights

    @weights.setter
    def weights(self, value: Tensor | float) -> None:
        assign(self, "raw_weights", value)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        return feature_covariance(self.store, self.weights, x1, x2, diag, self.normalize)


class LengthscaleKernel(gpytorch.kernels.Kernel):
    """A kernel with as many length-scales as it has blocks or features.

    They start at 4, unless a constraint is given. `typical_lengthscale` of the kernels made from
    this one gives values that fit some rows.

    Args:
        num_lengthscales: The number of length-scales.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.
    """

    has_lengthscale = True

    def __init__(self, num_lengthscales: int, **kwargs: Any) -> None:
        super().__init__(ard_num_dims=num_lengthscales, **kwargs)
        # GPyTorch would take the number for the width of a row.
        self.ard_num_dims = None
        self.num_lengthscales = num_lengthscales
        if kwargs.get("lengthscale_constraint") is None:
            # At GPyTorch's 0.69 the covariances of counts and their gradients vanish.
            self.initialize(lengthscale=_LENGTHSCALE)

    def _unit_diagonal(self, x: Tensor) -> Tensor:
        """Return the covariance of each row with itself, `... x n`, for stationary kernels."""
        return x.new_ones(x.shape[:-1]) + x.new_zeros(*self.batch_shape, 1)


class RBFFeatureKernel(LengthscaleKernel):
    r"""A squared exponential of the distance between features, a length-scale for each block.

    .. math:: k(x, x') = \exp\Bigl(-\frac{1}{2} \sum_b
        \frac{\lVert \phi_b(x) - \phi_b(x') \rVert^2}{\ell_b^2}\Bigr)

    Args:
        store: The features; in unary code, squared distances become absolute differences.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.
    """

    smallest_distance = 0.1
    """The mean squared distance below which all rows count as alike."""

    def __init__(self, store: FeatureStore, **kwargs: Any) -> None:
        super().__init__(len(store.feature_map.blocks), **kwargs)
        self.store = store

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        if diag and x1 is x2:
            return self._unit_diagonal(x1)
        weights = self.lengthscale.squeeze(-2).pow(-2)
        exponent = weighted_products(self.store, weights, x1, x2, diag)
        norms1 = weighted_sum(0.5 * weights, self.store.squared_norms(x1), 1)
        norms2 = weighted_sum(0.5 * weights, self.store.squared_norms(x2), 1)
        if not diag:
            norms1, norms2 = norms1.unsqueeze(-1), norms2.unsqueeze(-2)
        if torch.is_grad_enabled():
            return (exponent - norms1 - norms2).clamp_max(0).exp()
        # In place: one matrix of all pairs may be as much as there is room for.
        return exponent.sub_(norms1).sub_(norms2).clamp_max_(0).exp_()

    def typical_lengthscale(self, x: Tensor) -> Tensor:
        """Return length-scales at which the distances among some rows give the exponent -1/2.

        Args:
            x: `n x d`.

        Returns:
            `1 x blocks`.
        """
        norms, products = self.store.squared_norms(x), self.store.inner_products(x, x)
        mean = 2 * norms.mean(-1) - 2 * products.mean(dim=(-2, -1))
        return (mean.clamp_min(self.smallest_distance) * len(mean)).sqrt().unsqueeze(0)


def assign(kernel: gpytorch.kernels.Kernel, name: str, value: Tensor | float) -> None:
    """Give a raw parameter the value that its constraint turns into a given one.

    Args:
        kernel: The kernel.
        name: The name of the raw parameter.
        value: A number, or a tensor that can be expanded to the parameter's shape.
    """
    raw: Tensor = getattr(kernel, name)
    value = torch.as_tensor(value, dtype=raw.dtype, device=raw.device).expand_as(raw)
    kernel.initialize(**{name: kernel.constraint_for_parameter_name(name).inverse_transform(value)})


def _get_weights(kernel: LinearFeatureKernel) -> Tensor:
    return kernel.weights


def _set_weights(kernel: LinearFeatureKernel, value: Tensor) -> None:
    kernel.weights = value


def feature_covariance(
    store: FeatureStore, weights: Tensor, x1: Tensor, x2: Tensor, diag: bool, normalize: bool
) -> Tensor:
    """Return the weighted sum of the blocks' inner products.

    Args:
        store: The features.
        weights: `... x blocks`.
        x1: `... x n x d`.
        x2: `... x m x d`, or `... x n x d` if ``diag``.
        diag: Whether to take corresponding rows only.
        normalize: Whether to scale the covariance of each row with itself to one.

    Returns:
        `... x n x m`, or `... x n` if ``diag``.
    """
    covariance = weighted_products(store, weights, x1, x2, diag)
    if not normalize:
        return covariance
    scale1 = weighted_sum(weights, store.squared_norms(x1), 1).clamp_min(1e-12).rsqrt()
    scale2 = weighted_sum(weights, store.squared_norms(x2), 1).clamp_min(1e-12).rsqrt()
    if not diag:
        scale1, scale2 = scale1.unsqueeze(-1), scale2.unsqueeze(-2)
    if torch.is_grad_enabled():
        return covariance * scale1 * scale2
    return covariance.mul_(scale1).mul_(scale2)


def weighted_products(
    store: FeatureStore, weights: Tensor, x1: Tensor, x2: Tensor, diag: bool
) -> Tensor:
    """Return the weighted sum of the blocks' inner products; see `feature_covariance`."""
    if diag:
        return weighted_sum(weights, store.paired_inner_products(x1, x2), 1)
    if not torch.is_grad_enabled() and weights.dim() == 1 and x1.dim() == x2.dim() == 2:
        return store.weighted_inner_products(x1, x2, weights)
    return weighted_sum(weights, store.inner_products(x1, x2), 2)


def weighted_sum(weights: Tensor, blocks: Tensor, trailing: int) -> Tensor:
    """Sum blocks with weights that may have a batch shape.

    Args:
        weights: `... x blocks`.
        blocks: `blocks x ... x n x m`, or `blocks x ... x n`.
        trailing: The number of dimensions after the batch shape, 2 or 1.

    Returns:
        `... x n x m`, or `... x n`.
    """
    weights = weights.to(blocks)  # a kernel in float32 serves rows in float64, as in GPyTorch
    if weights.dim() == 1:
        total: Tensor = torch.tensordot(weights, blocks, dims=1)
        return total
    shape = (*weights.shape[:-1], *[1] * trailing, weights.shape[-1])
    return (weights.reshape(shape) * blocks.movedim(0, -1)).sum(-1)
