"""Local search with restarts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import Design

_START, _NEIGHBOR = "start", "neighbor"


class LocalSearch(Optimizer):
    """Hill climbing: evaluate the neighbours of the current design in random order.

    The first neighbour that is better becomes the current design. When none is left, the search
    starts again from a random design.

    Reference: White et al., "Local search is state of the art for neural architecture search
    benchmarks", UAI 2021.
    """

    name = "local-search"

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        current = self._current()
        near = self.space.neighbors(current, self._seen) if current is not None else []
        order = rng.permutation(len(near))[:n]
        chosen = [near[int(i)].described(_NEIGHBOR) for i in order]
        waiting = any(design.origin == _START for design in self.pending)
        if not chosen and not waiting:
            chosen = self._sample_unseen(1, rng, origin=_START)
        return chosen + self._sample_unseen(n - len(chosen), rng, chosen)

    def _current(self) -> Design | None:
        """Return where the climb stands, which follows from the history."""
        current, value = None, float("inf")
        for trial in self.told:
            if trial.value is None:
                continue
            if trial.design.origin == _START or trial.value < value:
                current, value = trial.design, trial.value
        return current
