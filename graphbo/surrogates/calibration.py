"""How well a surrogate predicts observations that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import kendalltau, norm

from graphbo.surrogates.graph_gp import GraphGP
from graphbo.surrogates.surrogate import GraphSurrogate
from graphbo.surrogates.transforms import Values


@dataclass(frozen=True)
class LeaveOneOut:
    """What a surrogate predicts of each observation from all others.

    The hyperparameters, and the transform of the values, are those of all observations. The
    prediction is a mixture of the surrogate's ``m`` processes, on the scale of the scores.

    Attributes:
        observed: The scores of the ``n`` observations.
        means: The means of the components, `m x n`.
        deviations: Their standard deviations, noise included, `m x n`.
    """

    observed: Values
    means: Values
    deviations: Values

    @property
    def mean(self) -> Values:
        """The means of the predictions (``n``)."""
        mean: Values = self.means.mean(axis=0)
        return mean

    @property
    def deviation(self) -> Values:
        """The standard deviations of the predictions (``n``)."""
        second = (self.deviations**2 + self.means**2).mean(axis=0)
        deviation: Values = np.sqrt(second - self.mean**2)
        return deviation

    @property
    def kendall_tau(self) -> float:
        """The rank correlation of predicted and observed values; NaN if all are alike."""
        return float(kendalltau(self.mean, self.observed).statistic)

    @property
    def mean_log_density(self) -> float:
        """The mean log density of the observed scores; higher is better."""
        densities = norm.logpdf(self.observed, self.means, self.deviations)
        return float((logsumexp(densities, axis=0) - np.log(len(self.means))).mean())

    def coverage(self, level: float = 0.95) -> float:
        """Return the share of observations in the central intervals of the predictions.

        Args:
            level: The probability of the intervals, from 0 to 1.
        """
        below = norm.cdf(self.observed, self.means, self.deviations).mean(axis=0)
        return float((np.abs(below - 0.5) <= level / 2).mean())


def leave_one_out(surrogate: GraphSurrogate) -> LeaveOneOut:
    """Predict each observation of a surrogate from all others, in closed form.

    Args:
        surrogate: A fitted surrogate of Gaussian processes.

    Raises:
        ValueError: If it has not been fitted, or a model is no exact Gaussian process.

    Example:
        >>> leave_one_out(GraphSurrogate(space).fit(designs, values)).coverage(0.95)
    """
    models = [model for model in surrogate.models if isinstance(model, GraphGP)]
    if not surrogate.models:
        raise ValueError("the surrogate has not been fitted yet; call its `fit` first")
    if len(models) < len(surrogate.models):
        raise ValueError("only Gaussian processes predict each observation from all others")
    moments = [model.leave_one_out() for model in models]
    return LeaveOneOut(
        surrogate.transform.scores,
        np.stack([mean.numpy() for mean, _ in moments]),
        np.stack([variance.sqrt().numpy() for _, variance in moments]),
    )
