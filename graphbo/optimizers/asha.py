"""Asynchronous successive halving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphbo.optimizers.multi_fidelity import MultiFidelityOptimizer
from graphbo.spaces.base import Design


class ASHA(MultiFidelityOptimizer):
    """Promotes a design as soon as it is among the best of its rung, and starts new ones meanwhile.

    Whenever a design is asked for, the highest rung with a design that is among its best so far,
    and has not climbed yet, lets the best of those climb; if there is none, a random design starts
    at the lowest rung. The best are so many that the rung above costs as much: ``1 / eta`` where
    rungs are that far apart. In a space that is used up, the best of the highest rung climbs.

    Reference: Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020,
    algorithm 2.

    Args: those of `MultiFidelityOptimizer`.
    """

    name = "asha"

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        chosen: list[Design] = []
        while len(chosen) < n:
            design = self._promoted(chosen)
            if design is None:
                fresh = self._sample_unseen(1, rng, chosen)
                design = self._asked(fresh[0], 0) if fresh else self._promoted(chosen, all_of=True)
            if design is None:
                break
            chosen.append(design)
        return chosen

    def _promoted(self, chosen: Sequence[Design], *, all_of: bool = False) -> Design | None:
        """Return the next design that climbs, at its new rung; None if none does.

        Args:
            chosen: What is proposed with it.
            all_of: Whether all of a rung count as its best.
        """
        busy = {*self.pending, *chosen}
        climbed = {(trial.design, trial.epochs) for trial in self.told}
        for rung in reversed(range(len(self.rungs) - 1)):
            ranked = sorted(self.at_rung(rung), key=lambda trial: trial.value or 0.0)
            for trial in ranked if all_of else ranked[: self._kept(len(ranked), rung)]:
                design, above = trial.design, self.rungs[rung + 1]
                if (design, above) not in climbed and design not in busy:
                    return self._asked(design, rung + 1)
        return None
