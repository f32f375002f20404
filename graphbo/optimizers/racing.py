"""Races among designs: the best of each rung climb to the next."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice

import numpy as np

from graphbo.optimizers.multi_fidelity import MultiFidelityOptimizer
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial


@dataclass
class Bracket:
    """One race: many designs start at its first rung, and the best of each climb on.

    Attributes:
        first: The rung at which it starts.
        sizes: How many designs each rung takes, from the first on.
        asked: The designs proposed at each rung, in order.
        values: What is known of them: a value, or infinity for a failure.
    """

    first: int
    sizes: Sequence[int]
    asked: list[list[Design]] = field(default_factory=list)
    values: list[dict[Design, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asked = [[] for _ in self.sizes]
        self.values = [{} for _ in self.sizes]

    @classmethod
    def halving(cls, rungs: Sequence[int], first: int, size: int) -> Bracket:
        """Return a race of a size, the rungs of which cost about the same."""
        ratios = [rungs[first] / epochs for epochs in rungs[first:]]
        return cls(first, [max(int(size * ratio + 1e-9), 1) for ratio in ratios])

    def open_slots(self, exhausted: bool) -> Iterator[tuple[int, Design | None]]:
        """Yield what it waits for: a level, and the design that climbs, or None for a new one.

        Args:
            exhausted: Whether there are no new designs, so that the first rung is complete.
        """
        started = len(self.asked[0])
        if not exhausted:
            yield from ((0, None) for _ in range(started, self.sizes[0]))
        for level in range(1, len(self.sizes)):
            below = self.asked[level - 1]
            complete = len(self.values[level - 1]) == len(below)
            if not complete or (level == 1 and not exhausted and started < self.sizes[0]):
                return
            climbing = self.climbing(level)
            yield from ((level, design) for design in climbing[len(self.asked[level]) :])
            if len(self.asked[level]) < len(climbing):
                return

    def finished(self, exhausted: bool) -> bool:
        """Whether it waits for nothing: no place is open, and no result is missing."""
        told = [len(each) for each in self.asked] == [len(each) for each in self.values]
        return told and next(self.open_slots(exhausted), None) is None

    def climbing(self, level: int) -> list[Design]:
        """Return the designs that climb to a level, once the one below is complete."""
        values = self.values[level - 1]
        ranked = sorted(
            (d for d in self.asked[level - 1] if math.isfinite(values[d])),
            key=lambda design: values[design],
        )
        return ranked[: self.sizes[level]]


class Racing(MultiFidelityOptimizer):
    """Runs one race after another; where a rung waits for results, the next race begins.

    So no worker idles. A subclass says how large races are, and may choose what they start with,
    or end them and go on in its own way.

    Args: those of `MultiFidelityOptimizer`.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        epochs: Sequence[int] = (),
        eta: float = 3.0,
        min_epochs: int | None = None,
        **settings: object,
    ) -> None:
        super().__init__(
            space, seed=seed, epochs=epochs, eta=eta, min_epochs=min_epochs, **settings
        )
        self._brackets: list[Bracket] = []
        self._over = 0  # so many of them, the first ones, wait for nothing
        self._where: dict[tuple[Design, float], tuple[Bracket, int]] = {}

    @abstractmethod
    def _first_and_size(self, index: int) -> tuple[int, int] | None:
        """Return the rung at which a race starts, and with how many designs; None to have none."""

    def _start(
        self, rung: int, rng: np.random.Generator, taken: Sequence[Design]
    ) -> Sequence[Design]:
        """Return a design that a race starts with at a rung, none if there is none."""
        return self._sample_unseen(1, rng, taken)

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        chosen: list[Design] = []
        for bracket, level, design in self._slots(n):
            if design is None:
                design = next(iter(self._start(bracket.first, rng, chosen)), None)
                if design is None:
                    break
            chosen.append(self._asked(design, bracket.first + level))
        return chosen

    def _slots(self, n: int) -> list[tuple[Bracket, int, Design | None]]:
        """Return the next n places to fill: a race, a level of it, and who climbs there."""
        return list(islice(self._all_slots(), n))

    @cached_property
    def _everything(self) -> int | None:
        """How many designs there are, None if there is no end to them."""
        if self.space.enumerable:
            return self.space.size
        return sum(1 for _ in self.space.listed()) or None

    def _all_slots(self) -> Iterator[tuple[Bracket, int, Design | None]]:
        exhausted = self._everything is not None and len(self._seen) >= self._everything
        busy = set(self.pending)
        while self._over < len(self._brackets) and self._brackets[self._over].finished(exhausted):
            self._over += 1
        for index in count(self._over):
            if index == len(self._brackets):
                if exhausted or (planned := self._first_and_size(index)) is None:
                    return
                self._brackets.append(Bracket.halving(self.rungs, *planned))
            bracket = self._brackets[index]
            for level, design in bracket.open_slots(exhausted):
                if design is None or design not in busy:
                    yield bracket, level, design

    def _record_ask(self, designs: Sequence[Design]) -> None:
        # What is asked beyond the places of races is not in one.
        for (bracket, level, _), design in zip(self._slots(len(designs)), designs, strict=False):
            bracket.asked[level].append(design)
            epochs = float(self.rungs[bracket.first + level])
            self._where[design, epochs] = bracket, level
        super()._record_ask(designs)

    def _record_tell(self, trial: Trial) -> None:
        where = self._where.get((trial.design, trial.epochs))
        if where is not None:
            bracket, level = where
            value = math.inf if trial.value is None else trial.value
            bracket.values[level][trial.design] = value
