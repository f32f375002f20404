"""Regularised evolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial


class RegularizedEvolution(Optimizer):
    """Aging evolution: the population is what was evaluated last, however good.

    A parent is the best of a random sample of the population; its mutation is evaluated. Mutations
    seen before are mutated further instead of being evaluated again.

    Reference: Real et al., "Regularized evolution for image classifier architecture search", AAAI
    2019. The default sizes are smaller than the paper's 100 and 25, and do better in budgets of a
    hundred or two.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        population: The size of the population.
        sample: The size of the tournament.
    """

    name = "regularized-evolution"

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, population: int = 20, sample: int = 10
    ) -> None:
        if not 1 <= sample <= population:
            raise InputError(
                f"the tournament has 1 to {population} members, as the population; "
                f"got sample={sample}"
            )
        super().__init__(space, seed=seed, population=population, sample=sample)
        self.population = population
        self.sample = sample

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        members = self.completed[-self.population :]
        chosen: list[Design] = []
        while len(chosen) < n:
            if len(self.completed) + len(self.pending) + len(chosen) < self.population:
                child = None
            else:
                child = self._child(members, chosen, rng)
            if child is None:
                drawn = self._sample_unseen(1, rng, chosen)
                if not drawn:
                    break
                child = drawn[0]
            chosen.append(child)
        return chosen

    def _child(
        self, members: Sequence[Trial], chosen: Sequence[Design], rng: np.random.Generator
    ) -> Design | None:
        if not members:
            return None
        picks = rng.choice(len(members), min(self.sample, len(members)), replace=False)
        parent = min((members[int(i)] for i in picks), key=lambda trial: trial.value or 0.0)
        exclude = self._seen | set(chosen)
        child = self.space.mutate(parent.design, rng, exclude)
        return None if child in exclude else child.described("mutation")
