"""The non-dominated sorting genetic algorithm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.domination import ranked
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

_MUTATED = 0.63  # of many decisions, each changed at one over their number, at least one is


class NSGA2(Optimizer):
    """NSGA-II: generations, of which the least dominated and least crowded half survives.

    Parents win a tournament of two; their child takes each decision from one of them, and is
    mutated. What was evaluated before is mutated further instead of being evaluated again. A
    generation ends when as many results are there as the population has members; designs can be
    asked for meanwhile. With constraints, what breaks them is dominated by all that keeps them, and
    otherwise by what breaks them less. With one objective it is a genetic algorithm with elitism.

    Reference: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
    Transactions on Evolutionary Computation, 2002. The default population is smaller than the
    paper's 100, for budgets of a hundred or two.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        population: The size of the population.
        crossover: The probability that a child has two parents.

    Raises:
        InputError: If a setting is out of range.
    """

    name = "nsga2"
    multi_objective = True
    constrained = True

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, population: int = 20, crossover: float = 0.9
    ) -> None:
        if population < 2:
            raise InputError(f"the population has at least 2 members; got {population}")
        if not 0 <= crossover <= 1:
            raise InputError(f"the probability of crossover is from 0 to 1; got {crossover}")
        super().__init__(space, seed=seed, population=population, crossover=crossover)
        self.population = population
        self.crossover = crossover
        self._members: list[Trial] = []
        self._offspring: list[Trial] = []

    @property
    def members(self) -> list[Trial]:
        """The population, the best first; empty before the first generation ends."""
        return list(self._members)

    def _record_tell(self, trial: Trial) -> None:
        if trial.value is None:
            return
        self._offspring.append(trial)
        if len(self._offspring) == self.population:
            everyone = [*self._members, *self._offspring]
            self._members = self._ranked(everyone)[: self.population]
            self._offspring = []

    def _ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        if self.goals is None:
            return sorted(trials, key=self._order)
        return ranked(trials, self.goals)

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        chosen: list[Design] = []
        while len(chosen) < n:
            child = self._child(chosen, rng) if self._members else None
            if child is None:
                drawn = self._sample_unseen(1, rng, chosen)
                if not drawn:
                    break
                child = drawn[0]
            chosen.append(child)
        return chosen

    def _child(self, chosen: Sequence[Design], rng: np.random.Generator) -> Design | None:
        """Return a child of the population that was not seen, None if there is none at hand."""
        exclude = self._seen | set(chosen)
        child, origin = self._parent(rng), "mutation"
        if rng.random() < self.crossover:
            child, origin = self.space.crossover(child, self._parent(rng), rng), "crossover"
        if child in exclude or rng.random() < _MUTATED:
            child, origin = self.space.mutate(child, rng, exclude), "mutation"
        return None if child in exclude else child.described(origin)

    def _parent(self, rng: np.random.Generator) -> Design:
        """Return the winner of a tournament of two, the one that is ranked before the other."""
        picks = rng.integers(len(self._members), size=2)
        return self._members[int(picks.min())].design
