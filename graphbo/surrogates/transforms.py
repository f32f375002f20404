"""Transforms of the targets of a surrogate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

Values = npt.NDArray[np.float64]

_FAR = 10.0  # so many times as far above the lowest value as the median, a value is just bad


class Scores:
    """What a surrogate is fitted to in place of the values; the lowest value has the lowest score.

    Args:
        values: The ``n`` observed values; at least one.

    Raises:
        ValueError: If there is no value, or one is not finite.

    Attributes:
        scores: The score of each value (``n``).
    """

    scores: Values

    def __init__(self, values: Sequence[float] | Values) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        if self.values.size == 0 or not np.isfinite(self.values).all():
            raise ValueError("targets must be finite numbers, and at least one")

    def inverse(self, scores: Values) -> Values:
        """Return the values at given scores, linear between the observed ones."""
        order = np.argsort(self.values, kind="stable")
        return np.interp(scores, self.scores[order], self.values[order])

    def forward(self, values: Values) -> Values:
        """Return the scores at given values, linear between the observed ones.

        Beyond them it goes on with the mean slope of the whole range, so that the order of all
        values is kept.
        """
        known, first = np.unique(self.values, return_index=True)
        scores = self.scores[first]
        width = known[-1] - known[0]
        slope = (scores[-1] - scores[0]) / width if width > 0 else 1 / (abs(known[0]) or 1.0)
        beyond = np.minimum(values - known[0], 0) + np.maximum(values - known[-1], 0)
        result: Values = np.interp(values, known, scores) + slope * beyond
        return result


class NormalScores(Scores):
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
        super().__init__(values)
        self.scores: Values = ndtri((rankdata(self.values) - 0.5) / len(self.values))


class LogScores(Scores):
    """Standardised logarithms of how far values lie above the lowest.

    On a smooth function of numbers a search gathers observations around an optimum, and ranks would
    tear apart there what differs by next to nothing. This keeps distances between the good ones,
    ``log(1 + r)`` with ``r = (y - min) / (median - min)``, and squeezes the bad ones together.
    Beyond 10 it has ``20 - 100 / r`` in place of r, which goes on as smoothly and stays below 20: a
    penalty of a million would else be all that the scale tells. Values that are all alike have
    scores of 0.

    Args:
        values: The ``n`` observed values; at least one.

    Raises:
        ValueError: If there is no value, or one is not finite.

    Attributes:
        scores: The score of each value (``n``), with mean 0 and, unless all are alike, variance 1.
    """

    def __init__(self, values: Sequence[float] | Values) -> None:
        super().__init__(values)
        above = self.values / 2 - self.values.min() / 2  # halves, whose range is a number
        typical = np.median(above) or above.mean() or 1.0
        far = above / _FAR > typical
        ratio = above / np.where(far, above, typical)
        ratio[far] = 2 * _FAR - _FAR**2 * (typical / above[far])
        logs = np.log1p(ratio)
        self.scores: Values = (logs - logs.mean()) / (logs.std() or 1.0)
