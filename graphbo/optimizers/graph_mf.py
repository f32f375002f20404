"""Bayesian optimisation with graph kernels that chooses how long to train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphbo.acquisition.pool import candidates, greedily
from graphbo.errors import InputError
from graphbo.optimizers.graph_bo import last_refit
from graphbo.optimizers.racing import Racing
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

if TYPE_CHECKING:
    import torch

    from graphbo.surrogates import KernelFactory

_PARENTS = 20
_FEWEST = 2  # results from which on there is a model


class GraphMF(Racing):
    """Graph kernels over architectures and epochs, and a choice of both.

    A search begins with one race of successive halving among random designs, so that the first full
    training, with which a search answers from then on, is not that of just any design, and the
    model sees each rung in relation to the one below. Then, and where the race waits for results,
    each proposal is the design with the largest expected improvement after a full training, among
    all that have not had one and are not in the race. It is trained as
    long as tells the most of that for its price: the rung, above those where it was seen, with the
    largest share of the variance at the highest rung that a result there would explain, over its
    epochs. Epochs that a checkpoint saves are free. So a short training is asked for until it has
    little to add, and not at all where the results so far say that it tells nothing.

    References: Kandasamy et al., "Multi-fidelity Bayesian optimisation with continuous
    approximations", ICML 2017, and Swersky et al., "Freeze-thaw Bayesian optimization",
    arXiv:1406.3896, for the two choices one after the other.

    Args:
        space: The search space.
        seed: The seed of all randomness.
        epochs: The numbers of epochs that the evaluator offers.
        eta: The factor between rungs.
        min_epochs: The fewest epochs of a rung.
        initial: How many random designs the race begins with, less what was known before; by
            default as many as let one of them reach a full training, as in `SuccessiveHalving`.
        kernels: Factories of the kernels on architectures; see `FidelitySurrogate`. A study records
            their names.

    Raises:
        InputError: If an argument is out of range, or there are not two numbers of epochs.
    """

    name = "graph-mf"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        epochs: Sequence[int] = (),
        eta: float = 3.0,
        min_epochs: int | None = None,
        initial: int | None = None,
        kernels: Sequence[KernelFactory] | None = None,
    ) -> None:
        from graphbo.surrogates import name_of
        from graphbo.surrogates.fidelity import FidelitySurrogate

        if initial is not None and initial < 1:
            raise InputError(f"at least 1 random design comes first; got initial={initial}")
        super().__init__(
            space,
            seed=seed,
            epochs=epochs,
            eta=eta,
            min_epochs=min_epochs,
            initial=initial,
            kernels=None if kernels is None else [name_of(kernel) for kernel in kernels],
        )
        self.initial = initial or math.ceil(self.rungs[-1] / self.rungs[0])
        self.surrogate = FidelitySurrogate(space, kernels)
        self._fitted_on = 0

    def _first_and_size(self, index: int) -> tuple[int, int] | None:
        """Return how the first race starts, None for others and where enough was known before."""
        if index > 0:  # asked again and again, so without a look at the results
            return None
        size = self.initial - len(self.completed)
        return (0, size) if size > 0 else None

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        chosen = list(super()._propose(n, rng))
        if len(chosen) == n or len(chosen) < len(self._slots(n)):  # all seen, so no race can start
            return chosen
        known = [(trial, rung) for trial in self.completed if (rung := self._at(trial)) is not None]
        if len(known) < _FEWEST:
            fresh = self._sample_unseen(n - len(chosen), rng, chosen)
            return chosen + [self._asked(design, 0) for design in fresh]
        self._fit(known)
        closed = self._closed() | set(chosen)
        pool = self._pool(closed, rng)
        waiting = [*self.pending, *chosen]
        chosen += greedily(
            pool,
            np.array([design in closed for design in pool], dtype=bool),
            n - len(chosen),
            lambda more, blocked: self._score(pool, [*waiting, *more], blocked),
            lambda design: self._asked(
                design.described(design.origin or self.name), self._rung(design)
            ),
        )
        if len(chosen) < n and not self.space.enumerable:  # the pool ends before the space
            fresh = self._sample_unseen(n - len(chosen), rng, chosen)
            chosen += [self._asked(design, 0) for design in fresh]
        return chosen

    def _closed(self) -> set[Design]:
        """Return what is trained fully, failed, being trained, or in a race."""
        done = {
            trial.design
            for trial in self.told
            if trial.value is None or trial.epochs >= self.rungs[-1]
        }
        racing = [design for race in self._brackets[self._over :] for design in race.asked[0]]
        return done | {*self.pending, *racing}

    def _pool(self, closed: set[Design], rng: np.random.Generator) -> Sequence[Design]:
        ranked = sorted(self.completed, key=lambda trial: (-trial.epochs, trial.value or 0.0))
        parents = list(dict.fromkeys(trial.design for trial in ranked))[:_PARENTS]
        pool = candidates(
            self.space, parents, self._seen, rng, lambda part: self._score(part, self.pending)
        )
        if self.space.enumerable:
            return pool
        waiting = dict.fromkeys(trial.design for trial in self.completed)
        pool = [*(d for d in waiting if d not in closed), *pool]
        if self.space.hyperparameters is None:
            return pool
        from graphbo.acquisition.ascent import with_ascents

        return with_ascents(
            self.space,
            pool,
            closed | self._seen,
            lambda part: self._score(part, self.pending),
            lambda designs: self.surrogate.rows(designs, len(self.rungs) - 1),
            self.surrogate.models,
            self._rows_of(self.pending),
            self._incumbents(),
        )

    def _at(self, trial: Trial) -> int | None:
        """Return the rung of a trial, None if it was told one at another number of epochs."""
        if trial.epochs >= self.rungs[-1]:
            return len(self.rungs) - 1
        return self.rungs.index(int(trial.epochs)) if trial.epochs in self.rungs else None

    def _fit(self, known: Sequence[tuple[Trial, int]]) -> None:
        designs = [trial.design for trial, _ in known]
        rungs = [rung for _, rung in known]
        values = [trial.value for trial, _ in known if trial.value is not None]
        fit_on = last_refit(len(known))
        if fit_on == self._fitted_on:
            self.surrogate.condition(designs, rungs, values)
        else:
            self.surrogate.fit(designs, rungs, values, fit_on)
            self._fitted_on = fit_on

    def _score(
        self,
        pool: Sequence[Design],
        pending: Sequence[Design],
        blocked: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return the expected improvement after a full training of each design of a pool.

        Told what is blocked, only the best of the others need be right.
        """
        import torch

        from graphbo.acquisition.expected_improvement import score

        rows = self.surrogate.rows(pool, len(self.rungs) - 1)
        values: npt.NDArray[np.float64] = score(
            self.surrogate.models,
            rows,
            "logei",
            self._rows_of(pending),
            self._incumbents(),
            blocked=None if blocked is None else torch.from_numpy(blocked),
            final=torch.tensor([self._is_full(design) for design in pending]),
        ).numpy()
        return values

    def _is_full(self, design: Design) -> bool:
        return (design.fidelity or {})["epochs"] >= self.rungs[-1]

    def _rows_of(self, pending: Sequence[Design]) -> torch.Tensor | None:
        """Return the rows of what is being trained, None if nothing is."""
        if not pending:
            return None
        epochs = [(design.fidelity or {})["epochs"] for design in pending]
        return self.surrogate.rows(pending, [self.rungs.index(int(each)) for each in epochs])

    def _incumbents(self) -> list[torch.Tensor]:
        """Return for each model the lowest target of a full training.

        Before there is one, the lowest that the model expects of what was trained less.
        """
        top = len(self.rungs) - 1
        found = []
        for model in self.surrogate.models:
            rows = model.train_inputs[0]
            full = rows[:, -1] == top
            if full.any():
                found.append(model.train_targets[full].min())
                continue
            risen = rows.clone()
            risen[:, -1] = top
            found.append(model.moments(risen)[0].min())
        return found

    def _rung(self, design: Design) -> int:
        """Return the rung at which a design tells the most for its price."""
        seen = [trial for trial in self.completed if trial.design == design]
        paid = [t.epochs for t in seen if t.evaluation and t.evaluation.checkpoint is not None]
        highest = max((trial.epochs for trial in seen), default=0.0)
        rungs = [rung for rung, epochs in enumerate(self.rungs) if epochs > highest]
        prices = np.array([self.rungs[rung] - max(paid, default=0.0) for rung in rungs])
        return rungs[int(np.argmax(self.surrogate.learned(design, rungs) / prices))]
