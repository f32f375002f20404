"""The posterior of a Gaussian process with thousands of observations."""

from __future__ import annotations

import torch
from gpytorch.kernels import Kernel
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from graphbo.surrogates.reduction import hyperparameters

_POINTS_AT_ONCE = 4096


class LowRankPosterior:
    r"""A posterior that all observations enter through ``m`` inducing ones.

    With :math:`\phi(x) = L^{-1} k(Z, x)`, where :math:`L L^T = k(Z, Z)`, and
    :math:`A = \sigma^2 I + \sum_i \phi(x_i) \phi(x_i)^T`, it is

    .. math:: \mu(x) = \phi(x)^T A^{-1} \sum_i \phi(x_i) y_i, \qquad
        c(x, x') = k(x, x') - \phi(x)^T \phi(x') + \sigma^2 \phi(x)^T A^{-1} \phi(x').

    It takes ``n m^2`` operations for n observations where the exact posterior takes ``n^3``, and
    loses what the covariance with the inducing observations does not tell: means are pulled
    towards zero and variances are too large where none is near.

    Reference: Titsias, "Variational learning of inducing variables in sparse Gaussian processes",
    AISTATS 2009, equation 6, with the inducing inputs kept at observed ones.

    Args:
        kernel: The covariance.
        noise: The variance of the noise.
        train: `n x d`.
        targets: `n`.
        inducing: The indices of the `m` inducing observations.
    """

    def __init__(
        self, kernel: Kernel, noise: Tensor, train: Tensor, targets: Tensor, inducing: Tensor
    ) -> None:
        self.kernel = kernel
        self.noise = noise
        self.train, self.targets = train, targets
        self.inducing = train[inducing]
        self._hyperparameters = hyperparameters(kernel), noise.detach().clone()
        self._root = psd_safe_cholesky(kernel(self.inducing).to_dense())
        gram = noise * torch.eye(len(inducing)).to(train)
        projected = torch.zeros(len(inducing), 1).to(train)
        for start in range(0, len(train), _POINTS_AT_ONCE):
            part = slice(start, start + _POINTS_AT_ONCE)
            features = self._features(train[part])
            gram += features @ features.mT
            projected += features @ targets[part].unsqueeze(-1)
        self._posterior_root = psd_safe_cholesky(gram)
        self._weights = torch.cholesky_solve(projected, self._posterior_root)

    def __deepcopy__(self, memo: dict[int, object]) -> None:
        """A copy of a model begins without one."""
        return

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    def serves(self, kernel: Kernel, noise: Tensor, train: Tensor, targets: Tensor) -> bool:
        """Whether it is the posterior of these observations under these hyperparameters."""
        return (
            torch.equal(self._hyperparameters[0], hyperparameters(kernel))
            and torch.equal(self._hyperparameters[1], noise)
            and torch.equal(self.targets, targets)
            and torch.equal(self.train, train)
        )

    def _features(self, X: Tensor) -> Tensor:
        """Return `m x n` features of n points."""
        cross = self.kernel(self.inducing, X).to_dense()
        features: Tensor = torch.linalg.solve_triangular(self._root, cross, upper=False)
        return features

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return marginal means and variances, `n` each, of points `n x d`."""
        means, variances = [], []
        for part in torch.split(X, _POINTS_AT_ONCE):
            features, solved = self._both(part)
            means.append((features.mT @ self._weights).squeeze(-1))
            prior = self.kernel(part, diag=True)
            known = features.square().sum(0) - self.noise * solved.square().sum(0)
            variances.append(prior - known)
        return torch.cat(means), torch.cat(variances)

    def covariance(self, X: Tensor, Z: Tensor) -> Tensor:
        """Return the posterior covariance of points `n x d` with a few others `p x d`, `n x p`."""
        right, right_solved = self._both(Z)
        blocks = []
        for part in torch.split(X, _POINTS_AT_ONCE):
            left, left_solved = self._both(part)
            known = left.mT @ right - self.noise * (left_solved.mT @ right_solved)
            blocks.append(self.kernel(part, Z).to_dense() - known)
        return torch.cat(blocks)

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the joint posterior of batches of points, `b x q x d`.

        Returns:
            Means `b x q` and covariances `b x q x q`.
        """
        q, d = X.shape[-2:]
        means, covariances = [], []
        for part in torch.split(X, max(_POINTS_AT_ONCE // q, 1)):
            features, solved = self._both(part.reshape(-1, d))
            means.append((features.mT @ self._weights).reshape(-1, q))
            blocks, scaled = (each.reshape(-1, len(part), q).movedim(0, 1)
                              for each in (features, solved))  # fmt: skip
            known = blocks.mT @ blocks - self.noise * (scaled.mT @ scaled)
            covariances.append(self.kernel(part).to_dense() - known)
        return torch.cat(means), torch.cat(covariances)

    def _both(self, X: Tensor) -> tuple[Tensor, Tensor]:
        features = self._features(X)
        solved = torch.linalg.solve_triangular(self._posterior_root, features, upper=False)
        return features, solved


def inducing_observations(targets: Tensor, m: int) -> Tensor:
    """Return the indices of m observations: half of them the best, the rest evenly from the others.

    Args:
        targets: `n` values; lower is better.
        m: How many, at most n.
    """
    order = torch.sort(targets, stable=True).indices
    best, others = order[: m // 2], order[m // 2 :].sort().values
    evenly = torch.linspace(0, len(others) - 1, m - m // 2, dtype=torch.float64).round().long()
    return torch.cat([best, others[evenly]])
