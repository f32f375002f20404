"""Mean ranks of several optimisers, and how far apart they must lie to differ."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, studentized_range


def mean_ranks(values: Mapping[str, npt.ArrayLike]) -> dict[str, float]:
    """Return the mean rank of each optimiser over the runs, 1 for the lowest value.

    Args:
        values: For each optimiser a value for each run (``n``); runs stand in one order, and equal
            values share their average rank. What is NaN comes last.
    """
    table = np.stack([np.asarray(each, dtype=float) for each in values.values()], axis=1)
    ranks = rankdata(np.where(np.isnan(table), np.inf, table), axis=1)
    return dict(zip(values, ranks.mean(axis=0).tolist(), strict=True))


def critical_difference(optimizers: int, runs: int, level: float = 0.95) -> float:
    """Return by how much two mean ranks must differ to be told apart, by Nemenyi's test.

    Reference: Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.

    Args:
        optimizers: How many are ranked, at least 2.
        runs: Over how many runs.
        level: The confidence level.
    """
    quantile = float(studentized_range.ppf(level, optimizers, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(optimizers * (optimizers + 1) / (6 * runs))
