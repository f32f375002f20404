"""Graph BO as an Optuna sampler: Optuna's own suite, and studies of every kind."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.spaces import (
    CellSpace,
    ChainSpace,
    JointPoolSpace,
    JointSpace,
    NASBench101Space,
    PoolSpace,
    SearchSpace,
)

optuna = pytest.importorskip("optuna")

from optuna.testing.pytest_samplers import (  # noqa: E402
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from graphbo.integrations.optuna import GraphSampler, suggest  # noqa: E402

SPACE = CellSpace(4, ["conv", "skip"], on="edges")
POOL = PoolSpace([design.architecture for design in SPACE.enumerate()[::3]])
RATES = ConfigurationSpace({"rate": (0.1, 1.0), "layers": [1, 2, 3]})
BESIDE, SPREAD = JointSpace(POOL, RATES), JointSpace(SPACE, RATES)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(verbosity)


def error(architecture: Architecture) -> float:
    labels = [label for *_, label in architecture.edges]
    return 30.0 - 4 * labels.count("conv") - labels.count("skip")


def objective(trial: Any) -> float:
    return error(suggest(trial, SPACE).architecture)


def designs(study: Any, space: SearchSpace = SPACE) -> list[Any]:
    return [suggest(optuna.trial.FixedTrial(trial.params), space) for trial in study.trials]


class _Suite:
    @pytest.fixture
    def sampler(self) -> Callable[[], GraphSampler]:
        return lambda: GraphSampler(CellSpace(3, ["a", "b"], on="edges"))


class TestBasic(_Suite, BasicSamplerTestCase):  # type: ignore[misc]
    pass


class TestSingleObjective(_Suite, SingleOnlySamplerTestCase):  # type: ignore[misc]
    pass


class TestRelative(_Suite):
    # The other tests of the class ask a sampler for search spaces that are not its own.
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_trial_relative_params(self, n_jobs: int, sampler: Any) -> None:
        RelativeSamplerTestCase().test_trial_relative_params(n_jobs, sampler)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_it_finds_the_best_architecture_and_repeats_none(direction: str) -> None:
    sign = 1 if direction == "minimize" else -1
    study = optuna.create_study(direction=direction, sampler=GraphSampler(SPACE, seed=1))
    study.optimize(lambda trial: sign * objective(trial), n_trials=25)
    assert len(set(designs(study))) == 25
    best = min(error(design.architecture) for design in SPACE.enumerate())
    assert study.best_value == sign * best


@pytest.mark.parametrize(
    "space",
    [
        SPACE,
        ChainSpace(4),
        NASBench101Space(4),
        POOL,
        BESIDE,
        JointPoolSpace([BESIDE.sample(np.random.default_rng(i)) for i in range(30)], SPREAD),
    ],
    ids=["cell", "chain", "nasbench101", "pool", "pool with rates", "pool of both"],
)
def test_spaces_of_every_kind_are_suggested(space: SearchSpace) -> None:
    sampler = GraphSampler(space, "regularized-evolution", prefix="net.", population=4, sample=2)
    study = optuna.create_study(sampler=sampler)
    found = []

    def evaluate(trial: Any) -> float:
        found.append(suggest(trial, space, "net."))
        return float(len(found[-1].architecture))

    study.optimize(evaluate, n_trials=12)
    assert len(set(found)) == 12
    assert all(design.architecture in space for design in found)
    assert all(name.startswith("net.") for trial in study.trials for name in trial.params)
    origins = {design.origin for design in sampler._optimizer.pending}
    assert [trial.design for trial in sampler._optimizer.told] == found[:-1]
    assert origins, "the last is told when the next is asked for"


def test_failed_pruned_and_running_trials_are_taken_for_what_they_are() -> None:
    sampler = GraphSampler(SPACE, "random")
    study = optuna.create_study(sampler=sampler, direction="maximize")
    states = optuna.trial.TrialState
    trials = [study.ask() for _ in range(5)]
    found = [suggest(trial, SPACE) for trial in trials]
    trials[2].report(7.0, step=1)
    trials[2].report(8.0, step=2)
    study.tell(trials[0], 3.0)
    study.tell(trials[1], state=states.FAIL)
    study.tell(trials[2], state=states.PRUNED)
    study.tell(trials[3], state=states.PRUNED)
    suggest(study.ask(), SPACE)
    told = {trial.design: trial.value for trial in sampler._optimizer.told}
    assert told == {found[0]: -3.0, found[1]: None, found[2]: -8.0, found[3]: None}
    assert found[4] in sampler._optimizer.pending


def test_an_objective_that_raises_or_prunes_leaves_the_study_going() -> None:
    study = optuna.create_study(sampler=GraphSampler(SPACE, initial=3))

    def evaluate(trial: Any) -> float:
        value = objective(trial)
        if trial.number == 1:
            raise RuntimeError("out of memory")
        if trial.number == 2:
            raise optuna.TrialPruned
        return float("nan") if trial.number == 3 else value

    study.optimize(evaluate, n_trials=8, catch=(RuntimeError,))
    assert len(set(designs(study))) == 8
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "FAIL", "PRUNED", "FAIL", *["COMPLETE"] * 4]


def test_threads_never_work_on_the_same_architecture() -> None:
    study = optuna.create_study(sampler=GraphSampler(SPACE, initial=3))
    barrier = threading.Barrier(3, timeout=60)
    running: list[Any] = []

    def evaluate(trial: Any) -> float:
        design = suggest(trial, SPACE)
        running.append(design)
        if trial.number < 3:
            barrier.wait()  # so that three are running at once
        return error(design.architecture)

    study.optimize(evaluate, n_trials=9, n_jobs=3)
    assert len(set(running)) == 9


def test_a_stored_study_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = optuna.create_study(sampler=GraphSampler(SPACE, initial=3, seed=2))
    whole.optimize(objective, n_trials=8)
    for n in (2, 3, 3):
        study = optuna.create_study(
            storage=f"sqlite:///{tmp_path}/study.db",
            study_name="cells",
            load_if_exists=True,
            sampler=GraphSampler(SPACE, initial=3, seed=2),
        )
        study.optimize(objective, n_trials=n)
    assert designs(study) == designs(whole)


def test_what_another_process_runs_is_pending(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    first = optuna.create_study(storage=storage, study_name="s", sampler=GraphSampler(SPACE))
    design = suggest(first.ask(), SPACE)
    sampler = GraphSampler(SPACE)
    second = optuna.load_study(storage=storage, study_name="s", sampler=sampler)
    trial = second.ask()
    _ = trial.relative_params
    assert design in sampler._optimizer.pending
    assert suggest(trial, SPACE) != design


def test_other_parameters_come_from_another_sampler() -> None:
    study = optuna.create_study(sampler=GraphSampler(SPACE, "random"))

    def evaluate(trial: Any) -> float:
        rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
        return objective(trial) + rate + trial.suggest_int("batch", 1, 9)

    study.optimize(evaluate, n_trials=15)
    assert len(set(designs(study))) == 15
    assert len({trial.params["rate"] for trial in study.trials}) == 15


def test_fixed_and_foreign_trials_are_told() -> None:
    sampler = GraphSampler(SPACE, "random")
    study = optuna.create_study(sampler=sampler)
    wanted = SPACE.enumerate()[7]
    study.enqueue_trial(dict(SPACE.to_configuration(wanted)))
    study.enqueue_trial(dict(SPACE.to_configuration(wanted)))
    study.optimize(objective, n_trials=4)
    assert designs(study)[:2] == [wanted, wanted]
    told = [trial.design for trial in sampler._optimizer.told]
    assert told == [wanted, designs(study)[2]], "the last is told with the next trial"
    assert sampler._optimizer.pending == [designs(study)[3]]


def test_the_end_of_the_space_is_not_the_end_of_the_study() -> None:
    small = CellSpace(3, ["a"], on="edges")
    study = optuna.create_study(sampler=GraphSampler(small, "random"))
    study.optimize(
        lambda trial: len(suggest(trial, small).architecture), n_trials=len(small.enumerate()) + 3
    )
    found = designs(study, small)
    assert set(found) == set(small.enumerate())


def test_a_sampler_may_serve_another_study_and_travel() -> None:
    sampler = GraphSampler(SPACE, initial=3)
    firsts = []
    for _ in range(2):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=4)
        firsts.append(designs(study))
    assert firsts[0] == firsts[1]
    again = pickle.loads(pickle.dumps(sampler))
    study.sampler = again
    study.optimize(objective, n_trials=2)
    assert len(set(designs(study))) == 6


def test_any_sampler_suggests_architectures_and_what_is_none_is_pruned() -> None:
    space = NASBench101Space()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: len(suggest(trial, space).architecture), n_trials=20)
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"COMPLETE", "PRUNED"}


def test_what_cannot_be_used_is_named() -> None:
    with pytest.raises(InputError, match="no optimiser 'graphbo'"):
        GraphSampler(SPACE, "graphbo")
    with pytest.raises(InputError, match=r"hyperband chooses .*epochs"):
        GraphSampler(SPACE, "hyperband")
    with pytest.raises(InputError, match="darts trains networks itself"):
        GraphSampler(SPACE, "darts")
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=GraphSampler(SPACE))
    with pytest.raises(InputError, match="one objective; the study has 2"):
        study.optimize(lambda trial: (objective(trial), 1.0), n_trials=1)


def test_without_optuna_one_line_says_how_to_get_it() -> None:
    script = (
        "import sys; sys.modules['optuna'] = None\n"
        "from graphbo.errors import MissingExtraError\n"
        "try:\n    import graphbo.integrations.optuna\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == (
        "optuna is not installed; it comes with the extra: pip install 'graphbo[optuna]'\n"
    )
