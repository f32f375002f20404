"""Gaussian processes over designs and how long they are trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.kernels import Kernel
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import FidelityKernel
from graphbo.spaces.base import Design, SearchSpace
from graphbo.surrogates.defaults import KernelFactory, default_kernels
from graphbo.surrogates.graph_gp import GraphGP
from graphbo.surrogates.joint import with_hyperparameters
from graphbo.surrogates.selection import fitted_process
from graphbo.surrogates.surrogate import GraphSurrogate, column, evenly_chosen
from graphbo.surrogates.transforms import NormalScores, Values


class FidelitySurrogate:
    """Predicts the objective of designs at each rung, from results at any of them.

    One Gaussian process for each kernel on architectures, in a `FidelityKernel` over the rungs;
    acquisition functions average over the processes. Targets are `rung_scores`.

    Args:
        space: The search space.
        kernels: Factories of kernels on the space's rows; by default those of `default_kernels`.

    Attributes:
        models: The fitted processes, empty before `fit`.
    """

    models: list[GraphGP]

    def __init__(self, space: SearchSpace, kernels: Sequence[KernelFactory] | None = None) -> None:
        given = with_hyperparameters(space, default_kernels(space) if kernels is None else kernels)
        self._factories = [_WithFidelity(factory) for factory in given]
        self._designs = GraphSurrogate(space, [])
        self.models = []

    def rows(self, designs: Sequence[Design], rungs: Sequence[int] | int) -> Tensor:
        """Return the rows of designs at rungs, `n x (d + 1)` in float64.

        Args:
            designs: ``n`` designs.
            rungs: The rung of each, or of all.
        """
        rows = self._designs.rows(designs)
        at = torch.as_tensor(rungs, dtype=rows.dtype).expand(len(rows)).unsqueeze(-1)
        return torch.cat([rows.reshape(len(at), -1), at], dim=-1)

    def fit(
        self,
        designs: Sequence[Design],
        rungs: Sequence[int],
        values: Sequence[float],
        fit_on: int | None = None,
    ) -> FidelitySurrogate:
        """Fit the hyperparameters, and condition on the results.

        From 300 results on, the hyperparameters are fitted on 300 of them, evenly chosen.

        Args:
            designs: The designs of the ``n`` results.
            rungs: The rung of each, from 0.
            values: Their finite values; lower is better.
            fit_on: Fit the hyperparameters on the first so many results only.

        Returns:
            The surrogate itself.
        """
        n = len(values) if fit_on is None else min(fit_on, len(values))
        early = rung_scores(designs[:n], rungs[:n], values[:n])
        chosen = evenly_chosen(n)
        rows = self.rows(designs, rungs)
        self.models = []
        for factory in self._factories:
            kernel = factory([designs[i].architecture for i in chosen])
            model = fitted_process(rows[chosen], column(early[chosen]), kernel)
            model.observe(rows[:n], column(early), together=True)
            self.models.append(model)
        return self.condition(designs, rungs, values)

    def condition(
        self, designs: Sequence[Design], rungs: Sequence[int], values: Sequence[float]
    ) -> FidelitySurrogate:
        """Condition on other results and keep the hyperparameters; see `fit`."""
        rows, targets = self.rows(designs, rungs), column(rung_scores(designs, rungs, values))
        for model in self.models:
            model.observe(rows, targets)
        return self

    def learned(self, design: Design, rungs: Sequence[int]) -> Values:
        """Return how much a result at each of some rungs would say of the last of them.

        Args:
            design: The design.
            rungs: ``r`` rungs, ascending.

        Returns:
            By how much the variance at the last rung would shrink, as a share of it (``r``),
            averaged over the models.
        """
        points = self.rows([design] * len(rungs), rungs)
        shares = []
        for model in self.models:
            posterior = model.posterior(points.unsqueeze(0))
            assert isinstance(posterior, GPyTorchPosterior)
            covariance = posterior.distribution.covariance_matrix[0]
            with_last, variance = covariance[-1], covariance.diagonal()
            noisy = variance + model.likelihood.noise
            shares.append(with_last.square() / (noisy * variance[-1]))
        result: Values = torch.stack(shares).mean(0).detach().numpy()
        return result


def rung_scores(designs: Sequence[Design], rungs: Sequence[int], values: Sequence[float]) -> Values:
    """Return targets that compare results of different rungs.

    At the lowest rung they are normal scores. Those that climb are a selection: at each higher rung
    the values are moved and stretched so that the designs which were seen at a lower one have the
    same mean and standard deviation as at their highest lower one. Where fewer than three were,
    values are only moved, on the scale of normal scores.

    Args:
        designs: The designs of the ``n`` results.
        rungs: The rung of each.
        values: Their finite values.

    Returns:
        ``n`` targets; lower is better.
    """
    at, given = np.asarray(rungs, dtype=int), np.asarray(values, dtype=float)
    scores = np.full(len(given), np.nan)
    below: dict[Design, float] = {}
    for rung in sorted(set(at.tolist())):
        here = np.flatnonzero(at == rung)
        own = NormalScores(given[here]).scores
        cells = [designs[i] for i in here.tolist()]
        known = [i for i, cell in enumerate(cells) if cell in below]
        target = np.array([below[cells[i]] for i in known])
        if len(known) >= 3 and np.ptp(own[known]) > 0 and np.ptp(target) > 0:
            scale = target.std() / own[known].std()
            own = (own - own[known].mean()) * scale + target.mean()
        elif known:
            own = own - own[known].mean() + target.mean()
        scores[here] = own
        below |= dict(zip(cells, own.tolist(), strict=True))
    return scores


class _WithFidelity:
    """A factory of kernels with a fidelity; a class, where a function would do but for pickling."""

    def __init__(self, factory: KernelFactory) -> None:
        self.factory = factory

    def __call__(self, train: Sequence[Architecture]) -> Kernel:
        return FidelityKernel(self.factory(train))
