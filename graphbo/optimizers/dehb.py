"""DEHB: differential evolution on the rungs of Hyperband."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice, repeat

import numpy as np

from graphbo.errors import InputError
from graphbo.optimizers.configured import Configurations
from graphbo.optimizers.differential_evolution import bounded, crossed, mutated, to_point, to_vector
from graphbo.optimizers.hyperband import first_and_size
from graphbo.optimizers.multi_fidelity import MultiFidelityOptimizer
from graphbo.optimizers.racing import Bracket
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

_ATTEMPTS = 20
_PARENTS = 3


@dataclass(frozen=True)
class Individual:
    """A member of a population.

    Attributes:
        design: The design.
        vector: Its choices and numbers; see `Configurations`.
        value: Its value at the rung of the population, infinite if it failed.
    """

    design: Design
    vector: tuple[float, ...]
    value: float


class DEHB(MultiFidelityOptimizer):
    """Differential evolution, with a population for each rung of Hyperband.

    The races have the sizes of those of Hyperband, and a population as many individuals as the
    largest race takes to its rung. In the first races, one from each rung, empty places of a
    population are filled at random, and the best of the population below climb. From then on each
    place of a race is taken by an offspring: three of the best of the population below (at the
    first rung of a race: of its own), as many as the race takes to this rung, make a mutant
    ``a + F (b - c)``, which is crossed with the next individual of the population in turn, and
    replaces it unless it is worse. Where fewer than three are there, the rest of them is drawn from
    all populations. A number of the offspring that is not from 0 to 1 is drawn anew. Failures count
    as the worst results.

    Individuals have choices here, not only numbers: each choice is one of equal parts of the unit
    interval, and where in that part its number is, is drawn whenever the individual takes part in a
    mutation; see `to_point`.

    Not in the paper: an offspring is drawn again, up to 20 times, if it encodes no architecture, or
    one that failed, is being evaluated, or was proposed at this rung or above; then a random design
    takes its place. In a pool, it stands for the member that is nearest to it. A rung begins when
    the one below is complete, and until then the next race goes on. Once a space has nothing new,
    what is left climbs, best first.

    Reference: Awad, Mallik and Hutter, "DEHB: evolutionary Hyperband for scalable, robust and
    efficient hyperparameter optimization", IJCAI 2021.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        seed: The seed of all randomness.
        epochs: The numbers of epochs that the evaluator offers.
        eta: The factor between rungs, and the share of designs that does not climb on.
        min_epochs: The fewest epochs of a rung.
        mutation_factor: F, what the difference of two parents is multiplied with.
        crossover_probability: How likely each choice is that of the mutant.

    Attributes:
        populations: The places of each rung's population, None where they are empty.

    Raises:
        InputError: If an argument is out of range, there are not two numbers of epochs, or no
            configuration describes the architectures.
    """

    name = "dehb"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        epochs: Sequence[int] = (),
        eta: float = 3.0,
        min_epochs: int | None = None,
        mutation_factor: float = 0.5,
        crossover_probability: float = 0.5,
    ) -> None:
        if not 0 < mutation_factor <= 2:
            raise InputError(f"mutation_factor of dehb is from 0 to 2; got {mutation_factor}")
        if not 0 <= crossover_probability <= 1:
            raise InputError(
                f"crossover_probability of dehb is from 0 to 1; got {crossover_probability}"
            )
        super().__init__(
            space,
            seed=seed,
            epochs=epochs,
            eta=eta,
            min_epochs=min_epochs,
            mutation_factor=mutation_factor,
            crossover_probability=crossover_probability,
        )
        self.mutation_factor = mutation_factor
        self.crossover_probability = crossover_probability
        self._configurations = Configurations(space, self.name)
        self._choices = [column.choices for column in self._configurations.columns]
        self._races: list[Bracket] = [self._race(index) for index in range(len(self.rungs))]
        self.populations: list[list[Individual | None]] = [
            [None] * max(race.sizes[rung - race.first] for race in self._races[: rung + 1])
            for rung in range(len(self.rungs))
        ]
        self._asked_at = [0] * len(self.rungs)
        self._where: dict[tuple[Design, float], tuple[Bracket, int, int]] = {}
        self._highest: dict[Design, float] = {}

    # Places to fill -------------------------------------------------------------------------

    def _race(self, index: int) -> Bracket:
        return Bracket.halving(self.rungs, *first_and_size(self.rungs, index))

    def _slots(self) -> Iterator[tuple[int, int]]:
        """Yield what waits for a design: the number of a race and a level of it, without end."""
        for index in count():
            if index == len(self._races):
                self._races.append(self._race(index))
            race = self._races[index]
            for level, size in enumerate(race.sizes):
                if level and len(race.values[level - 1]) < race.sizes[level - 1]:
                    break
                yield from repeat((index, level), size - len(race.asked[level]))

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        chosen: list[Design] = []
        asked_at = list(self._asked_at)
        for index, level in islice(self._slots(), n):
            rung = self._races[index].first + level
            target = self.populations[rung][asked_at[rung] % len(self.populations[rung])]
            design = self._next(index, level, target, chosen, rng)
            if design is None:
                break
            asked_at[rung] += 1
            chosen.append(self._asked(design, rung))
        return chosen + self._left(n - len(chosen), chosen)

    def _next(
        self,
        index: int,
        level: int,
        target: Individual | None,
        chosen: Sequence[Design],
        rng: np.random.Generator,
    ) -> Design | None:
        """Return a design for a level of a race, None if there is none."""
        race = self._races[index]
        rung = race.first + level
        if level and index < len(self.rungs):
            for individual in self._ranked(rung - 1):
                if self._is_new(individual.design, rung, chosen):
                    return individual.design
        if target is not None:
            parents = self._ranked(rung - 1 if level else rung)[: race.sizes[level]]
            for _ in range(_ATTEMPTS):
                child = self._offspring(target, parents, rng)
                if child is not None and self._is_new(child, rung, chosen):
                    return child
        return next(iter(self._sample_unseen(1, rng, chosen)), None)

    def _left(self, n: int, chosen: Sequence[Design]) -> list[Design]:
        """Return what climbs when there is nothing new, to high rungs first."""
        found: list[Design] = []
        if not n:
            return found
        for rung in reversed(range(1, len(self.rungs))):
            for trial in sorted(self.at_rung(rung - 1), key=lambda trial: trial.value or 0.0):
                if len(found) < n and self._is_new(trial.design, rung, [*chosen, *found]):
                    found.append(self._asked(trial.design, rung))
        return found

    def _is_new(self, design: Design, rung: int, chosen: Sequence[Design]) -> bool:
        """Whether a design can be proposed at a rung."""
        if design in self.pending or design in chosen:
            return False
        return self._highest.get(design, 0) < self.rungs[rung]

    # Evolution ------------------------------------------------------------------------------

    def _ranked(self, rung: int) -> list[Individual]:
        """Return the population of a rung, the best first."""
        there = [individual for individual in self.populations[rung] if individual is not None]
        return sorted(there, key=lambda individual: individual.value)

    def _offspring(
        self, target: Individual, parents: Sequence[Individual], rng: np.random.Generator
    ) -> Design | None:
        """Return the offspring of an individual, None if it encodes no architecture."""
        pool = [parent for parent in parents if parent.design != target.design]
        if len(pool) < _PARENTS:
            everyone = [each for rung in range(len(self.rungs)) for each in self._ranked(rung)]
            known = {target.design, *(parent.design for parent in pool)}
            others = list({e.design: e for e in everyone if e.design not in known}.values())
            order = rng.permutation(len(others))[: _PARENTS - len(pool)]
            pool += [others[int(i)] for i in order]
        if len(pool) < _PARENTS:
            return None
        drawn = [pool[int(i)] for i in rng.choice(len(pool), _PARENTS, replace=False)]
        old, a, b, c = (to_point(each.vector, self._choices, rng) for each in (target, *drawn))
        mutant = mutated(a, b, c, self.mutation_factor)
        point = bounded(crossed(old, mutant, self.crossover_probability, rng), rng)
        return self._configurations.from_vector(to_vector(point, self._choices), self.name)

    # Taking note ----------------------------------------------------------------------------

    def _record_ask(self, designs: Sequence[Design]) -> None:
        for design in designs:
            epochs = (design.fidelity or {})["epochs"]
            rung = self.rungs.index(int(epochs))
            index, level = next(s for s in self._slots() if self._races[s[0]].first + s[1] == rung)
            place = self._asked_at[rung] % len(self.populations[rung])
            self._asked_at[rung] += 1
            self._races[index].asked[level].append(design)
            self._where[design, epochs] = self._races[index], level, place
            self._note(design, epochs)
        super()._record_ask(designs)

    def _record_tell(self, trial: Trial) -> None:
        design, epochs = trial.design, trial.epochs
        self._note(design, math.inf if trial.value is None else epochs)
        if (design, epochs) not in self._where:
            return
        race, level, place = self._where[design, epochs]
        value = math.inf if trial.value is None else trial.value
        race.values[level][design] = value
        population = self.populations[race.first + level]
        rival = population[place]
        if rival is None or value <= rival.value:
            vector = self._configurations.vector(trial.design)
            population[place] = Individual(trial.design, vector, value)

    def _note(self, design: Design, epochs: float) -> None:
        self._highest[design] = max(self._highest.get(design, 0), epochs)
