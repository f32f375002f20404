"""Transforms of the targets of a surrogate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

Values = npt.NDArray[np.float64]


class NormalScores:
    """Replaces values by the normal quantiles of their ranks.

    Errors of architectures have a long tail: a few broken ones at chance level stretch the scale
    until the good ones all look alike. Only the order of the values enters here. Ties share their
    average rank.

    The surrogate is fitted, and expected improvement computed, on the scale of the scores; only
    reports go back with `inverse`.

    Args:
        values: The ``n`` observed values; at least one.

    Raises:
        ValueError: If there is no value, or one is not finite.

    Attributes:
        scores: The score of each value (``n``); the lowest value has the lowest score.
    """

    def __init__(self, values: Sequence[float] | Values) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        if self.values.size == 0 or not np.isfinite(self.values).all():
            raise ValueError("targets must be finite numbers, and at least one")
        self.scores: Values = ndtri((rankdata(self.values) - 0.5) / len(self.values))

    def inverse(self, scores: Values) -> Values:
        """Return the values at given scores, linear between the observed ones."""
        order = np.argsort(self.values, kind="stable")
        return np.interp(scores, self.scores[order], self.values[order])
