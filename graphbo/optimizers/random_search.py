"""Random search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import Design


class RandomSearch(Optimizer):
    """Draws architectures at random, none of them twice."""

    name = "random"
    multi_objective = True
    constrained = True

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        return self._sample_unseen(n, rng)
