"""The ask/tell contract of every optimiser."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Fidelity, Trial

if TYPE_CHECKING:
    from graphbo.evaluators.base import Evaluator

Known = Mapping[str, Callable[[Design], float]]
"""Objectives and facts that are computed of a design, by name; NaN where there is none."""
Prior = Callable[[Sequence[Architecture]], Any]
"""A prediction made in advance, from ``n`` architectures to ``n`` values; see `GraphSurrogate`."""


class Optimizer(ABC):
    """Proposes designs and learns from their results; lower values are better.

    What an optimiser proposes is a function of its space, settings, seed and history: the ordered
    log of what it proposed and was told. The k-th ask draws its randomness from ``(seed, k)``, so
    that feeding the same log to a new optimiser (see `replay`) makes it go on as the old one would.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        settings: What else determines the proposals, as JSON values; a study records it.

    Raises:
        InputError: If the space has hyperparameters that it cannot choose.

    Attributes:
        told: The trials that it was told, in order, failed ones included.
        pending: The designs that it proposed and has not been told about, in order.
        memory: What it would have to train again if it were lost, as JSON values; a study stores it
            with each ask and puts it back when it is resumed.
        goals: What it pursues beyond the lowest value; None if there is nothing.
        known: What of these goals can be computed of a design.
    """

    name: str
    """What the command line calls it."""
    multi_fidelity: ClassVar[bool] = False
    """Whether it decides how thoroughly designs are evaluated; see `MultiFidelityOptimizer`."""
    trains: ClassVar[bool] = False
    """Whether it trains networks when asked; a study then counts what that takes as cost."""
    multi_objective: ClassVar[bool] = False
    """Whether it looks for the Pareto front of several objectives."""
    constrained: ClassVar[bool] = False
    """Whether it is told real values and keeps the constraints itself; see `pursue`."""
    hyperparameters: ClassVar[bool] = True
    """Whether it can choose hyperparameters beside the architecture; see `JointSpace`."""

    def __init__(self, space: SearchSpace, *, seed: int = 0, **settings: object) -> None:
        if space.hyperparameters is not None and not self.hyperparameters:
            raise InputError(
                f"{self.name} searches architectures, and the space {space.name} has "
                "hyperparameters, too; take another optimiser, such as graph-bo, smac or tpe"
            )
        self.space = space
        self.seed = seed
        self.settings = settings
        self.told: list[Trial] = []
        self.pending: list[Design] = []
        self.memory: dict[str, Any] = {}
        self.goals: Goals | None = None
        self.known: Known = {}
        self._seen: set[Design] = set()
        self._told: set[object] = set()
        self._asks = 0

    @abstractmethod
    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        """Return up to n distinct designs, none of them in `seen`; fewer if the space ends."""

    @property
    def seen(self) -> frozenset[Design] | set[Design]:
        """The designs proposed so far, pending and told; not to be changed."""
        return self._seen

    @property
    def completed(self) -> list[Trial]:
        """The trials with a finite value, in the order in which they were told."""
        return [trial for trial in self.told if trial.value is not None]

    @property
    def best(self) -> Trial | None:
        """The completed trial with the lowest value, the earliest of equals; None if none is.

        Under constraints that it keeps itself, one that breaks them comes behind all others.
        """
        return min(self.completed, key=self._order, default=None)

    def ask(self, n: int = 1) -> list[Design]:
        """Propose designs to evaluate, each as thoroughly as its fidelity says if it has one.

        Args:
            n: How many.

        Returns:
            Up to ``n`` designs, none proposed before; fewer, or none, when the space is exhausted.

        Raises:
            ValueError: If n is less than 1.
        """
        if n < 1:
            raise ValueError(f"the number of designs to ask for must be at least 1; got {n}")
        rng = np.random.default_rng([self.seed, self._asks])
        designs = list(self._propose(n, rng))
        self._record_ask(designs)
        return designs

    def tell(self, trials: Trial | Iterable[Trial]) -> None:
        """Take results.

        Args:
            trials: Finished trials, in the order in which they finished. A trial without a value,
                or with one that is not finite, counts as failed. A design that was never proposed
                is welcome, as prior knowledge. Without a fidelity, a trial has that of its design.

        Raises:
            ValueError: If a design was told before.
        """
        for trial in [trials] if isinstance(trials, Trial) else trials:
            if trial.design.fidelity and not trial.fidelity:
                trial = replace(trial, fidelity=trial.design.fidelity)
            if self._key(trial) in self._told:
                beside = trial.design.hyperparameters
                chosen = f" with {dict(beside)}" if beside else ""
                raise ValueError(f"{trial.design.architecture!r}{chosen} was told before")
            if trial.value is not None and not math.isfinite(trial.value):
                error = f"the value {trial.value} is not finite"
                trial = replace(trial, value=None, error=error)
            if trial.value is not None and self.goals is not None:
                lacking = self.goals.missing(trial)
                if lacking is not None:
                    trial = replace(trial, value=None, error=lacking)
            self.pending = [design for design in self.pending if design != trial.design]
            self._seen.add(trial.design)
            self._told.add(self._key(trial))
            self.told.append(trial)
            self._record_tell(trial)

    def warm_up(self) -> None:  # noqa: B027 (most have nothing to do)
        """Do in advance what later asks need whatever the results are.

        A study with workers calls this while the first designs are evaluated, and may tell results
        meanwhile. What is proposed does not depend on it.
        """

    def check_problem(self, problem: str, fidelity: Fidelity) -> None:  # noqa: B027 (allows all)
        """Refuse a problem that the optimiser must not be used on; a study asks once.

        Args:
            problem: The name of the problem.
            fidelity: How thoroughly its designs are evaluated.

        Raises:
            InputError: If it must not be used.
        """

    def attach(self, evaluator: Evaluator, fidelity: Fidelity) -> None:  # noqa: B027 (most ignore it)
        """Look at what evaluates the designs; a study calls this once, before it asks.

        Args:
            evaluator: It may have data that the optimiser needs.
            fidelity: How thoroughly designs are evaluated.

        Raises:
            InputError: If it lacks what the optimiser needs.
        """

    def pursue(self, goals: Goals, known: Known | None = None) -> None:
        """Learn what the search is for; a study calls this once, before it asks.

        Unless this is called, an optimiser looks for the lowest value. One that is not
        `constrained` still does: it is told a value that ranks what breaks the constraints behind
        everything else.

        Args:
            goals: The objectives and constraints.
            known: What of these can be computed of a design.

        Raises:
            InputError: If there are several objectives, and it is not `multi_objective`.
        """
        if len(goals.objectives) > 1 and not self.multi_objective:
            raise InputError(
                f"{self.name} minimises one objective; got {', '.join(goals.objectives)}; take one "
                "that looks for a front, such as graph-ehvi, nsga2, parego or random"
            )
        if goals.plain or (len(goals.objectives) == 1 and not self.constrained):
            return
        self.goals = goals
        computed = known or {}
        self.known = {name: computed[name] for name in goals.names if name in computed}

    def expect(self, designs: Sequence[Design]) -> list[Design]:
        """Learn which designs it is going to be told without having proposed them.

        They are pending until then, and it proposes none of them. A study calls this at most once,
        before anything else is asked, told or replayed.

        Args:
            designs: Distinct designs.

        Returns:
            The same designs, to be evaluated as thoroughly as their fidelity says if they have one.
        """
        self.pending.extend(designs)
        self._seen.update(designs)
        return list(designs)

    def replay(self, log: Iterable[Sequence[Design] | Trial]) -> None:
        """Take over a log in place of asking and telling.

        Args:
            log: For each past ask the designs that it returned, and each told trial, in order.
        """
        for entry in log:
            if isinstance(entry, Trial):
                self.tell(entry)
            else:
                self._record_ask(entry)

    def _order(self, trial: Trial) -> tuple[float, float]:
        """Return what completed trials are sorted by: the less violation, then the lower value."""
        assert trial.value is not None
        return (0.0 if self.goals is None else self.goals.violation(trial)), trial.value

    def _record_tell(self, trial: Trial) -> None:  # noqa: B027 (most have nothing to add)
        """Take note of a trial that was told; a subclass may keep a state of its own."""

    def _key(self, trial: Trial) -> object:
        """Return what can be told once."""
        return trial.design

    def _record_ask(self, designs: Sequence[Design]) -> None:
        self._asks += 1
        self.pending.extend(designs)
        self._seen.update(designs)

    def _sample_unseen(
        self, n: int, rng: np.random.Generator, taken: Iterable[Design] = (), origin: str = "random"
    ) -> list[Design]:
        """Draw designs that are neither seen nor taken; fewer than n if the space ends."""
        exclude = self._seen | set(taken)
        chosen: list[Design] = []
        for _ in range(100 * n):
            if len(chosen) == n:
                return chosen
            design = self.space.sample(rng)
            if design not in exclude:
                exclude.add(design)
                chosen.append(design.described(origin))
        if len(chosen) < n:
            left = [design for design in self.space.listed() if design not in exclude]
            picks = rng.permutation(len(left))[: n - len(chosen)]
            chosen += [left[int(i)].described(origin) for i in picks]
        return chosen
