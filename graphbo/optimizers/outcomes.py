"""What a search expects of designs besides the lowest value: other objectives, and constraints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from gpytorch.kernels import Kernel
from torch import Tensor

from graphbo.goals import Constraint, Goals
from graphbo.optimizers.base import Known
from graphbo.spaces.base import Design, SearchSpace
from graphbo.surrogates import GraphSurrogate, KernelFactory, ModelFactory
from graphbo.trial import Trial

_LOOKED_AT = 64
_BROKEN = 1e6  # the logarithm of a probability of nought, per unit of violation


class Outcomes:
    """One surrogate for each outcome that must be measured; the known ones are computed.

    Args:
        space: The search space.
        kernels: The kernels of the surrogates; see `GraphSurrogate`.
        goals: What the search is for.
        known: What can be computed of a design.
        names: The outcomes to model.
        fitted: The surrogates of outcomes that somebody else fits.

    Attributes:
        surrogates: The surrogate of each outcome that is not known, by name.
    """

    def __init__(
        self,
        space: SearchSpace,
        kernels: Sequence[Kernel | KernelFactory | ModelFactory],
        goals: Goals,
        known: Known,
        names: Sequence[str],
        fitted: Mapping[str, GraphSurrogate],
    ) -> None:
        self.goals = goals
        self.known = known
        self.surrogates = {
            name: fitted[name] if name in fitted else GraphSurrogate(space, kernels)
            for name in names
            if name not in known
        }
        self._own = [name for name in self.surrogates if name not in fitted]
        self._computed: dict[str, dict[Design, float]] = {name: {} for name in known}
        self._last: dict[str, tuple[Sequence[Design], npt.NDArray[np.float64]]] = {}

    def observe(self, trials: Sequence[Trial], fit_on: int, *, refit: bool) -> None:
        """Take the results of completed trials.

        Args:
            trials: The trials.
            fit_on: On how many of them hyperparameters are fitted.
            refit: Whether to fit them now.
        """
        designs = [trial.design for trial in trials]
        for name in self._own:
            values = [trial.outcomes[name] for trial in trials]
            if refit:
                self.surrogates[name].fit(designs, values, fit_on)
            else:
                self.surrogates[name].condition(designs, values)

    def computed(self, name: str, designs: Sequence[Design]) -> npt.NDArray[np.float64]:
        """Return a known outcome of designs, ``n`` values; NaN where there is none."""
        if name in self._last and self._last[name][0] is designs:
            return self._last[name][1]
        memory, compute = self._computed[name], self.known[name]
        for design in designs:
            if design not in memory:
                memory[design] = compute(design)
        values = np.array([memory[design] for design in designs], dtype=np.float64)
        if isinstance(designs, tuple):
            self._last[name] = designs, values  # an enumerated space is asked for again and again
        return values

    def log_feasibility(self, designs: Sequence[Design]) -> Tensor:
        """Return the logarithm of the probability that designs keep all constraints, `n`.

        The outcomes count as independent. What breaks a known constraint is ranked by how much it
        does, behind everything that may keep them all.
        """
        return self.log_probability(designs) + self.log_certainty(designs)

    def log_probability(self, designs: Sequence[Design]) -> Tensor:
        """Return the logarithm of the probability that designs keep what is learnt, `n`."""
        total = torch.zeros(len(designs), dtype=torch.float64)
        for constraint in self.goals.constraints:
            if constraint.name not in self.known:
                total += self._probable(constraint, designs)
        return total

    def is_certain(self, pool: Sequence[Design]) -> bool:
        """Whether all known constraints, if there are any, have been computed of a whole pool."""
        names = [each.name for each in self.goals.constraints if each.name in self.known]
        return all(name in self._last and self._last[name][0] is pool for name in names)

    def best_that_keeps(
        self,
        pool: Sequence[Design],
        blocked: npt.NDArray[np.bool_],
        scorer: Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.float64]],
    ) -> npt.NDArray[np.float64] | None:
        """Return scores whose best keeps all known constraints, of which few need be computed.

        To compute what a network costs takes a moment, and a space has thousands of them. What
        scores best is looked at first, and scored again without those that break a constraint.

        Args:
            pool: The designs.
            blocked: Which of them cannot be chosen, ``n``.
            scorer: Gives the designs scores for which known constraints do not count, told what
                is blocked; only the best of the others need be right.

        Returns:
            The scores, ``n``, minus infinity where a design is blocked or was found to break a
            constraint; None if nothing keeps them.
        """
        gone, some = blocked | self._known_to_break(pool), _LOOKED_AT
        while not gone.all():
            scores = np.where(gone, -np.inf, scorer(gone))
            # As they will be compared: the first of those that tie but for rounding errors.
            order = np.argsort(-np.round(scores, 9), kind="stable")[:some]
            order = order[~gone[order]]
            kept = self.log_certainty([pool[int(i)] for i in order]).numpy() == 0
            if kept[0]:
                return scores
            gone[order[~kept]] = True
            some *= 2
        return None

    def _known_to_break(self, pool: Sequence[Design]) -> npt.NDArray[np.bool_]:
        """Return which of a pool are known by now to break a constraint."""
        broken = np.zeros(len(pool), dtype=bool)
        for constraint in self.goals.constraints:
            if constraint.name in self.known:
                memory = self._computed[constraint.name]
                found = (memory.get(design) for design in pool)
                broken |= [v is not None and constraint.excess(v) != 0 for v in found]
        return broken

    def log_certainty(self, designs: Sequence[Design]) -> Tensor:
        """Return 0 where designs keep what is known, and far less where they do not, `n`."""
        total = torch.zeros(len(designs), dtype=torch.float64)
        for constraint in self.goals.constraints:
            if constraint.name in self.known:
                values = self.computed(constraint.name, designs)
                excess = np.array([constraint.excess(value) for value in values])
                broken = np.where(excess > 0, -_BROKEN * (1 + excess), 0.0)
                total += torch.from_numpy(np.where(np.isnan(values), -np.inf, broken))
        return total

    def _probable(self, constraint: Constraint, designs: Sequence[Design]) -> Tensor:
        surrogate = self.surrogates[constraint.name]
        bound = float(surrogate.transform.forward(np.array([constraint.bound]))[0])
        rows, sign = surrogate.rows(designs), 1.0 if constraint.upper else -1.0
        logs = []
        for model in surrogate.models:
            mean, variance = model.moments(rows)
            logs.append(torch.special.log_ndtr(sign * (bound - mean) / variance.sqrt()))
        return torch.stack(logs).logsumexp(0) - math.log(len(logs))
