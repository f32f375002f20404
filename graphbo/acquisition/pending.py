"""Expected improvement of a point while others are still being evaluated."""

from __future__ import annotations

import math

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.utils.sampling import draw_sobol_normal_samples
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from graphbo.surrogates.model import SurrogateModel


class PendingLogEI(AcquisitionFunction):
    r"""The logarithm of what a point is expected to improve on the best, pending points included.

    .. math:: \log \mathbb{E}_{f_P} \, \mathbb{E}\bigl[\max(0,\; \min(y^*, \min f_P) - f(x))
        \mid f_P\bigr]

    The inner expectation has a closed form; the outer one averages over quasi-random samples of the
    values :math:`f_P` at the pending points. It is the increment of the joint expected improvement
    of the pending points when x joins them, at a cost linear in the number of candidates.

    Reference: Wilson et al., "Maximizing acquisition functions for Bayesian optimization", NeurIPS
    2018 (greedy maximisation of joint acquisition functions).

    Args:
        model: A model of targets to be minimised.
        best_f: The lowest target observed.
        pending: `p x d` points being evaluated.
        final: Which of them can be improved on, `p`; by default all. A short training tells of
            others, but is no result.
        samples: The number of samples.
    """

    def __init__(
        self,
        model: SurrogateModel,
        best_f: Tensor,
        pending: Tensor,
        final: Tensor | None = None,
        *,
        samples: int = 64,
    ) -> None:
        super().__init__(model)
        self.gp = model
        self.best_f = best_f
        self.pending = pending
        self.final = torch.ones(len(pending), dtype=torch.bool) if final is None else final
        # The seed is fixed: what is asked must be a function of the history. Another pending point
        # leaves the samples of the others as they are, as long as there is room.
        room = max(8, 1 << (len(pending) - 1).bit_length())
        drawn = draw_sobol_normal_samples(room, samples, seed=0)
        self.normal = drawn[:, : len(pending)].to(pending)

    def forward(self, X: Tensor) -> Tensor:
        """Return the value at each of `b x 1 x d` points, `b` in all."""
        return self.among(X.squeeze(-2))

    def among(self, X: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return the value at `n x d` points, or at those in some positions among them."""
        mean, variance, pending_mean, pending_covariance, cross = self.gp.moments_with(
            X, self.pending, positions
        )
        root = psd_safe_cholesky(pending_covariance)
        values = pending_mean + self.normal @ root.mT
        results = torch.where(self.final, values, torch.inf)
        incumbent = results.min(-1).values.clamp_max(self.best_f)
        slopes = torch.linalg.solve_triangular(root, cross.mT, upper=False).mT
        conditional_mean = mean.unsqueeze(-1) + slopes @ self.normal.mT
        deviation = (variance - slopes.square().sum(-1)).clamp_min(1e-10).sqrt().unsqueeze(-1)
        values = deviation.log() + log_h((incumbent - conditional_mean) / deviation)
        result: Tensor = values.logsumexp(-1) - math.log(len(self.normal))
        return result


def log_h(z: Tensor) -> Tensor:
    """Return ``log(phi(z) + z Phi(z))``, also where z is very negative.

    Reference: Ament et al., "Unexpected improvements to expected improvement for Bayesian
    optimization", NeurIPS 2023, equation 9.
    """
    near = z.clamp_min(-1)
    density = (-0.5 * near.square()).exp() / math.sqrt(2 * math.pi)
    direct = (density + near * torch.special.ndtr(near)).log()
    far = z.clamp_max(-1)
    # phi(z) + z Phi(z) = phi(z) (1 - sqrt(pi/2) |z| erfcx(|z| / sqrt 2))
    ratio = (math.pi / 2) ** 0.5 * far.abs() * torch.special.erfcx(far.abs() / math.sqrt(2))
    # Beyond 1e3 the difference is lost to rounding; it tends to 1 / z^2.
    rest = torch.where(far < -1e3, -2 * far.abs().log(), torch.log1p(-ratio.clamp_max(1 - 1e-16)))
    tail = -0.5 * far.square() - 0.5 * math.log(2 * math.pi) + rest
    return torch.where(z > -1, direct, tail)
