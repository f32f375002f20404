"""Bootstrap intervals of a mean over runs (Efron, 1979)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def bootstrap_interval(
    samples: npt.ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[Array, Array]:
    """Return percentile intervals of the mean over the first axis.

    For a paired comparison of two methods give the differences, run by run.

    Args:
        samples: ``runs x ...``.
        level: The confidence level.
        resamples: Number of bootstrap samples, each of as many runs.
        seed: The seed of the resampling.

    Returns:
        The lower and the upper end, each of shape ``...``; NaN where a run has NaN.
    """
    values = np.asarray(samples, dtype=np.float64)
    runs = len(values)
    draws = np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), size=resamples)
    means = (draws / runs) @ values.reshape(runs, -1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low.reshape(values.shape[1:]), high.reshape(values.shape[1:])
