"""Marginal moments of a pool that grow with the observations instead of being computed anew."""

from __future__ import annotations

import torch
from gpytorch.kernels import Kernel
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor


class Reduction:
    r"""The Cholesky factor L of the training covariance, and ``V = L^{-1} K(train, pool)``.

    The posterior of the pool has mean ``V^T L^{-1} y`` and variance ``k(x, x) - sum V^2``. A new
    observation adds a row to L and to V, and leaves the others as they are, as long as the
    hyperparameters are the same: a cost of ``n N`` where computing anew takes ``n^2 N``.

    The first rows are taken in together and the later ones one at a time, in whatever portions
    they arrive: so the rounding, too, is a function of the training set alone.

    Args:
        kernel: The covariance, with its hyperparameters.
        noise: The variance of the noise.
        pool: `N x d`.
        together: The number of training rows that are taken in together.
    """

    def __init__(self, kernel: Kernel, noise: Tensor, pool: Tensor, together: int) -> None:
        self.together = together
        self.noise = noise.detach().clone()
        self.pool = pool.clone()  # the caller may change the tensor in place
        self.hyperparameters = hyperparameters(kernel)
        self.train = pool[:0]
        self.root = pool.new_zeros(0, 0)
        self._rows = pool.new_zeros(0, len(pool))
        self.variance = kernel(pool, diag=True).detach()

    def __deepcopy__(self, memo: dict[int, object]) -> None:
        """A copy of a model begins without one."""
        return

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    @property
    def reduced(self) -> Tensor:
        """V, `n x N`."""
        return self._rows[: len(self.train)]

    def serves(self, kernel: Kernel, noise: Tensor, pool: Tensor, train: Tensor) -> bool:
        """Whether it can be extended to a training set."""
        n = len(self.train)
        return (
            n <= len(train)
            and torch.equal(self.noise, noise)
            and torch.equal(self.pool, pool)
            and torch.equal(self.train, train[:n])
            and torch.equal(self.hyperparameters, hyperparameters(kernel))
        )

    def extend(self, kernel: Kernel, train: Tensor) -> None:
        """Take in the rows of a training set that are new."""
        while len(self.train) < len(train):
            end = len(self.train) + 1 if len(self.train) else self.together
            self._add(kernel, train[len(self.train) : end])

    def _add(self, kernel: Kernel, new: Tensor) -> None:
        n = len(self.train)
        among = kernel(new, torch.cat([self.train, new])).to_dense()
        block = among[:, n:] + self.noise * torch.eye(len(new)).to(new)
        cross = kernel(new, self.pool).to_dense()
        if n:
            corner = torch.linalg.solve_triangular(self.root, among[:, :n].mT, upper=False)
            block = block - corner.mT @ corner
            cross = cross - corner.mT @ self.reduced
        else:
            corner = new.new_zeros(0, len(new))
        root = psd_safe_cholesky(block)
        rows = torch.linalg.solve_triangular(root, cross, upper=False)
        above = new.new_zeros(n, len(new))
        self.root = torch.cat(
            [torch.cat([self.root, above], dim=1), torch.cat([corner.mT, root], dim=1)]
        )
        if n + len(new) > len(self._rows):  # room for a few more, which then need no copy
            grown = rows.new_empty(n + len(new) + max(n // 4, 8), rows.shape[1])
            grown[:n] = self.reduced
            self._rows = grown
        self._rows[n : n + len(new)] = rows
        self.variance = self.variance - rows.square().sum(0)
        self.train = torch.cat([self.train, new])

    def weights(self, targets: Tensor) -> Tensor:
        """Return ``L^{-1} y``, `n x 1`, for `n` targets."""
        weights: Tensor = torch.linalg.solve_triangular(
            self.root, targets.unsqueeze(-1), upper=False
        )
        return weights

    def mean(self, weights: Tensor, among: Tensor | None = None) -> Tensor:
        """Return the posterior means at the pool, `N`, or at some of its points."""
        reduced = self.reduced if among is None else self.reduced[:, among]
        mean: Tensor = (weights.mT @ reduced).squeeze(0)
        return mean


def hyperparameters(kernel: Kernel) -> Tensor:
    """Return the raw hyperparameters of a kernel, one after the other."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in kernel.parameters()])
