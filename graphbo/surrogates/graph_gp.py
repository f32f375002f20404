"""A BoTorch Gaussian process over the rows that encode architectures."""

from __future__ import annotations

import math
from typing import Any

import botorch
import torch
from botorch.models import SingleTaskGP
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.posteriors.transformed import TransformedPosterior
from gpytorch.constraints import GreaterThan, Positive
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import Kernel, ProductKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ZeroMean
from gpytorch.models import ExactGP
from gpytorch.priors import LogNormalPrior
from linear_operator.operators import to_linear_operator
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from graphbo.kernels import FidelityKernel
from graphbo.surrogates.low_rank import LowRankPosterior, inducing_observations
from graphbo.surrogates.model import SurrogateModel
from graphbo.surrogates.prior import PriorKernel, PriorMean, RowPredictor
from graphbo.surrogates.reduction import Reduction

_NOISE, _LOWEST_NOISE = 0.02, 1e-4
_CHUNK = 4_000_000
_KEPT = 20_000_000
_LARGEST_EXACT, _INDUCING = 1000, 500


class GraphGP(SingleTaskGP, SurrogateModel):  # type: ignore[misc]
    """A Gaussian process with a structured kernel, for standardised targets.

    The prior mean is zero, unless a prior is given. Length-scales start at the typical distance
    between the training rows, or between those that the prior calls typical, and have a log-normal
    prior with its mode there, unless the kernel brings its own; the output scale and the noise have
    log-normal priors with modes at 1 and 0.02. So a maximum a posteriori fit is safe from ten
    points on.

    `moments` gives marginal means and variances over large pools without the joint covariance, and
    `posterior` uses the same computation for batches of points (`b x q x d`), so that BoTorch's
    acquisition functions score a whole space at once.

    Both are exact up to 1,000 observations. With more, they come from a `LowRankPosterior` with 500
    of them, in time that grows in proportion to the observations. What calls BoTorch's own
    posterior, without batches, stays exact and slow.

    Args:
        train_X: `n x d` rows, float64.
        train_Y: `n x 1` targets, about standardised.
        kernel: The covariance, without an output scale.
        prior: A prediction of the targets, up to an unknown factor and an unknown offset, which are
            integrated over; see `graphbo.surrogates.prior`. Then the prior mean is half of it.
    """

    def __init__(
        self, train_X: Tensor, train_Y: Tensor, kernel: Kernel, prior: RowPredictor | None = None
    ) -> None:
        typical = None if prior is None else prior.typical
        _prepare(kernel, train_X if typical is None else typical.to(train_X))
        scaled = ScaleKernel(
            kernel,
            outputscale_prior=_log_normal(torch.tensor(1.0), 1.5),
            outputscale_constraint=_positive(),
        )
        noise = GreaterThan(
            _LOWEST_NOISE, transform=torch.exp, inv_transform=torch.log, initial_value=0.05
        )
        likelihood = GaussianLikelihood(
            noise_prior=_log_normal(torch.tensor(_NOISE), 1.0), noise_constraint=noise
        )
        scaled.to(train_X)
        # Rows are integers, which BoTorch would ask to scale to the unit cube.
        with botorch.settings.validate_input_scaling(False):
            super().__init__(
                train_X,
                train_Y,
                likelihood=likelihood,
                covar_module=scaled if prior is None else scaled + PriorKernel(prior),
                mean_module=ZeroMean() if prior is None else PriorMean(prior),
                outcome_transform=None,
            )
        scaled.outputscale = torch.tensor(1.0)
        self.to(train_X)
        self._together = len(train_X)
        self._reduction: Reduction | None = None
        self._low_rank: LowRankPosterior | None = None

    def observe(self, X: Tensor, Y: Tensor, *, together: bool = False) -> None:
        """Condition on other data and keep the hyperparameters.

        Args:
            X: `n x d`.
            Y: `n x 1`.
            together: Whether later calls that only append rows may go on from this one, instead
                of from the data that the hyperparameters were fitted on. The result is the same
                but for rounding.
        """
        ExactGP.set_train_data(self, X, Y.squeeze(-1), strict=False)
        if together:
            self._together = len(X)

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the marginal posterior of many points, some at a time.

        Args:
            X: `n x d`.

        Returns:
            Means and variances of the latent function, `n` each.
        """
        mean, covariance = self._blocks(X.unsqueeze(-2))
        return mean.squeeze(-1), covariance.reshape(-1)

    @torch.no_grad()
    def moments_with(
        self, X: Tensor, Z: Tensor, among: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return how points vary with a few others; see `SurrogateModel.moments_with`.

        With positions among many points, what is known of all of them is used.
        """
        train = self.train_inputs[0]
        if among is not None and self._keeps(X):
            return self._kept_moments_with(X, Z, among)
        if among is not None:
            X = X[among]
        if len(train) > _LARGEST_EXACT:
            low_rank = self._kept_low_rank()
            mean, variance = low_rank.moments(X)
            means = (self.mean_module(X) + mean, self.mean_module(Z) + low_rank.moments(Z)[0])
            covariances = low_rank.covariance(Z, Z), low_rank.covariance(X, Z)
            return means[0], variance, means[1], *covariances
        n, few = len(train), torch.cat([train, Z])
        # One call for all blocks: what a call costs by itself is most of it.
        blocks = self.covar_module(few, torch.cat([few, X])).to_dense()
        inside, with_z, with_x = blocks.split([n, len(Z), len(X)], dim=1)
        root, weights = self._factor(inside[:n])
        cross = with_x[:n], with_z[:n]
        reduced = [torch.linalg.solve_triangular(root, part, upper=False) for part in cross]
        mean, mean_z = (
            self.mean_module(points) + (part.mT @ weights).squeeze(-1)
            for points, part in zip((X, Z), cross, strict=True)
        )
        variance = self.covar_module(X, diag=True) - reduced[0].square().sum(0)
        covariance = with_z[n:] - reduced[1].mT @ reduced[1]
        between = with_x[n:].mT - reduced[0].mT @ reduced[1]
        return mean, variance.clamp_min(1e-10), mean_z, covariance, between

    @torch.no_grad()
    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Return what all other observations predict of each one, without a refit.

        In closed form, from the factor of the training covariance: Rasmussen and Williams,
        "Gaussian processes for machine learning", 2006, equations 5.10 to 5.12. The time grows with
        the cube of the number of observations.

        Returns:
            Means and variances of the targets, noise included, `n` each.
        """
        root, weights = self._factor()
        variance = 1 / torch.cholesky_inverse(root).diagonal()
        return self.train_targets - weights.squeeze(-1) * variance, variance

    def _factor(self, covariance: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the Cholesky factor of the training covariance, and the weights of the mean."""
        train = self.train_inputs[0]
        noise = self.likelihood.noise * torch.eye(len(train)).to(train)
        if covariance is None:
            covariance = self.covar_module(train).to_dense()
        root = psd_safe_cholesky(covariance + noise)
        return root, torch.cholesky_solve(self._residuals().unsqueeze(-1), root)

    def _residuals(self) -> Tensor:
        """Return what the prior mean leaves of the targets, `n`."""
        residuals: Tensor = self.train_targets - self.mean_module(self.train_inputs[0])
        return residuals

    def posterior(  # type: ignore[override]
        self, X: Tensor, *args: Any, **kwargs: Any
    ) -> GPyTorchPosterior | TransformedPosterior:
        """Return the posterior at `... x q x d` points; see BoTorch's ``Model.posterior``.

        Batches `b x q x d` take the path of `moments`, with the same result.
        """
        plain = not args and all(value is None or value is False for value in kwargs.values())
        if X.dim() != 3 or self.train_inputs[0].dim() != 2 or not plain or X.requires_grad:
            return super().posterior(X, *args, **kwargs)
        self.eval()
        mean, covariance = self._blocks(X)
        return GPyTorchPosterior(MultivariateNormal(mean, to_linear_operator(covariance)))

    @torch.no_grad()
    def _blocks(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior means `b x q` and covariances `b x q x q` of batches."""
        train = self.train_inputs[0]
        if X.shape[-2] == 1 and len(train) > _LARGEST_EXACT:
            mean, variance = self._kept_low_rank().moments(X.squeeze(-2))
            mean = self.mean_module(X.squeeze(-2)) + mean
            return mean.unsqueeze(-1), variance.clamp_min(1e-10).reshape(-1, 1, 1)
        if len(train) > _LARGEST_EXACT:
            mean, covariance = self._kept_low_rank().joint(X)
            return self.mean_module(X) + mean, _floored(covariance)
        if X.shape[-2] == 1 and self._keeps(X):
            known = self._kept(X.squeeze(-2))
            mean = self.mean_module(X.squeeze(-2)) + known.mean(known.weights(self._residuals()))
            return mean.unsqueeze(-1), known.variance.clamp_min(1e-10).reshape(-1, 1, 1)
        root, weights = self._factor()
        means, covariances = [], []
        rows = max(_CHUNK // (len(train) * X.shape[-2]), 1)
        for start in range(0, max(len(X), 1), rows):
            part = X if rows >= len(X) else X[start : start + rows]
            b, q, d = part.shape
            cross = self.covar_module(train, part.reshape(b * q, d)).to_dense()
            reduced = torch.linalg.solve_triangular(root, cross, upper=False)
            means.append(self.mean_module(part) + (cross.mT @ weights).reshape(b, q))
            if q == 1:
                prior = self.covar_module(part.reshape(b, d), diag=True).reshape(b, 1, 1)
                explained = reduced.square().sum(0).reshape(b, 1, 1)
            else:
                prior = self.covar_module(part).to_dense()
                blocks = reduced.reshape(-1, b, q).movedim(0, 1)
                explained = blocks.mT @ blocks
            covariances.append(prior - explained)
        return torch.cat(means), _floored(torch.cat(covariances))

    def _kept_low_rank(self) -> LowRankPosterior:
        """Return the posterior of low rank, the one before if nothing has changed."""
        train, noise, residuals = self.train_inputs[0], self.likelihood.noise, self._residuals()
        known = self._low_rank
        if known is None or not known.serves(self.covar_module, noise, train, residuals):
            among = self.train_targets[: max(self._together, _INDUCING)]
            inducing = inducing_observations(among, _INDUCING)
            known = LowRankPosterior(self.covar_module, noise, train, residuals, inducing)
            self._low_rank = known
        return known

    def _keeps(self, X: Tensor) -> bool:
        """Whether what is known of points is kept, to go on from it."""
        n = len(self.train_inputs[0])
        return n <= _LARGEST_EXACT and 0 < n * len(X) <= _KEPT

    def _kept(self, X: Tensor) -> Reduction:
        """Return what is known of points, gone on from what was known of the same ones."""
        train, noise = self.train_inputs[0], self.likelihood.noise
        known = self._reduction
        if known is None or not known.serves(self.covar_module, noise, X, train):
            known = Reduction(self.covar_module, noise, X, self._together)
        known.extend(self.covar_module, train)
        self._reduction = known
        return known

    def _kept_moments_with(
        self, X: Tensor, Z: Tensor, among: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        known, train, points = self._kept(X), self.train_inputs[0], X[among]
        sizes = [len(train), len(Z), len(points)]
        blocks = self.covar_module(Z, torch.cat([train, Z, points])).to_dense().split(sizes, dim=1)
        reduced = torch.linalg.solve_triangular(known.root, blocks[0].mT, upper=False)
        weights = known.weights(self._residuals())
        mean = self.mean_module(points) + known.mean(weights, among)
        variance = known.variance[among].clamp_min(1e-10)
        mean_z = self.mean_module(Z) + (weights.mT @ reduced).squeeze(0)
        covariance = blocks[1] - reduced.mT @ reduced
        between = blocks[2].mT - known.reduced[:, among].mT @ reduced
        return mean, variance, mean_z, covariance, between


def _floored(covariance: Tensor) -> Tensor:
    """Return covariances `b x q x q` with variances that rounding has not made negative."""
    floor = 1e-10 - torch.diagonal(covariance, dim1=-2, dim2=-1).clamp_max(1e-10)
    return covariance + torch.diag_embed(floor)


def _prepare(module: Any, rows: Tensor, factor: float = 1.0) -> None:
    """Set length-scales to the typical distances, and priors with their modes there."""
    if isinstance(module, Kernel) and module.active_dims is not None:
        rows = rows.index_select(-1, module.active_dims)
    if hasattr(module, "typical_lengthscale"):
        typical = module.typical_lengthscale(rows) * factor
        module.register_constraint("raw_lengthscale", _positive())
        module.to(rows).lengthscale = typical
        if not hasattr(module, "lengthscale_prior"):
            prior = _log_normal(typical, 1.0)
            module.register_prior("lengthscale_prior", prior, _get_lengthscale, _set_lengthscale)
    if isinstance(module, ProductKernel):
        for part in module.kernels:
            _prepare(part, rows, math.sqrt(len(module.kernels)))
        return
    if isinstance(module, FidelityKernel):
        rows = module.narrowed(rows)
    for part in module.children():
        _prepare(part, rows)


# Named functions, since those that GPyTorch makes of a name cannot be pickled.
def _get_lengthscale(kernel: Kernel) -> Tensor:
    lengthscale: Tensor = kernel.lengthscale
    return lengthscale


def _set_lengthscale(kernel: Kernel, value: Tensor) -> None:
    kernel.lengthscale = value


def _positive() -> Positive:
    return Positive(transform=torch.exp, inv_transform=torch.log)


def _log_normal(mode: Tensor, scale: float) -> LogNormalPrior:
    """Return the log-normal prior whose density peaks at the mode."""
    return LogNormalPrior(mode.log() + scale**2, torch.full_like(mode, scale), validate_args=False)
