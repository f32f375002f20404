"""Posteriors at counts that no architecture has."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from botorch.models.transforms.outcome import Standardize
from gpytorch.kernels import Kernel
from gpytorch.models import ExactGP
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from graphbo.surrogates.altered import Key, altered_kernel, feature_sources

_POINTS = 1500


class CountPosterior:
    """The posterior of a Gaussian process, as a function of counts.

    Args:
        model: The process, which is left in evaluation mode.

    Attributes:
        sources: The feature stores of its kernel.
        train: Its training rows.
    """

    @torch.no_grad()
    def __init__(self, model: ExactGP) -> None:
        model.eval()
        self.model = model
        self.sources = feature_sources(model.covar_module)
        self.train: Tensor = model.train_inputs[0]
        prior = model.forward(self.train)
        covariance = model.likelihood(prior, [self.train]).covariance_matrix
        self.root = psd_safe_cholesky(covariance)
        residual = (model.train_targets - prior.mean).unsqueeze(-1)
        self.weights = torch.cholesky_solve(residual, self.root)
        self.offset, self.scale = 0.0, 1.0
        transform = getattr(model, "outcome_transform", None)
        if isinstance(transform, Standardize):
            ends = transform.untransform(self.train.new_tensor([[0.0], [1.0]]))[0].flatten()
            self.offset, self.scale = ends[0].item(), (ends[1] - ends[0]).item()

    def rows(self, x: Tensor) -> Tensor:
        """Return rows as the kernel sees them."""
        transform = getattr(self.model, "transform_inputs", None)
        rows: Tensor = x.to(self.train) if transform is None else transform(x.to(self.train))
        return rows

    @torch.no_grad()
    def mean(self, x: Tensor) -> float:
        """Return the posterior mean at one row."""
        prior: Tensor = self.model.forward(x).mean
        cross = self.model.covar_module(x, self.train).to_dense()
        mean: float = prior.item() + (cross @ self.weights).item()
        return self.offset + self.scale * mean

    @torch.no_grad()
    def effects(
        self, x: Tensor, groups: Sequence[Sequence[Key]], where: Sequence[Sequence[int]]
    ) -> tuple[list[Tensor], Tensor]:
        """Measure the effect of each group of features.

        Args:
            x: `n x d`.
            groups: The groups.
            where: For each group the rows in which it occurs.

        Returns:
            For each group its effects in these rows, and the posterior standard deviations of
            their means, one for each group.
        """
        kernel = altered_kernel(self.model.covar_module, groups)
        train = _with_column(self.train, [-1] * len(self.train))
        effects: list[Tensor] = []
        variances: list[Tensor] = []
        for chunk in _chunks([2 * len(rows) for rows in where]):
            pairs = [(i, g) for g in chunk for i in where[g]]
            base = sorted({i for i, _ in pairs})
            place = {i: k for k, i in enumerate(base)}
            points = _with_column(
                x[base + [i for i, _ in pairs]], [-1] * len(base) + [g for _, g in pairs]
            )
            average = x.new_zeros(len(chunk), len(points))
            for k, (i, g) in enumerate(pairs):
                average[g - chunk[0], place[i]] += 1 / len(where[g])
                average[g - chunk[0], len(base) + k] -= 1 / len(where[g])
            cross = torch.cat(
                [kernel(part, train).to_dense() for part in torch.split(points, _POINTS)]
            )
            mean = (cross @ self.weights).squeeze(-1)
            local = mean[[place[i] for i, _ in pairs]] - mean[len(base) :]
            effects += torch.split(self.scale * local, [len(where[g]) for g in chunk])
            explained = torch.linalg.solve_triangular(
                self.root, (average @ cross).mT, upper=False
            ).square()
            variances.append(_variance(kernel, points, average) - explained.sum(0))
        variance = torch.cat(variances) if variances else x.new_zeros(0)
        return effects, self.scale * variance.clamp_min(1e-12).sqrt()


def _variance(kernel: Kernel, x: Tensor, averages: Tensor) -> Tensor:
    """Return the prior variance of weighted sums (`k x n`) over rows, some rows at a time."""
    total = averages.new_zeros(len(averages))
    parts = list(zip(torch.split(x, _POINTS), torch.split(averages, _POINTS, dim=1), strict=True))
    for (x1, a1), (x2, a2) in itertools.product(parts, parts):
        total += ((a1 @ kernel(x1, x2).to_dense()) * a2).sum(1)
    return total


def _with_column(x: Tensor, column: Sequence[int]) -> Tensor:
    return torch.cat([x, x.new_tensor(column).reshape(-1, 1)], dim=1)


def _chunks(sizes: Sequence[int]) -> list[range]:
    """Split positions into runs whose sizes add up to about the number of points at once."""
    result, start, total = [], 0, 0
    for i, size in enumerate(sizes):
        if total and total + size > _POINTS:
            result.append(range(start, i))
            start, total = i, 0
        total += size
    return [*result, range(start, len(sizes))] if len(sizes) > start else result
