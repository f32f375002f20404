"""A kernel over architectures and how long they are trained."""

from __future__ import annotations

from typing import Any

import torch
from gpytorch.constraints import Positive
from gpytorch.kernels import Kernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor

_TYPICAL = 3.0


class FidelityKernel(Kernel):
    r"""A kernel on architectures, times how alike two fidelities are.

    The last column of a row says the fidelity as a number t, such as the number of the rung; the
    others are what the kernel on architectures takes.

    .. math:: k\bigl((x, t), (x', t')\bigr) = k(x, x') \exp\Bigl(-\frac{|t - t'|}{\ell}\Bigr)

    So what a long training adds to a short one is as smooth over the architectures as what the
    short one says, and fidelities between two others separate them (the Ornstein-Uhlenbeck process
    is Markov).

    References: Kennedy and O'Hagan, "Predicting the output from a complex computer code when fast
    approximations are available", Biometrika 2000; Swersky et al., "Multi-task Bayesian
    optimization", NeurIPS 2013, for products of this kind.

    Args:
        kernel: The kernel on all columns but the last.
        kwargs: What every GPyTorch kernel takes; by default the length-scale has a log-normal prior
            with its mode at 3.

    Example:
        >>> kernel = FidelityKernel(WLRBFKernel(decoder))
        >>> kernel(torch.cat([rows, rungs.unsqueeze(-1)], -1)).shape
        torch.Size([100, 100])
    """

    has_lengthscale = True

    def __init__(self, kernel: Kernel, **kwargs: Any) -> None:
        kwargs.setdefault("lengthscale_prior", LogNormalPrior(torch.tensor(_TYPICAL).log() + 1, 1))
        kwargs.setdefault(
            "lengthscale_constraint", Positive(transform=torch.exp, inv_transform=torch.log)
        )
        super().__init__(**kwargs)
        self.initialize(lengthscale=_TYPICAL)
        self.kernel = kernel

    def narrowed(self, x: Tensor) -> Tensor:
        """Return the rows that the kernel on architectures sees."""
        narrowed: Tensor = x[..., :-1]
        return narrowed

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        alike = self.kernel(self.narrowed(x1), self.narrowed(x2), diag=diag, **params)
        t1, t2 = x1[..., -1:], x2[..., -1:]
        apart = (t1 - t2).squeeze(-1) if diag else t1 - t2.mT
        scale = self.lengthscale.squeeze(-1) if diag else self.lengthscale
        covariance: Tensor = (-apart.abs() / scale).exp() * (alike if diag else alike.to_dense())
        return covariance
