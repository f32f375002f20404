"""The optimisers of graphbo as an Optuna sampler.

Example:
    >>> space = graphbo.NASBench201Space()
    >>> def objective(trial):
    ...     cell = suggest(trial, space).architecture
    ...     rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    ...     return error_of(cell, rate)
    >>> optuna.create_study(sampler=GraphSampler(space)).optimize(objective, n_trials=50)
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.errors import InputError, MissingExtraError
from graphbo.optimizers import Optimizer, make_optimizer
from graphbo.spaces.base import Design, SearchSpace
from graphbo.spaces.define_by_run import (
    distributions,
    is_forbidden,
    parameters,
    suggest_configuration,
)
from graphbo.spaces.joint import JointSpace
from graphbo.trial import Trial

try:
    from optuna.distributions import BaseDistribution, IntDistribution
    from optuna.exceptions import TrialPruned
    from optuna.samplers import BaseSampler, TPESampler
    from optuna.trial import BaseTrial, FixedTrial, FrozenTrial, TrialState
except ImportError as error:
    raise MissingExtraError("optuna", "optuna") from error

if TYPE_CHECKING:
    import optuna
    from ConfigSpace import ConfigurationSpace

_MEMBER = "architecture"  # the one parameter of a pool
_ROW, _BESIDE = "graphbo:row", "graphbo:hyperparameters"


def suggest(trial: BaseTrial, space: SearchSpace, prefix: str = "") -> Design:
    """Suggest an architecture of a space, whatever the sampler.

    Each active decision is a parameter of the trial: its choice, or where the choices have an order
    the place in it. A pool has one parameter, the number of the member; hyperparameters that are
    chosen beside it have one each.

    Args:
        trial: The trial of an objective.
        space: The search space.
        prefix: What stands before the names of the parameters, if there are other spaces.

    Returns:
        The design; ``suggest(trial, space).architecture`` is the network.

    Raises:
        optuna.TrialPruned: If the parameters encode no architecture, which `GraphSampler` never
            suggests.
    """
    design = _suggested(trial, space, prefix)
    if design is None:
        raise TrialPruned(f"the parameters encode no architecture of the space {space.name}")
    return design


class GraphSampler(BaseSampler):
    """An Optuna sampler that takes the parameters of a space from an optimiser of graphbo.

    Trials of the study are told to the optimiser wherever they come from: completed ones with their
    value, pruned ones with the last one that they reported (as failed if there is none), failed
    ones as failed; those that are running count as pending, in other threads and processes, too. No
    architecture is suggested twice, until there is no other. Parameters that are not of the space
    come from an independent sampler.

    A study that is resumed goes on with what is in its storage; of the sampler nothing is stored.

    Args:
        space: The search space, as in `suggest`.
        optimizer: The name of an optimiser, which may have settings; see `make_optimizer`.
        seed: The seed of all randomness.
        prefix: What stands before the names of the parameters, as in `suggest`.
        independent_sampler: Samples all other parameters; by default Optuna's TPE.
        settings: Further arguments of the optimiser.

    Raises:
        InputError: If there is no such optimiser, it chooses epochs, which in an Optuna study the
            objective and the pruner do, it trains networks itself, or a setting cannot be used.
    """

    def __init__(
        self,
        space: SearchSpace,
        optimizer: str = "graph-bo",
        *,
        seed: int = 0,
        prefix: str = "",
        independent_sampler: BaseSampler | None = None,
        **settings: Any,
    ) -> None:
        self.space = space
        self.prefix = prefix
        self._make = (optimizer, seed, settings)
        self._independent = independent_sampler or TPESampler(seed=seed)
        self._search_space = _distributions(space, prefix)
        self._study: str | None = None
        self._optimizer = self._new_optimizer()
        if self._optimizer.multi_fidelity:
            raise InputError(
                f"{optimizer} chooses epochs, which an Optuna study leaves to the objective and a "
                "pruner; take another optimiser, such as graph-bo, beside a pruner of Optuna"
            )
        if self._optimizer.trains:
            raise InputError(
                f"{optimizer} trains networks itself, on images that an Optuna study does not "
                "have; take another optimiser, such as graph-bo"
            )
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._lock = threading.Lock()

    # What Optuna calls ----------------------------------------------------------------------

    def reseed_rng(self) -> None:
        """Give the independent sampler another seed; ours serves all threads."""
        self._independent.reseed_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the distributions of the parameters of the space."""
        _refuse_several_objectives(study)
        return dict(self._search_space)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Return the parameters of the design that the optimiser proposes."""
        _refuse_several_objectives(study)
        if not self._search_space.keys() <= search_space.keys():
            return {}
        with self._lock:
            self._catch_up(study, trial)
            designs = self._optimizer.ask()
            rng = np.random.default_rng([self._optimizer.seed, trial.number, 1])
            if designs:
                self._waiting[trial.number] = designs[0]
            self._asks += 1
            design = designs[0] if designs else self.space.sample(rng)
            # Its parameters reach the storage one by one, and too late for the other workers.
            store = partial(study._storage.set_trial_system_attr, trial._trial_id)
            store(_ROW, list(design.row))
            store(_BESIDE, dict(design.hyperparameters))
        return _parameters(self.space, design, self.prefix)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value of a parameter that is not of the space."""
        _refuse_several_objectives(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Pass on to the independent sampler."""
        self._independent.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Pass on to the independent sampler."""
        self._independent.after_trial(study, trial, state, values)

    # The history ----------------------------------------------------------------------------

    def _new_optimizer(self) -> Optimizer:
        name, seed, settings = self._make
        self._taken: set[int] = set()
        self._waiting: dict[int, Design] = {}
        self._asks = 0
        return make_optimizer(name, self.space, seed=seed, **settings)

    def _catch_up(self, study: optuna.Study, current: FrozenTrial) -> None:
        """Tell the optimiser what has become of the trials of a study."""
        if study.study_name != self._study:
            self._study, self._optimizer = study.study_name, self._new_optimizer()
        sign = -1.0 if study.direction.name == "MAXIMIZE" else 1.0
        told = {trial.design for trial in self._optimizer.told}
        for trial in study.get_trials(deepcopy=False):
            if trial.number in self._taken or trial.number == current.number:
                continue
            design = self._design(trial)
            if not trial.state.is_finished():
                self._wait_for(trial.number, design)
                continue
            self._taken.add(trial.number)
            proposed = self._waiting.pop(trial.number, None)
            if proposed != design and proposed in self._optimizer.pending:
                self._optimizer.pending.remove(proposed)  # other parameters were fixed
            if design is not None and design not in told:  # which may be evaluated repeatedly
                told.add(design)
                self._optimizer.tell(_told(design, trial, sign))
        # The k-th trial has the randomness of the k-th ask, in a resumed study, too.
        self._optimizer.replay([[]] * (current.number - self._asks))
        self._asks = max(current.number, self._asks)

    def _wait_for(self, number: int, design: Design | None) -> None:
        """Take a trial that another process runs for pending."""
        if design is None or number in self._waiting or design in self._optimizer.pending:
            return
        if design not in {trial.design for trial in self._optimizer.told}:
            self._optimizer.replay([[design]])
            self._asks += 1
            self._waiting[number] = design

    def _design(self, trial: FrozenTrial) -> Design | None:
        """Return the design of a trial, None if it has none (yet)."""
        if trial.state is TrialState.WAITING:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of values that are no longer in the space
                return _suggested(FixedTrial(trial.params), self.space, self.prefix)
        except ValueError:  # a parameter is missing
            row = trial.system_attrs.get(_ROW)
            evaluated = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if row is None or evaluated:
                return None
            beside = trial.system_attrs.get(_BESIDE, {})
            return replace(self.space.design(row), hyperparameters=beside)


def _told(design: Design, trial: FrozenTrial, sign: float) -> Trial:
    value = trial.value if trial.state is TrialState.COMPLETE else None
    if trial.state is TrialState.PRUNED and trial.last_step is not None:
        value = trial.intermediate_values[trial.last_step]
    if value is None or not math.isfinite(value):
        return Trial(design, error=f"trial {trial.number} is {trial.state.name.lower()}")
    return Trial(design, value=sign * value)


def _distributions(space: SearchSpace, prefix: str) -> dict[str, BaseDistribution]:
    found: dict[str, BaseDistribution] = {}
    described: ConfigurationSpace | None
    if space.configurable:
        described = space.configuration_space
    else:
        members, described = _pool(space)
        found[_MEMBER] = IntDistribution(0, len(members) - 1)
    if described is not None:
        found |= distributions(described)
    return {prefix + name: distribution for name, distribution in found.items()}


def _parameters(space: SearchSpace, design: Design, prefix: str) -> dict[str, Any]:
    if space.configurable:
        values: Mapping[str, Any] = space.to_configuration(design)
        return parameters(space.configuration_space, values, prefix)
    members, beside = _pool(space)
    if beside is None:
        return {prefix + _MEMBER: members.index(design)}
    found = parameters(beside, design.hyperparameters, prefix)
    alone = Design(design.architecture, design.row)
    return {prefix + _MEMBER: members.index(alone), **found}


def _suggested(trial: BaseTrial, space: SearchSpace, prefix: str) -> Design | None:
    """Return what a trial suggests; None if that is no architecture of the space.

    Raises:
        ValueError: If the trial has its parameters already, and one is missing.
    """
    if space.configurable:
        values = suggest_configuration(trial, space.configuration_space, prefix)
        if is_forbidden(space.configuration_space, values):
            return None
        try:
            return space.from_configuration(values, "optuna")
        except ValueError:
            return None
    members, beside = _pool(space)
    member = members[trial.suggest_int(prefix + _MEMBER, 0, len(members) - 1)]
    if beside is None:
        return member
    values = suggest_configuration(trial, beside, prefix)
    if is_forbidden(beside, values):
        return None
    assert space.hyperparameters is not None
    return replace(member, hyperparameters=space.hyperparameters.read(values))


def _pool(space: SearchSpace) -> tuple[Sequence[Design], ConfigurationSpace | None]:
    """Return the members of a pool, and what describes that of a design which they leave open."""
    if isinstance(space, JointSpace) and not space.enumerable:
        return space.architectures.enumerate(), space.hyperparameters.configuration_space
    return space.enumerate(), None


def _refuse_several_objectives(study: optuna.Study) -> None:
    if len(study.directions) > 1:
        raise InputError(
            f"GraphSampler minimises or maximises one objective; the study has "
            f"{len(study.directions)}"
        )
