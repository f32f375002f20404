"""Kernels that read the columns of a row themselves, without an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from graphbo.kernels.base import LengthscaleKernel


class HammingKernel(LengthscaleKernel):
    r"""Compares two rows choice by choice, with a length-scale for each column.

    .. math:: k(x, x') = \exp\Bigl(-\frac{1}{2} \sum_j \frac{[x_j \ne x'_j]}{\ell_j^2}\Bigr)

    For spaces whose decisions stand at aligned positions of the network, as `OneHotKernel`, which
    has a length-scale for each choice instead. An inactive decision (-1) is a choice like any
    other. Rows should be canonical (`SearchSpace.encode`).

    BoTorch's ``CategoricalKernel`` is the same function but for the scale. It compares all pairs of
    rows even for a diagonal, keeps a boolean for each pair and column, and does not know the
    typical distance that `graphbo.surrogates.GraphGP` centres its priors at; here one matrix
    product serves.

    Reference: Wan et al., "Think global and act local: Bayesian optimisation over high-dimensional
    categorical and mixed search spaces", ICML 2021, whose transformed overlap kernel it is.

    Args:
        cardinalities: The number of choices of each of the d columns.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Raises:
        ValueError: If there is no column, or a column without choices; and when the kernel is
            called, if rows have other columns or choices.
    """

    def __init__(self, cardinalities: Sequence[int], **kwargs: Any) -> None:
        if not cardinalities or min(cardinalities) < 1:
            raise ValueError(
                "there must be one column or more, each with at least one choice; "
                f"got the cardinalities {list(cardinalities)}"
            )
        super().__init__(len(cardinalities), **kwargs)
        self.cardinalities = tuple(cardinalities)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        for x in (x1, x2):
            self._check(x)
        if diag and x1 is x2:
            return self._unit_diagonal(x1)
        weights = self.lengthscale.to(x1).pow(-2)
        if diag:
            different = (x1.round() != x2.round()).to(x1)
            covariance: Tensor = (-0.5 * (different * weights).sum(-1)).exp()
            return covariance
        repeats = torch.tensor([k + 1 for k in self.cardinalities], device=x1.device)
        weighted = self._codes(x1) * weights.repeat_interleave(repeats, dim=-1)
        different = weights.sum(-1, keepdim=True) - weighted @ self._codes(x2).mT
        covariance = (-0.5 * different.clamp_min(0)).exp()
        return covariance

    def typical_lengthscale(self, x: Tensor) -> Tensor:
        """Return length-scales at which the mean distance of some rows gives the exponent -1/2.

        Args:
            x: `n x d`.

        Returns:
            `1 x d`.
        """
        self._check(x)
        agreement = self._codes(x).mean(-2).square().sum()
        typical = (len(self.cardinalities) - agreement).clamp_min(0.1).sqrt()
        return typical.expand(1, self.num_lengthscales)

    def _check(self, x: Tensor) -> None:
        if x.shape[-1] != len(self.cardinalities):
            raise ValueError(
                f"the kernel has {len(self.cardinalities)} columns, chosen by active_dims; "
                f"the rows have {x.shape[-1]}"
            )
        limits = torch.tensor(self.cardinalities, device=x.device)
        outside = ((x.round() >= limits) | (x.round() < -1)).reshape(-1, x.shape[-1]).any(0)
        for j in outside.nonzero()[:1].flatten().tolist():
            raise ValueError(
                f"column {j} has choices from -1 to {self.cardinalities[j] - 1}; a row has another"
            )

    def _codes(self, x: Tensor) -> Tensor:
        """Return the one-hot code with -1 among the choices, `... n x sum(cardinalities + 1)`."""
        columns = [j for j, k in enumerate(self.cardinalities) for _ in range(k + 1)]
        choices = [c for k in self.cardinalities for c in range(-1, k)]
        selected = x.round()[..., torch.tensor(columns, device=x.device)]
        return (selected == torch.tensor(choices, device=x.device)).to(x)
