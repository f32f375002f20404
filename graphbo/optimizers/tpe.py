"""The tree-structured Parzen estimator of Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.errors import InputError
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.configured import Configurations
from graphbo.optimizers.wrapped import undisturbed
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

_MOST_TOLD, _BEST_TOLD = 1000, 50  # an ask takes as long as Optuna has been told trials
_IN_VAIN = 32  # proposals in a row that are nothing new, after which Optuna is left alone


class TPE(Optimizer):
    """Optuna's ``TPESampler`` on the ConfigSpace of a space.

    Configurations are drawn from a density of the good ones, and the one is taken at which this is
    largest in relation to the density of the others. A decision that exists only under a condition
    is suggested only where that is met.

    Optuna knows configurations, and not which of them are one architecture. It is told the value of
    a configuration whose architecture was evaluated as another one, and asked again, as it is for
    one that was proposed before or that encodes no architecture. After 32 in a row that are nothing
    new, a design is drawn at random, and its origin says so. A failed trial is told as one, from
    which Optuna learns nothing; one that is still evaluated counts as bad (the constant liar).

    Each ask begins with a study of what was told, and a sampler with a seed of its own, so that a
    search that is resumed goes on where it was. Of more than 1,000 results Optuna is told the best
    50 and the most recent of the others.

    Reference: Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011;
    Watanabe, "Tree-structured Parzen estimator: understanding its algorithm components and their
    roles for better empirical performance", 2023; Akiba et al., "Optuna", KDD 2019.

    Args:
        space: The search space, or a pool that is a part of one; see `Configurations`.
        seed: The seed of all randomness.
        initial: How many results come before the densities choose.
        candidates: How many configurations are drawn for each proposal.

    Raises:
        InputError: If no ConfigSpace describes the space, or a setting cannot be used.
        MissingExtraError: If Optuna is not installed.
    """

    name = "tpe"

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, initial: int = 10, candidates: int = 24
    ) -> None:
        from graphbo.spaces.define_by_run import distributions, require_optuna

        for setting, value in (("initial", initial), ("candidates", candidates)):
            if value < 1:
                raise InputError(f"{setting} of tpe must be at least 1; got {value}")
        super().__init__(space, seed=seed, initial=initial, candidates=candidates)
        require_optuna()
        self.configurations = Configurations(space, self.name)
        self.initial = initial
        self.candidates = candidates
        self._distributions = distributions(self.configurations.described.configuration_space)
        self._finished: list[FrozenTrial] = []

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        with undisturbed("optuna"):
            study = self._study(int(rng.integers(2**31)))
            known = {trial.design: trial.value for trial in self.told}
            chosen: list[Design] = []
            while len(chosen) < n:
                design = self._ask(study, known, chosen)
                if design is None:
                    break
                chosen.append(design)
        return chosen + self._sample_unseen(n - len(chosen), rng, chosen)

    def _ask(
        self,
        study: optuna.Study,
        known: Mapping[Design, float | None],
        chosen: Sequence[Design],
    ) -> Design | None:
        """Return a design that is neither seen nor chosen; None if Optuna finds none."""
        from optuna.trial import TrialState

        from graphbo.spaces.define_by_run import is_forbidden, suggest_configuration

        space = self.configurations.described.configuration_space
        taken = set(chosen)
        rows = {tuple(trial.params.items()) for trial in self._finished}
        origin = "tpe" if len(self.completed) >= self.initial else "initial"
        for _ in range(_IN_VAIN):
            trial = study.ask()
            values = suggest_configuration(trial, space)
            design = None
            if not is_forbidden(space, values):
                design = self.configurations.from_configuration(values, origin)
            if design is not None and design not in self._seen | taken:
                return design
            value = None if design is None else known.get(design)
            row = tuple(trial.params.items())
            if value is None or row in rows:
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, value)
                rows.add(row)
        return None

    def _study(self, seed: int) -> optuna.Study:
        """Return a study of what was told and what is pending."""
        import optuna

        sampler = optuna.samplers.TPESampler(
            n_startup_trials=self.initial, n_ei_candidates=self.candidates, seed=seed
        )
        study = optuna.create_study(sampler=sampler)
        self._finished += [self._frozen(trial) for trial in self.told[len(self._finished) :]]
        study.add_trials([*self._remembered(), *(self._frozen(Trial(d)) for d in self.pending)])
        return study

    def _remembered(self) -> list[FrozenTrial]:
        """Return what Optuna is told of: all, or the best and the most recent of the others.

        The density of the good configurations is then that of all; Optuna takes 25 at most.
        """
        told = self._finished
        if len(told) <= _MOST_TOLD:
            return told
        ranked = sorted((t.value, i) for i, t in enumerate(told) if t.value is not None)
        kept = {i for _, i in ranked[:_BEST_TOLD]}
        recent = (i for i in reversed(range(len(told))) if i not in kept)
        kept |= set(islice(recent, _MOST_TOLD - len(kept)))
        return [told[i] for i in sorted(kept)]

    def _frozen(self, trial: Trial) -> FrozenTrial:
        from optuna.trial import TrialState, create_trial

        from graphbo.spaces.define_by_run import parameters

        space = self.configurations.described.configuration_space
        values: dict[str, Any] = dict(self.configurations.to_configuration(trial.design))
        params = parameters(space, {name: values[name] for name in space if name in values})
        states = {
            "completed": TrialState.COMPLETE,
            "failed": TrialState.FAIL,
            "running": TrialState.RUNNING,
        }
        return create_trial(
            state=states[trial.state],
            value=trial.value,
            params=params,
            distributions={name: self._distributions[name] for name in params},
        )
