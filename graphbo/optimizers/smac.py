"""The random forests of SMAC3."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.errors import InputError, MissingExtraError
from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.configured import Configurations
from graphbo.optimizers.wrapped import undisturbed
from graphbo.spaces.base import Design, SearchSpace
from graphbo.trial import Trial

if TYPE_CHECKING:
    from ConfigSpace import Configuration
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.acquisition.maximizer import LocalAndSortedRandomSearch
    from smac.model.random_forest.random_forest import RandomForest
    from smac.runhistory.dataclasses import TrialInfo

_IN_VAIN = 16  # proposals in a row that are nothing new, after which SMAC3 is left alone


class SMAC(Optimizer):
    """SMAC3's facade for hyperparameter optimisation on the ConfigSpace of a space.

    A random forest on configurations predicts the logarithm of the scaled values; after a Sobol
    sequence, expected improvement picks the next configuration, or chance: in one draw of five, and
    so for more of the proposals where the local search returns to what it knows. Everything is set
    as SMAC3 sets it, but for the size of the initial design, which it takes from a budget that an
    optimiser here does not know.

    SMAC3 knows configurations, and not which of them are one architecture. It is told the value of
    a configuration whose architecture was evaluated as another one, and asked again, as it is for
    one that was proposed before; one that encodes no architecture is told as crashed. After 16 in a
    row that are nothing new, designs are drawn at random until the next fit, and their origin says
    so. A failed trial is told as crashed, at the cost of the worst result. What comes before the
    first fit and is not in the Sobol sequence is drawn at random, too.

    The forest is fitted anew each time that there are ``retrain_after`` more results, and what
    SMAC3 proposes after a fit follows from the results of that fit and the seed alone. So a search
    that is resumed fits once, and goes on where it was.

    Reference: Lindauer et al., "SMAC3: A versatile Bayesian optimization package for hyperparameter
    optimization", JMLR 2022.

    Args:
        space: The search space, or a pool that is a part of one; see `Configurations`.
        seed: The seed of all randomness.
        initial: How many results come before the first fit.
        retrain_after: How many results a fit serves.
        challengers: How many random configurations compete with those of the local search.

    Raises:
        InputError: If no ConfigSpace describes the space, or a setting cannot be used.
        MissingExtraError: If SMAC3 is not installed.
    """

    name = "smac"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 10,
        retrain_after: int = 8,
        challengers: int = 10_000,
    ) -> None:
        given = {"initial": initial, "retrain_after": retrain_after, "challengers": challengers}
        for setting, value in given.items():
            if value < 1:
                raise InputError(f"{setting} of smac must be at least 1; got {value}")
        super().__init__(space, seed=seed, **given)
        self.configurations = Configurations(space, self.name)
        _import()
        self.initial = initial
        self.retrain_after = retrain_after
        self.challengers = challengers
        self._since_fit: _Challengers | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What SMAC3 proposes is worked out anew; its generators do not pickle.
        return self.__dict__ | {"_since_fit": None}

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        chosen: list[Design] = []
        for design in self._challengers():
            if design not in self._seen:
                chosen.append(design)
            if len(chosen) == n:
                break
        return chosen + self._sample_unseen(n - len(chosen), rng, chosen)

    def _challengers(self) -> _Challengers:
        """Return what SMAC3 proposes since its last fit."""
        fitted = len(self.told) - self.initial
        fits = fitted // self.retrain_after + 1 if fitted >= 0 else 0
        known = self.initial + (fits - 1) * self.retrain_after if fits else 0
        if self._since_fit is None or len(self._since_fit.told) != known:
            seed = np.random.SeedSequence([self.seed, fits]).generate_state(1)
            self._since_fit = _Challengers(self, self.told[:known], int(seed[0]))
        return self._since_fit


class _Challengers:
    """The distinct designs that SMAC3 proposes after some results, as far as they were wanted.

    Args:
        optimizer: Whose settings apply.
        told: The results; without any, the designs are those of a Sobol sequence.
        seed: The seed of all randomness.
    """

    def __init__(self, optimizer: SMAC, told: Sequence[Trial], seed: int) -> None:
        self.told = told
        self._optimizer = optimizer
        self._seed = seed
        values = [trial.value for trial in told if trial.value is not None]
        # The encoder of the costs, which scales them, would overflow at very large ones.
        self._unit = max(map(abs, values), default=0.0) or 1.0
        self._worst = max(values, default=0.0)
        self._drawn: list[Design] = []
        self._source = self._asked() if told else self._initial()

    def __iter__(self) -> Iterator[Design]:
        yield from self._drawn
        for design in self._source:
            self._drawn.append(design)
            yield design

    def _initial(self) -> Iterator[Design]:
        from smac.initial_design import SobolInitialDesign

        with undisturbed("smac"):
            design = SobolInitialDesign(self._scenario(), n_configs=self._optimizer.initial)
            configurations = design.select_configurations()
        found = (self._read(configuration) for configuration in configurations)
        yield from dict.fromkeys(design for design in found if design is not None)

    def _asked(self) -> Iterator[Design]:
        facade = self._facade()
        known = {trial.design: trial for trial in self.told}
        proposed = set(known)
        in_vain = 0
        while in_vain < _IN_VAIN:
            info = _ask(facade)
            if info is None:
                return
            in_vain += 1
            design = self._read(info.config)
            if design is None:
                self._tell(facade, info, None)
            elif design in known:
                self._tell(facade, info, known[design].value)
            elif design not in proposed:
                proposed.add(design)
                in_vain = 0
                yield design

    def _read(self, configuration: Configuration) -> Design | None:
        """Return what a configuration stands for, with its origin in the words of this package."""
        text = configuration.origin or ""
        origin = "random"
        if text.startswith(("Initial", "Acquisition")):
            origin = "initial" if text.startswith("Initial") else "smac"
        return self._optimizer.configurations.from_configuration(configuration, origin)

    def _scenario(self, folder: str = ".") -> Scenario:
        from smac import Scenario

        return Scenario(
            copy.deepcopy(self._optimizer.configurations.described.configuration_space),
            output_directory=Path(folder),
            deterministic=True,
            n_trials=2**31,
            seed=self._seed,
        )

    def _facade(self) -> HyperparameterOptimizationFacade:
        """Return a facade that has been told the results."""
        from smac import HyperparameterOptimizationFacade as Facade
        from smac.runhistory.dataclasses import TrialInfo

        # SMAC3 writes what the scenario is, once; nothing reads it.
        with tempfile.TemporaryDirectory(prefix="graphbo-smac-") as folder, undisturbed("smac"):
            scenario = self._scenario(folder)
            facade = Facade(
                scenario,
                model=self._forest(scenario),
                initial_design=Facade.get_initial_design(scenario, n_configs=0),
                acquisition_maximizer=self._maximizer(scenario),
                intensifier=Facade.get_intensifier(scenario, max_config_calls=1),
                config_selector=Facade.get_config_selector(
                    scenario, retrain_after=self._optimizer.retrain_after
                ),
                logging_level=False,
                overwrite=True,
            )
        for trial in self.told:
            configuration = self._optimizer.configurations.to_configuration(trial.design)
            self._tell(facade, TrialInfo(configuration, seed=0), trial.value)
        return facade

    def _maximizer(self, scenario: Scenario) -> LocalAndSortedRandomSearch:
        """Return the maximiser of the facade, with the starts of its local search in one order."""
        from smac import HyperparameterOptimizationFacade as Facade

        maximizer = Facade.get_acquisition_maximizer(
            scenario, challengers=self._optimizer.challengers
        )
        search: Any = maximizer._local_search
        starts = search._get_init_points_from_previous_configs

        # SMAC3 has them from a set, whose order follows the hashes of strings, as processes differ.
        def ordered(*args: Any, **kwargs: Any) -> list[Configuration]:
            return sorted(starts(*args, **kwargs), key=lambda start: start.get_array().tobytes())

        search._get_init_points_from_previous_configs = ordered
        return maximizer

    def _forest(self, scenario: Scenario) -> RandomForest:
        """Return the forest of the facade, in one thread and in less memory."""
        from smac.model.random_forest.random_forest import RandomForest

        return RandomForest(
            scenario.configspace,
            log_y=True,
            n_trees=10,
            ratio_features=1.0,
            min_samples_split=2,
            min_samples_leaf=1,
            # The facade's million leaves are allocated at once, which takes a second for each fit.
            max_leaf_nodes=len(self.told) + 5000,
            n_jobs=1,
            seed=scenario.seed,
        )

    def _tell(
        self, facade: HyperparameterOptimizationFacade, info: TrialInfo, value: float | None
    ) -> None:
        from smac.runhistory import StatusType, TrialValue

        status = StatusType.CRASHED if value is None else StatusType.SUCCESS
        cost = (self._worst if value is None else value) / self._unit
        with undisturbed("smac"):
            facade.tell(info, TrialValue(cost, status=status), save=False)


def _ask(facade: HyperparameterOptimizationFacade) -> TrialInfo | None:
    """Return what SMAC3 proposes next, or None if it finds nothing new."""
    from smac.main.exceptions import ConfigurationSpaceExhaustedException

    with undisturbed("smac"):
        try:
            return facade.ask()
        except (StopIteration, ConfigurationSpaceExhaustedException):
            return None


def _import() -> None:
    state = random.getstate()
    try:
        import smac  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("smac", "smac") from error
    finally:
        random.setstate(state)  # which something that it imports draws from
