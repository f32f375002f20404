"""Gaussian processes over the designs of a space."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from gpytorch.kernels import Kernel
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.kernels import Embedding
from graphbo.spaces.base import Design, Row, SearchSpace
from graphbo.surrogates.defaults import KernelFactory, SharedDecoder, default_kernels
from graphbo.surrogates.embedded import frozen
from graphbo.surrogates.joint import with_hyperparameters
from graphbo.surrogates.model import ModelFactory, SurrogateModel
from graphbo.surrogates.prior import RowPredictor
from graphbo.surrogates.selection import fitted
from graphbo.surrogates.transforms import LogScores, NormalScores, Scores, Values

_MOST_FITTED = 300
_TYPICAL = 100
_MOST_ROWS = 200_000


class GraphSurrogate:
    """Predicts the objective of designs from a few observed ones.

    One Gaussian process for each kernel, each fitted by marginal likelihood to the normal scores of
    the observed values, or to their `LogScores` where all that is chosen is hyperparameters;
    acquisition functions average over the processes. Other models may take the place of a process;
    `SurrogateModel` says what they must be able to do.

    Args:
        space: The search space.
        kernels: GPyTorch kernels on the space's rows, factories that make them, or makers of
            models (`ModelFactory`) such as `MostLikely` of several kernels, `DeepKernel`,
            `BayesianLinear` or `DeepEnsemble`; by default what `default_kernels` chooses.
        prior: A prediction made in advance, which every model builds on: a picklable function from
            ``n`` architectures to ``n`` values, lower is better, about standard normal over the
            space; see `graphbo.surrogates.prior`. Hyperparameters are then fitted from two
            observations on.

    Raises:
        InputError: If there is a prior or a maker of models, and the space has hyperparameters.

    Attributes:
        models: The fitted models, empty before `fit`.
        transform: The transform of the observed values.
    """

    models: list[SurrogateModel]
    transform: Scores

    def __init__(
        self,
        space: SearchSpace,
        kernels: Sequence[Kernel | KernelFactory | ModelFactory] | None = None,
        prior: Embedding | None = None,
    ) -> None:
        if prior is not None and space.hyperparameters is not None:
            raise InputError(
                f"a prior predicts from architectures alone, and the space {space.name} has "
                "hyperparameters, too; leave it out"
            )
        self.space = space
        given = default_kernels(space) if kernels is None else kernels
        self._factories = with_hyperparameters(space, [_factory(kernel) for kernel in given])
        self._rows: dict[Architecture, Row] = {}
        self._last: tuple[Sequence[Design], Tensor] = (), torch.empty(0)
        self._prior: RowPredictor | None = None
        if prior is not None:
            rng = np.random.default_rng(0)
            typical = self.rows([space.sample(rng) for _ in range(_TYPICAL)])
            self._prior = RowPredictor(SharedDecoder(space.decode), frozen(prior), typical)
        self._transformed = LogScores if space.kind == "hyperparameters" else NormalScores
        self.models = []

    def rows(self, designs: Sequence[Design]) -> Tensor:
        """Return the canonical rows of designs, `n x d` in float64.

        Behind the entries of the architecture stand those of the hyperparameters, if there are any.
        """
        if designs and designs is self._last[0]:
            return self._last[1]
        if len(self._rows) > _MOST_ROWS:
            self._rows.clear()
        for design in designs:
            if design.architecture not in self._rows:
                self._rows[design.architecture] = self.space.encode(design.architecture)
        rows: list[tuple[float, ...]] = [self._rows[design.architecture] for design in designs]
        if (beside := self.space.hyperparameters) is not None:
            rows = [
                (*row, *beside.vector(design.hyperparameters))
                for row, design in zip(rows, designs, strict=True)
            ]
        result = torch.tensor(rows, dtype=torch.float64)
        if isinstance(designs, tuple):
            self._last = designs, result  # an enumerated space is asked for again and again
        return result

    def fit(
        self, designs: Sequence[Design], values: Sequence[float], fit_on: int | None = None
    ) -> GraphSurrogate:
        """Fit the hyperparameters, and condition on the observations.

        From 300 observations on, the hyperparameters are fitted on 300 of them, evenly chosen.

        Args:
            designs: The ``n`` observed designs.
            values: Their finite values; lower is better.
            fit_on: Fit the hyperparameters on the first so many observations only; all of them
                are conditioned on.

        Returns:
            The surrogate itself.

        Raises:
            ValueError: If there are no observations, or not as many values as designs.
        """
        if len(designs) != len(values):
            raise ValueError(f"there are {len(designs)} designs but {len(values)} values")
        n = len(designs) if fit_on is None else min(fit_on, len(designs))
        evenly = evenly_chosen(n)
        early = self._transformed([values[i] for i in evenly])
        self.transform = self._transformed(values)
        rows, targets = self.rows(designs), column(self.transform.scores)
        self.models = []
        for factory in self._factories:
            architectures = [designs[i].architecture for i in evenly]
            model = fitted(factory, rows[evenly], column(early.scores), architectures, self._prior)
            model.observe(rows[:n], targets[:n], together=True)
            model.observe(rows, targets)
            self.models.append(model)
        return self

    def condition(self, designs: Sequence[Design], values: Sequence[float]) -> GraphSurrogate:
        """Condition on other observations and keep the hyperparameters."""
        self.transform = self._transformed(values)
        rows, targets = self.rows(designs), column(self.transform.scores)
        for model in self.models:
            model.observe(rows, targets)
        return self

    def warm_up(self, designs: Sequence[Design]) -> None:
        """Look at designs, two or more, in advance: at all that does not depend on observations."""
        rows, pair = self.rows(designs), designs[:2]
        for factory in self._factories:
            architectures = [design.architecture for design in pair]
            targets = column(self._transformed([0.0, 1.0]).scores)
            fitted(factory, rows[:2], targets, architectures, self._prior).moments(rows)

    def scale(self, values: Sequence[float]) -> Scores:
        """Return the transform under which it would be fitted to values, at least one."""
        return self._transformed(values)

    @property
    def has_prior(self) -> bool:
        """Whether the models build on a prediction made in advance."""
        return self._prior is not None

    def prior_scores(self, designs: Sequence[Design]) -> Values:
        """Return what the prior predicts, without any observation.

        Args:
            designs: ``n`` designs.

        Returns:
            ``n`` values; lower is better.

        Raises:
            ValueError: If there is no prior.
        """
        if self._prior is None:
            raise ValueError("the surrogate has no prior; give it one as `prior`")
        scores: Values = self._prior(self.rows(designs)).numpy()
        return scores

    def predict(self, designs: Sequence[Design]) -> tuple[Values, Values]:
        """Predict scores, averaged over the models as a mixture.

        Args:
            designs: ``n`` designs.

        Returns:
            Means and standard deviations (``n`` each) on the scale of the scores;
            ``transform.inverse`` gives the values at the means.
        """
        moments = [model.moments(self.rows(designs)) for model in self.models]
        means = torch.stack([mean for mean, _ in moments])
        variances = torch.stack([variance for _, variance in moments])
        mean = means.mean(0)
        variance = (variances + means.square()).mean(0) - mean.square()
        deviation: Values = np.sqrt(variance.numpy())
        return mean.numpy(), deviation


def _factory(kernel: Kernel | KernelFactory | ModelFactory) -> KernelFactory | ModelFactory:
    if isinstance(kernel, Kernel):
        return partial(_copied, kernel)
    return kernel


def _copied(kernel: Kernel, train: Sequence[Architecture]) -> Kernel:
    return copy.deepcopy(kernel)


def evenly_chosen(n: int) -> npt.NDArray[np.int64]:
    """Return which of n observations hyperparameters are fitted on: 300 at most."""
    return np.linspace(0, n - 1, min(n, _MOST_FITTED)).round().astype(np.int64)


def column(scores: Values) -> Tensor:
    """Return targets, `n`, as models take them, `n x 1`."""
    return torch.as_tensor(scores).unsqueeze(-1)
