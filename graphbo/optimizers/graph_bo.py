"""Bayesian optimisation with graph kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphbo.acquisition.pool import candidates, greedily
from graphbo.errors import InputError
from graphbo.goals import Goals
from graphbo.optimizers.base import Known, Optimizer
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

if TYPE_CHECKING:
    import torch
    from gpytorch.kernels import Kernel

    from graphbo.kernels import Embedding
    from graphbo.optimizers.outcomes import Outcomes
    from graphbo.surrogates import GraphSurrogate, KernelFactory, ModelFactory

_PARENTS = 20


class PoolSearch(Optimizer):
    """Scores a pool of unseen candidates and proposes those with the highest score.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        initial: How many random designs come first.

    Attributes:
        fewest: The number of results from which on candidates are scored.
    """

    fewest = 2

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, initial: int = 5, **settings: object
    ) -> None:
        if initial < 1:
            raise InputError(f"at least 1 random design comes first; got initial={initial}")
        super().__init__(space, seed=seed, initial=initial, **settings)
        self.initial = initial
        self._known: tuple[Sequence[Design], dict[Design, int]] = (), {}

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        proposed = len(self.completed) + len(self.pending)
        first = self._without_model(min(n, max(self.initial - proposed, 0)), rng, (), "initial")
        if len(first) == n:
            return first
        if len(self.completed) < self.fewest:
            return first + self._without_model(n - len(first), rng, first, "random")
        self._prepare(rng)
        chosen = list(first)
        exclude = self._seen | set(chosen)
        pool = self._pool(exclude, chosen, rng)
        blocked = np.zeros(len(pool), dtype=bool)
        blocked[self._positions(pool, exclude)] = True
        waiting = [*self.pending, *chosen]
        chosen += greedily(
            pool,
            blocked,
            n - len(chosen),
            lambda more, blocked: self._score(pool, [*waiting, *more], rng, blocked),
            lambda design: design.described(design.origin or self.name),
        )
        if len(chosen) < n and not self.space.enumerable:  # the pool ends before the space
            chosen += self._sample_unseen(n - len(chosen), rng, chosen)
        return chosen

    def _without_model(
        self, n: int, rng: np.random.Generator, taken: Sequence[Design], origin: str
    ) -> list[Design]:
        """Return up to n unseen designs while there are too few results to score candidates."""
        return self._sample_unseen(n, rng, taken, origin)

    def _positions(self, pool: Sequence[Design], designs: Iterable[Design]) -> list[int]:
        """Return where designs stand in a pool, of those that do."""
        known, positions = self._known
        if pool is not known:
            positions = {design: i for i, design in enumerate(pool)}
            if isinstance(pool, tuple):
                self._known = pool, positions  # an enumerated space is asked for again and again
        return [positions[each] for each in designs if each in positions]

    def _pool(
        self, exclude: set[Design], chosen: Sequence[Design], rng: np.random.Generator
    ) -> Sequence[Design]:
        parents = [trial.design for trial in self._ranked()[:_PARENTS]]
        waiting = [*self.pending, *chosen]
        return candidates(
            self.space, parents, exclude, rng, lambda pool: self._estimate(pool, waiting, rng)
        )

    def _ranked(self) -> list[Trial]:
        """Return the completed trials, the best first."""
        return sorted(self.completed, key=self._order)

    def _prepare(self, rng: np.random.Generator) -> None:
        """Get ready to score, once for each ask."""

    def _score(
        self,
        pool: Sequence[Design],
        pending: Sequence[Design],
        rng: np.random.Generator,
        blocked: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return scores; told what is blocked, only the best of the others need be right."""
        raise NotImplementedError

    def _estimate(
        self, pool: Sequence[Design], pending: Sequence[Design], rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Return scores for the evolution of a pool, which may be rougher than `_score`."""
        return self._score(pool, pending, rng)


class RandomRanking(PoolSearch):
    """The loop of `GraphBO` on the same pool of candidates, ranked at random.

    The ablation that tells what the surrogate adds to the pool; see White et al., "BANANAS", AAAI
    2021, and "mutation is all you need" (Schneider et al., 2021).
    """

    name = "random-ranking"

    def _score(
        self,
        pool: Sequence[Design],
        pending: Sequence[Design],
        rng: np.random.Generator,
        blocked: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[np.float64]:
        return rng.random(len(pool))


class GraphBO(PoolSearch):
    """Gaussian processes with structured kernels, and expected improvement.

    After some random designs, or with a prior the one that it ranks first, each proposal has the
    largest expected improvement under a `GraphSurrogate` among all unseen architectures of a space
    that can be enumerated, or in an evolving pool of a larger one. A batch is filled greedily: each
    design of it, and each one still being evaluated, counts as pending for the next.

    Hyperparameters are fitted anew at every proposal up to 20 observations, then each time the
    observations have grown by a tenth.

    Under constraints, the expected improvement on the best feasible design is multiplied by the
    probability of keeping them; before there is a feasible design, it is this probability alone.
    What can be computed of a design keeps a constraint or does not; of what must be measured a
    surrogate of its own gives the probability.

    Reference for the constraints: Gardner et al., "Bayesian optimization with inequality
    constraints", ICML 2014.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        initial: How many designs come before the surrogate chooses: by default 5 random ones, or
            the one that the prior ranks first, of the pool.
        kernels: The kernels of the surrogate, or makers of its models; see `GraphSurrogate`. A
            study records their names.
        prior: A prediction made in advance, from architectures to values; see `GraphSurrogate`.
            A study records its name, its attribute ``name`` if it has one: so give different
            predictors different names.
        acquisition: One of ``graphbo.acquisition.ACQUISITIONS``.
    """

    name = "graph-bo"
    constrained = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int | None = None,
        kernels: Sequence[Kernel | KernelFactory | ModelFactory] | None = None,
        prior: Embedding | None = None,
        acquisition: str = "logei",
    ) -> None:
        from graphbo.acquisition.expected_improvement import ACQUISITIONS
        from graphbo.surrogates import GraphSurrogate, default_kernels, frozen, name_of

        if initial is None:
            initial = 5 if prior is None else 1
        names = None if kernels is None else [name_of(kernel) for kernel in kernels]
        # Only if there is one: studies of before there were any go on.
        extra = {} if prior is None else {"prior": name_of(frozen(prior))}
        super().__init__(
            space, seed=seed, initial=initial, kernels=names, acquisition=acquisition, **extra
        )
        if acquisition not in ACQUISITIONS:
            raise InputError(f"the acquisition is one of {ACQUISITIONS}; got {acquisition!r}")
        self.acquisition = acquisition
        self._kernels = default_kernels(space) if kernels is None else kernels
        self.surrogate: GraphSurrogate = GraphSurrogate(space, self._kernels, prior)
        self._outcomes: Outcomes | None = None
        self._fitted_on = 0
        self._scored: tuple[Sequence[Design], torch.Tensor] | None = None
        if self.surrogate.has_prior:
            self.fewest = 1

    def pursue(self, goals: Goals, known: Known | None = None) -> None:
        """Learn what the search is for.

        Raises:
            InputError: If there are several objectives, or constraints and another acquisition
                than ``"logei"``.
        """
        from graphbo.optimizers.outcomes import Outcomes

        super().pursue(goals, known)
        if self.goals is None:
            return
        if self.acquisition != "logei":
            raise InputError(
                f"{self.name} keeps constraints with the acquisition logei; got {self.acquisition}"
            )
        names, fitted = self._to_model(goals)
        self._outcomes = Outcomes(self.space, self._kernels, goals, self.known, names, fitted)

    def _to_model(self, goals: Goals) -> tuple[Sequence[str], dict[str, GraphSurrogate]]:
        """Return which outcomes are needed, and the surrogates of those that are fitted here."""
        bounded = dict.fromkeys(constraint.name for constraint in goals.constraints)
        return list(bounded), {goals.objectives[0]: self.surrogate}

    def _without_model(
        self, n: int, rng: np.random.Generator, taken: Sequence[Design], origin: str
    ) -> list[Design]:
        """Return unseen designs, those that the prior ranks first if there is one."""
        if not self.surrogate.has_prior or n == 0:
            return super()._without_model(n, rng, taken, origin)
        exclude = self._seen | set(taken)
        pool = candidates(
            self.space, [], exclude, rng, lambda pool: -self.surrogate.prior_scores(pool)
        )
        order = np.argsort(self.surrogate.prior_scores(pool), kind="stable")
        best = (pool[int(i)] for i in order if pool[int(i)] not in exclude)
        chosen = [design.described("prior") for design in islice(best, n)]
        if len(chosen) < n and not self.space.enumerable:  # the pool ends before the space
            chosen += self._sample_unseen(n - len(chosen), rng, [*taken, *chosen], origin)
        return chosen

    def _pool(
        self, exclude: set[Design], chosen: Sequence[Design], rng: np.random.Generator
    ) -> Sequence[Design]:
        pool = super()._pool(exclude, chosen, rng)
        beside = self.space.hyperparameters is not None
        if not beside or self.space.enumerable or not self.surrogate.models:
            return pool
        from graphbo.acquisition.ascent import with_ascents

        waiting = [*self.pending, *chosen]
        return with_ascents(
            self.space,
            pool,
            exclude,
            lambda part: self._score(part, waiting, rng),
            self.surrogate.rows,
            self.surrogate.models,
            self.surrogate.rows(waiting) if waiting else None,
            self._incumbents(),
        )

    def warm_up(self) -> None:
        """Enumerate the space if that can be, and look at its features."""
        rng = np.random.default_rng(0)
        whole = self.space.enumerable
        self.surrogate.warm_up(
            self.space.enumerate() if whole else [self.space.sample(rng) for _ in range(_PARENTS)]
        )

    def _prepare(self, rng: np.random.Generator) -> None:
        self._scored = None
        completed = self.completed
        designs = [trial.design for trial in completed]
        values = self._values(completed, rng)
        fit_on = last_refit(len(completed))
        if fit_on == self._fitted_on:
            self.surrogate.condition(designs, values)
        else:
            self.surrogate.fit(designs, values, fit_on)
        if self._outcomes is not None:
            self._outcomes.observe(completed, fit_on, refit=fit_on != self._fitted_on)
        self._fitted_on = fit_on

    def _values(self, trials: Sequence[Trial], rng: np.random.Generator) -> Sequence[float]:
        """Return what the surrogate is fitted to, one value for each completed trial."""
        return [trial.value for trial in trials if trial.value is not None]

    def _incumbents(self) -> list[torch.Tensor] | None:
        """Return for each model the lowest target that keeps the constraints.

        None without constraints, and while nothing keeps them.
        """
        if self.goals is None:
            return None
        kept = [i for i, trial in enumerate(self.completed) if self.goals.feasible(trial)]
        if not kept:
            return None
        return [model.train_targets[kept].min() for model in self.surrogate.models]

    def _score(
        self,
        pool: Sequence[Design],
        pending: Sequence[Design],
        rng: np.random.Generator,
        blocked: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[np.float64]:
        if self._outcomes is None:
            return self._improvement(pool, pending, blocked)
        outcomes, weights = self._outcomes, self._outcomes.log_probability(pool)
        if blocked is not None and not outcomes.is_certain(pool):
            found = outcomes.best_that_keeps(
                pool, blocked, lambda gone: self._improvement(pool, pending, gone, weights)
            )
            if found is not None:
                return found
            self._scored = None  # its bounds do not know of known constraints
        certain = outcomes.log_certainty(pool)
        return self._improvement(pool, pending, blocked, weights + certain)

    def _improvement(
        self,
        pool: Sequence[Design],
        pending: Sequence[Design],
        blocked: npt.NDArray[np.bool_] | None,
        weights: torch.Tensor | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return the acquisition function of a pool, plus weights; these alone if nothing is kept.

        Args:
            pool: The designs.
            pending: Designs being evaluated.
            blocked: See `_score`.
            weights: Logarithms of the probability of feasibility, if there are constraints.
        """
        import torch

        from graphbo.acquisition.expected_improvement import score

        best = self._incumbents()
        if weights is not None and best is None:
            alone: npt.NDArray[np.float64] = weights.numpy()
            return alone
        waiting: torch.Tensor | None = self.surrogate.rows(pending) if pending else None
        rows = self.surrogate.rows(pool)
        # The same pool is scored for each design of a batch; those before it gain it nothing.
        last = self._scored
        values = score(
            self.surrogate.models,
            rows,
            self.acquisition,
            waiting,
            best,
            bounds=last[1] if last is not None and last[0] is pool else None,
            log_weights=weights,
            blocked=None if blocked is None else torch.from_numpy(blocked),
        )
        self._scored = pool, values
        result: npt.NDArray[np.float64] = values.numpy()
        return result


def last_refit(n: int) -> int:
    """Return the number of observations at which the hyperparameters in use at n were fitted.

    Each fit serves until the observations have grown by a tenth.
    """
    fitted = min(n, 20)
    while fitted + max(fitted // 10, 1) <= n:
        fitted += max(fitted // 10, 1)
    return fitted
