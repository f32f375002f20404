"""Bayesian optimisation of random weightings of several objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphbo.goals import Goals
from graphbo.optimizers.domination import ranked
from graphbo.optimizers.one_hot_gp import OneHotGP
from graphbo.trial import Trial

if TYPE_CHECKING:
    from graphbo.surrogates import GraphSurrogate

_AUGMENTATION = 0.05

Array = npt.NDArray[np.float64]


class ParEGO(OneHotGP):
    """The loop of `OneHotGP` on another random weighting of the objectives at each proposal.

    The objectives are scaled to the range of what was observed, from 0 to 1, and joined by the
    augmented Chebyshev function (see `augmented_chebyshev`) of weights that are drawn uniformly
    from all that sum to 1. Constraints are kept as `GraphBO` does. With one objective it is
    `OneHotGP`.

    Reference: Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for
    expensive multiobjective optimization problems", IEEE Transactions on Evolutionary Computation,
    2006.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        seed: The seed of all randomness.
        initial: How many random designs come first.
        acquisition: One of ``graphbo.acquisition.ACQUISITIONS``.

    Raises:
        InputError: If no configuration describes the architectures, or a setting cannot be used.
    """

    name = "parego"
    multi_objective = True

    def _to_model(self, goals: Goals) -> tuple[Sequence[str], dict[str, GraphSurrogate]]:
        names, fitted = super()._to_model(goals)
        return names, {} if len(goals.objectives) > 1 else fitted

    def _ranked(self) -> list[Trial]:
        if self.goals is None:
            return super()._ranked()
        return ranked(self.completed, self.goals)

    def _values(self, trials: Sequence[Trial], rng: np.random.Generator) -> Sequence[float]:
        if self.goals is None or len(self.goals.objectives) == 1:
            return super()._values(trials, rng)
        self._fitted_on = 0  # another function from now on, so that everything is fitted anew
        weights = rng.dirichlet(np.ones(len(self.goals.objectives)))
        values = np.array([self.goals.values(trial) for trial in trials])
        scalar: list[float] = augmented_chebyshev(values, weights).tolist()
        return scalar


def augmented_chebyshev(values: Array, weights: Array) -> Array:
    """Return the largest weighted objective of points, plus 0.05 of the sum of all of them.

    Args:
        values: ``n x m`` values, which are scaled to their range first.
        weights: ``m`` weights that sum to 1.

    Returns:
        ``n`` values, to be minimised.

    Example:
        >>> augmented_chebyshev(np.array([[0.0, 4.0], [2.0, 2.0]]), np.array([0.5, 0.5]))
        array([0.525, 0.525])
    """
    low, width = values.min(axis=0), np.ptp(values, axis=0)
    weighted = weights * (values - low) / np.where(width > 0, width, 1.0)
    result: Array = weighted.max(axis=1) + _AUGMENTATION * weighted.sum(axis=1)
    return result
