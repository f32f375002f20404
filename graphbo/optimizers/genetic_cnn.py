"""A genetic algorithm on configurations."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.configured import Configurations
from graphbo.spaces.base import INACTIVE, Decision, Design, Row, SearchSpace

_ATTEMPTS = 20
_IDLE = 20


class GeneticCNN(Optimizer):
    """Generations of configurations, by selection, crossover and mutation.

    A gene is a decision of the space: a bit where a connection is there or not, and otherwise one
    of several choices. From one generation to the next, individuals are drawn with a probability
    that is proportional to how much better they are than the worst (Russian roulette), and put into
    pairs; a pair may exchange stages, and whoever did not may mutate, gene by gene. Decisions whose
    names end in the same number, which is that of a node or a layer, are a stage; any other is one
    of its own.

    Not in the paper, in whose space every bit string is valid: an offspring that is not valid is
    drawn again, up to 20 times, and then is its parent; decisions that become active are drawn at
    random. In a pool, an offspring stands for the member that is nearest to it. An individual that
    was evaluated before keeps its value, and costs nothing. While the last results of a generation
    are awaited, further offspring of the same parents are proposed; whatever is told meanwhile
    joins the generation. Failures have no offspring.

    Reference: Xie and Yuille, "Genetic CNN", ICCV 2017. The defaults are those of its experiment on
    CIFAR-10.

    Args:
        space: The search space; a pool must be a part of a space with decisions.
        seed: The seed of all randomness.
        population: The number of individuals of a generation.
        crossover_probability: How likely a pair is to exchange stages.
        crossover_rate: How likely each stage is to be exchanged then.
        mutation_probability: How likely an individual is to mutate.
        mutation_rate: How likely each gene is to change then.

    Raises:
        InputError: If no configuration describes the architectures, or a setting is out of range.
    """

    name = "genetic-cnn"
    hyperparameters = False

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        population: int = 20,
        crossover_probability: float = 0.2,
        crossover_rate: float = 0.2,
        mutation_probability: float = 0.8,
        mutation_rate: float = 0.05,
    ) -> None:
        chances = {
            "crossover_probability": crossover_probability,
            "crossover_rate": crossover_rate,
            "mutation_probability": mutation_probability,
            "mutation_rate": mutation_rate,
        }
        for setting, chance in chances.items():
            if not 0 <= chance <= 1:
                raise InputError(f"{setting} of {self.name} is from 0 to 1; got {chance}")
        if population < 2:
            raise InputError(f"a population has at least 2 individuals; got {population}")
        super().__init__(space, seed=seed, population=population, **chances)
        self.population = population
        self.crossover_probability, self.crossover_rate = crossover_probability, crossover_rate
        self.mutation_probability, self.mutation_rate = mutation_probability, mutation_rate
        self._configurations = Configurations(space, self.name)
        self._stages = stages(self._configurations.decisions)
        # What follows is a function of the told trials, taken in up to the number `_read`.
        self._read, self._number = 0, 0
        self._values: dict[Design, float | None] = {}
        self._parents: list[Design] = []
        self._others: list[Design] = []
        self._members = self._sample_unseen(population, self._rng(), origin="initial")

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        self._read_told()
        due = [m for m in dict.fromkeys(self._members) if m not in self._seen]
        chosen = {design: design for design in due[:n]}
        for _ in range(_ATTEMPTS):
            if len(chosen) >= n or not self._parents:
                break
            for child in self._offspring(self._parents, rng):
                if len(chosen) < n and child not in self._seen:
                    chosen.setdefault(child, child)
        designs = list(chosen.values())
        return designs + self._sample_unseen(n - len(designs), rng, designs)

    def _rng(self) -> np.random.Generator:
        """Return the source of randomness of the current generation."""
        return np.random.default_rng([self.seed, self._number, 1])

    def _read_told(self) -> None:
        """Take in what was told since, one trial after the other, and breed when it is time."""
        for trial in self.told[self._read :]:
            self._read += 1
            self._values[trial.design] = trial.value
            if trial.design not in self._members:
                self._others.append(trial.design)
            for _ in range(_IDLE):  # a generation without anyone new passes at once
                if any(member not in self._values for member in self._members):
                    break
                self._parents, self._others = [*self._members, *self._others], []
                self._number += 1
                self._members = self._offspring(self._parents, self._rng())

    def _offspring(self, parents: Sequence[Design], rng: np.random.Generator) -> list[Design]:
        """Return the next generation."""
        values = [self._values.get(parent) for parent in parents]
        if all(value is None for value in values):
            return [self.space.sample(rng).described("random") for _ in range(self.population)]
        drawn = rng.choice(len(parents), self.population, p=roulette(values))
        children = [parents[int(i)] for i in drawn]
        crossed = [False] * len(children)
        for i in range(0, len(children) - 1, 2):
            if rng.random() < self.crossover_probability:
                children[i : i + 2] = self._exchange(children[i], children[i + 1], rng)
                crossed[i : i + 2] = True, True
        for i, exchanged in enumerate(crossed):
            if not exchanged and rng.random() < self.mutation_probability:
                children[i] = self._mutate(children[i], rng)
        return children

    def _exchange(
        self, first: Design, second: Design, rng: np.random.Generator
    ) -> tuple[Design, Design]:
        a, b = self._configurations.row(first), self._configurations.row(second)
        for _ in range(_ATTEMPTS):
            one, other = list(a), list(b)
            for stage in self._stages:
                if rng.random() < self.crossover_rate:
                    for gene in stage:
                        one[gene], other[gene] = other[gene], one[gene]
            children = [self._design(row, rng, "crossover") for row in (one, other)]
            if children[0] is not None and children[1] is not None:
                return children[0], children[1]
        return first, second

    def _mutate(self, parent: Design, rng: np.random.Generator) -> Design:
        row = self._configurations.row(parent)
        for _ in range(_ATTEMPTS):
            changed = list(row)
            for gene, decision in enumerate(self._configurations.decisions):
                choices = len(decision.choices)
                if row[gene] != INACTIVE and choices > 1 and rng.random() < self.mutation_rate:
                    changed[gene] = (row[gene] + int(rng.integers(1, choices))) % choices
            child = self._design(changed, rng, "mutation")
            if child is not None:
                return child
        return parent

    def _design(self, row: list[int], rng: np.random.Generator, origin: str) -> Design | None:
        """Return the design of genes, those without a choice drawn in case they are active."""
        filled: Row = tuple(
            gene if gene != INACTIVE else int(rng.integers(len(decision.choices)))
            for gene, decision in zip(row, self._configurations.decisions, strict=True)
        )
        return self._configurations.design(filled, origin)


def roulette(values: Sequence[float | None]) -> list[float]:
    """Return the probability of drawing each individual.

    Args:
        values: The value of each, lower is better; None if it failed. Not all failed.

    Returns:
        Probabilities in proportion to how much better than the worst each is; all alike, but for
        failures, if none is better.
    """
    finite = [value for value in values if value is not None]
    worst = max(finite)
    size = max(worst, -min(finite), 1e-300)  # differences of huge values would not be finite
    weights = [0.0 if value is None else worst / size - value / size for value in values]
    if not sum(weights):
        weights = [float(value is not None) for value in values]
    total = sum(weights)
    return [weight / total for weight in weights]


def stages(decisions: Sequence[Decision]) -> list[list[int]]:
    """Return the numbers of the decisions of each stage.

    Example:
        >>> stages(CellSpace(3, ["a"], on="nodes").decisions)  # of the inner node, of the output
        [[0, 1], [2, 3]]
    """
    found: dict[str, list[int]] = {}
    for i, decision in enumerate(decisions):
        number = re.search(r"\d+$", decision.name)
        found.setdefault(number.group() if number else decision.name, []).append(i)
    return list(found.values())
