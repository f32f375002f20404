from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator, Report
from graphbo.evaluators.table import TableEvaluator
from graphbo.optimizers.base import Optimizer
from graphbo.problems.base import Problem
from graphbo.problems.registry import get_problem
from graphbo.spaces import CellSpace, ChainSpace, Design, PoolSpace
from graphbo.study import Study
from graphbo.trial import Evaluation, Fidelity, Job, Trial

SPACE = CellSpace(4, ["conv", "skip"], on="edges", name="test")


class Greedy(Optimizer):
    """Depends on all that an optimiser may depend on: seed, history, ask and pending designs."""

    name = "greedy"

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        if self.best is None or (len(self.told) + len(self.pending)) % 3 == 0:
            return self._sample_unseen(n, rng)
        near = self.space.neighbors(self.best.design, exclude=self.seen)
        picks = [near[int(i)].described("near") for i in rng.permutation(len(near))[:n]]
        return [*picks, *self._sample_unseen(n - len(picks), rng, picks)]


def error(architecture: Architecture) -> float:
    return 100.0 / (1 + sum(2 + (label == "conv") for *_, label in architecture.edges))


class Costly(Evaluator):
    """States a cost, epochs, and the seed that it was given."""

    objectives = ("validation_error", "test_error")

    def evaluate_one(self, job: Job) -> Evaluation:
        value = error(job.design.architecture)
        return Evaluation(
            {"validation_error": value, "test_error": value + 1},
            cost=10.0,
            facts={"epochs": 4.0, "seed": float(job.seed)},
        )


def study(
    evaluator: Evaluator | Callable[[Architecture], Any] = error, seed: int = 0, **settings: Any
) -> Study:
    if not isinstance(evaluator, Evaluator):
        evaluator = FunctionEvaluator(evaluator)
    return Study(SPACE, evaluator, Greedy(SPACE, seed=seed), seed=seed, **settings)


def history(trials: Iterable[Trial]) -> list[tuple[Any, ...]]:
    """What must not depend on when the search was interrupted."""
    return [
        (t.number, t.ask, t.design.architecture.key, t.design.row, t.design.origin, t.seed, t.value)
        for t in trials
    ]


class Again(Optimizer):
    """Proposes the same design over and over, as one that promotes it does."""

    name = "again"

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        return self.space.enumerate()[:1]

    def tell(self, trials: Trial | Iterable[Trial]) -> None:
        """Learn nothing."""


class Keeping(Evaluator):
    """Leaves a checkpoint and remembers its jobs."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def evaluate_one(self, job: Job) -> Evaluation:
        self.jobs.append(job)
        return Evaluation({"validation_error": 1.0}, checkpoint=f"state of {dict(job.fidelity)}")


# A search --------------------------------------------------------------------------------------


def test_a_run_returns_the_best_of_its_trials() -> None:
    result = study().run(trials=30)
    assert len(result.trials) == 30
    assert [trial.number for trial in result.trials] == list(range(30))
    assert result.value == min(trial.value for trial in result.trials if trial.value is not None)
    assert error(result.architecture) == result.value == result.best.value
    assert result.failed == 0
    assert not result.exhausted
    assert result.optimizer_seconds > 0
    assert len({trial.design for trial in result.trials}) == 30
    assert f"{result.value:.6g}" in repr(result)


def test_the_same_seed_gives_the_same_search_and_another_seed_another_one() -> None:
    first, again, other = (study(seed=seed).run(trials=12) for seed in (3, 3, 4))
    assert history(first.trials) == history(again.trials)
    assert history(first.trials) != history(other.trials)


def test_each_evaluation_has_a_seed_of_its_own_that_follows_from_study_and_number() -> None:
    trials = study(Costly()).run(trials=8).trials
    seeds = [trial.seed for trial in trials]
    assert len(set(seeds)) == 8
    assert [t.evaluation.facts["seed"] for t in trials if t.evaluation] == [float(s) for s in seeds]
    assert seeds == [trial.seed for trial in study(error).run(trials=8).trials]


def test_trials_are_stored_before_the_callback_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    seen = []

    def callback(trial: Trial) -> None:
        with_file = study(storage=path)
        assert with_file.trials[-1] == trial
        with_file.close()
        seen.append(trial.number)

    search = study(storage=path)
    search.run(trials=4, callback=callback)
    search.close()
    assert seen == [0, 1, 2, 3]


def test_an_objective_can_be_chosen() -> None:
    result = study(Costly(), objective="test_error").run(trials=5)
    assert result.value == error(result.architecture) + 1


def test_a_problem_makes_a_study() -> None:
    problem = Problem("p", SPACE, Costly(), objective="test_error", fidelity={"epochs": 12})
    search = Study.of(problem, Greedy(SPACE, seed=2), seed=2)
    trial = search.run(trials=1).best
    assert trial.fidelity == {"epochs": 12}
    assert trial.value == error(trial.design.architecture) + 1


def test_a_space_that_is_exhausted_ends_the_run() -> None:
    small = CellSpace(3, ["conv"], on="edges")
    search = Study(small, FunctionEvaluator(error), Greedy(small))
    result = search.run(trials=1000)
    assert result.exhausted
    assert len(result.trials) == small.size
    assert search.run(trials=1000).exhausted


# Budgets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "trials"),
    [
        ({"trials": 5}, 5),
        ({"seconds": 50}, 5),
        ({"seconds": 50.1}, 6),
        ({"epochs": 20}, 5),
        ({"epochs": 21}, 6),
        ({"trials": 9, "seconds": 45, "epochs": 1000}, 5),
    ],
)
def test_no_trial_starts_once_a_budget_is_used_up(budget: dict[str, Any], trials: int) -> None:
    assert len(study(Costly()).run(**budget).trials) == trials


def test_a_budget_counts_the_whole_study() -> None:
    search = study(Costly())
    search.run(trials=3)
    assert len(search.run(trials=3).trials) == 3
    assert len(search.run(trials=5).trials) == 5
    assert len(search.run(seconds=70).trials) == 7


def test_epochs_of_a_failed_trial_count_in_full() -> None:
    def fails(architecture: Architecture) -> float:
        raise RuntimeError("no")

    assert len(study(fails, fidelity={"epochs": 5}).run(epochs=20).trials) == 4


@pytest.mark.parametrize("first", [0, 3])
def test_failed_trials_use_up_a_budget_in_epochs_that_only_results_state(first: int) -> None:
    class Stating(Evaluator):
        calls = 0

        def evaluate_one(self, job: Job) -> Evaluation:
            self.calls += 1
            if self.calls != first:
                raise RuntimeError("no")
            return Evaluation({"validation_error": 1.0}, facts={"epochs": 5})

    trials = study(Stating()).run(epochs=20).trials
    # Each counts as many epochs as the one result before it, and one before there is any.
    assert len(trials) == (20 if first == 0 else 2 + 1 + 3)


def test_an_error_that_no_file_can_hold_as_it_is_is_stored(tmp_path: Path) -> None:
    def fails(architecture: Architecture) -> float:
        raise RuntimeError("cannot read caf\udce9.npy")

    search = study(fails, storage=tmp_path / "study.sqlite")
    assert "caf\\udce9.npy" in str(search.run(trials=1).trials[0].error)


@pytest.mark.parametrize(
    "budget", [{}, {"trials": 0}, {"trials": -3}, {"seconds": 0.0}, {"epochs": float("nan")}]
)
def test_a_budget_that_is_none_is_refused(budget: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="budget"):
        study().run(**budget)


def test_a_budget_in_a_cost_that_is_never_stated_is_refused() -> None:
    class Free(Costly):
        def evaluate_one(self, job: Job) -> Evaluation:
            return Evaluation({"validation_error": 1.0})

    with pytest.raises(InputError, match="no cost in seconds"):
        study(Free()).run(seconds=10)
    with pytest.raises(InputError, match="no number of epochs"):
        study(Free()).run(epochs=10)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"batch": 0}, "batch"),
        ({"objective": "latency"}, "no objective 'latency', only"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], message: str) -> None:
    settings = {"evaluator": FunctionEvaluator(error), "optimizer": Greedy(SPACE)} | settings
    with pytest.raises(InputError, match=message):
        Study(SPACE, **settings)


def test_an_optimiser_with_a_past_is_refused() -> None:
    used = Greedy(SPACE)
    used.ask(1)
    with pytest.raises(InputError, match="has not been asked"):
        Study(SPACE, FunctionEvaluator(error), used)


# Failures --------------------------------------------------------------------------------------


def every_third_fails() -> Callable[[Architecture], float]:
    calls = iter(range(1000))

    def objective(architecture: Architecture) -> float:
        call = next(calls)
        if call % 3 == 1:
            raise RuntimeError(f"call {call} went wrong")
        return error(architecture) if call % 3 else float("nan")

    return objective


def test_an_objective_that_raises_or_returns_nan_makes_failed_trials_and_the_search_goes_on() -> (
    None
):
    search = study(every_third_fails())
    result = search.run(trials=9)
    assert [trial.state for trial in result.trials] == ["failed", "failed", "completed"] * 3
    assert result.failed == 6
    assert "not a finite number" in (result.trials[0].error or "")
    assert "Traceback" in (result.trials[1].error or "")
    assert "RuntimeError: call 1 went wrong" in (result.trials[1].error or "")
    assert [trial.number for trial in search.optimizer.completed] == [2, 5, 8]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Evaluation({"validation_error": float("inf")}), "inf, not a finite number"),
        (Evaluation({"validation_error": "good"}), "'good', not a number"),  # type: ignore[dict-item]
        (Evaluation({"validation_error": None}), "None, not a number"),  # type: ignore[dict-item]
        (Evaluation({"accuracy": 3.0}), "no objective 'validation_error', only"),
        (Evaluation({"validation_error": 3.0}, facts={"device": "cpu"}), "not a number"),  # type: ignore[dict-item]
        (3.5, "returned float, not an Evaluation"),
    ],
)
def test_a_result_that_is_none_is_a_failed_trial(
    outcome: Any, message: str, tmp_path: Path
) -> None:
    class Odd(Evaluator):
        def evaluate_one(self, job: Job) -> Evaluation:
            return outcome  # type: ignore[no-any-return]

    path = tmp_path / "study.sqlite"
    search = study(Odd(), storage=path)
    (trial,) = search.run(trials=1).trials
    search.close()
    assert trial.state == "failed"
    assert message in (trial.error or "")
    again = study(Odd(), storage=path)
    assert [stored.error for stored in again.trials] == [trial.error]
    again.close()


def test_when_every_trial_fails_the_result_says_so() -> None:
    def fails(architecture: Architecture) -> float:
        raise KeyError("weights")

    result = study(fails).run(trials=3)
    assert repr(result) == "Result(trials=3, failed=3)"
    with pytest.raises(ValueError, match=r"none of the 3 trials completed; .*KeyError: 'weights'"):
        _ = result.best


def test_an_evaluator_that_breaks_off_fails_what_it_did_not_report() -> None:
    class BreaksOff(Evaluator):
        def evaluate_one(self, job: Job) -> Evaluation:
            return Evaluation({"validation_error": 1.0})

        def evaluate(self, jobs: Iterable[Job]) -> Iterator[Report]:
            for i, job in enumerate(jobs):
                if i == 2:
                    raise MemoryError("too large a batch")
                yield Report(job)  # an intermediate report
                yield Report(job, self.evaluate_one(job))

    result = study(BreaksOff(), batch=4).run(trials=4)
    assert [trial.state for trial in result.trials] == ["completed"] * 2 + ["failed"] * 2
    assert "MemoryError: too large a batch" in (result.trials[3].error or "")


# Batches and executors -------------------------------------------------------------------------


def test_a_batch_is_proposed_and_evaluated_together() -> None:
    sizes = []

    class Counts(Costly):
        def evaluate(self, jobs: Iterable[Job]) -> Iterator[Report]:
            jobs = list(jobs)
            sizes.append(len(jobs))
            yield from super().evaluate(jobs[::-1])

    result = study(Counts(), batch=4).run(trials=10)
    assert sizes == [4, 4, 2]
    assert [t.number for t in result.trials] == [3, 2, 1, 0, 7, 6, 5, 4, 9, 8]
    assert [t.ask for t in result.trials] == [0] * 4 + [1] * 4 + [2] * 2


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_an_executor_evaluates_several_at_once(kind: Any) -> None:
    context = {} if kind is ThreadPoolExecutor else {"mp_context": _spawn()}
    with kind(2, **context) as executor:
        # len is picklable wherever this test lives: the number of nodes is the objective.
        result = study(FunctionEvaluator(len), workers=2, executor=executor).run(trials=11)
    assert sorted(trial.number for trial in result.trials) == list(range(11))
    assert all(trial.value == len(trial.design.architecture) for trial in result.trials)


def _spawn() -> Any:
    import multiprocessing

    return multiprocessing.get_context("spawn")


def test_with_an_executor_each_trial_is_replaced_as_it_finishes() -> None:
    in_flight, most = 0, 0

    def objective(architecture: Architecture) -> float:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        time.sleep(0.05 if architecture.is_empty else 0.005)
        in_flight -= 1
        if most == 0:
            raise AssertionError
        return error(architecture)

    with ThreadPoolExecutor(3) as executor:
        result = study(objective, workers=3, executor=executor).run(trials=15)
    assert most == 3
    assert len(result.trials) == 15
    assert [t.ask for t in sorted(result.trials, key=lambda t: t.number)] != [
        i // 3 for i in range(15)
    ]


def test_failures_in_an_executor_are_failed_trials() -> None:
    with ThreadPoolExecutor(2) as executor:
        result = study(every_third_fails(), workers=2, executor=executor).run(trials=9)
    assert result.failed == 6
    assert any("went wrong" in (trial.error or "") for trial in result.trials)


def test_a_broken_executor_ends_the_run_and_leaves_it_resumable(tmp_path: Path) -> None:
    class Broken(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenExecutor("a worker was killed"))
            return future

    path = tmp_path / "study.sqlite"
    with Broken() as executor:
        search = study(storage=path, executor=executor)
        with pytest.raises(BrokenExecutor):
            search.run(trials=5)
        search.close()
    resumed = study(storage=path)
    assert resumed.trials == []
    assert history(resumed.run(trials=5).trials) == history(study().run(trials=5).trials)
    resumed.close()


# Going on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("stop_at", [0, 1, 5, 6, 11])
def test_an_interrupted_search_goes_on_to_the_same_history(
    stop_at: int, batch: int, tmp_path: Path
) -> None:
    path = tmp_path / "study.sqlite"
    calls = iter(range(1000))

    def interrupted(architecture: Architecture) -> float:
        if next(calls) == stop_at:
            raise KeyboardInterrupt
        return error(architecture)

    search = study(interrupted, storage=path, batch=batch)
    with pytest.raises(KeyboardInterrupt):
        search.run(trials=20)
    assert len(search.trials) == stop_at
    search.close()

    whole = study(batch=batch).run(trials=20)
    resumed = study(storage=path, batch=batch)
    assert history(resumed.trials) == history(whole.trials[:stop_at])
    assert history(resumed.run(trials=20).trials) == history(whole.trials)
    resumed.close()


def test_an_interrupted_search_goes_on_in_the_same_process() -> None:
    calls = iter(range(1000))

    def interrupted(architecture: Architecture) -> float:
        if next(calls) == 7:
            raise KeyboardInterrupt
        return error(architecture)

    search = study(interrupted, batch=3)
    with pytest.raises(KeyboardInterrupt):
        search.run(trials=20)
    assert history(search.run(trials=20).trials) == history(study(batch=3).run(trials=20).trials)


def test_failed_trials_are_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    first = study(every_third_fails(), storage=path)
    first.run(trials=5)
    first.close()
    second = study(storage=path)
    assert second.result.failed == 4
    result = second.run(trials=8)
    assert [trial.state for trial in result.trials][5:] == ["completed"] * 3
    assert len({trial.design for trial in result.trials}) == 8
    second.close()


def test_the_optimisers_time_survives(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    search = study(storage=path)
    seconds = search.run(trials=10).optimizer_seconds
    search.close()
    again = study(storage=path)
    assert again.result.optimizer_seconds == pytest.approx(seconds, rel=0.5)
    again.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 1}, "its seed is 0, not 1"),
        ({"problem": "other"}, "its problem is None, not other"),
        ({"objective": "test_error"}, "its objective is validation_error, not test_error"),
        ({"fidelity": {"epochs": 5}}, "its fidelity is"),
    ],
)
def test_another_study_is_not_continued(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.sqlite"
    study(Costly(), storage=path).close()
    with pytest.raises(InputError, match=message):
        study(Costly(), storage=path, **settings)


def test_a_study_with_another_evaluator_is_not_continued(tmp_path: Path) -> None:
    class Described(Costly):
        def __init__(self, rate: float) -> None:
            super().__init__()
            self.rate = rate

        def describe(self) -> dict[str, float]:
            return {"rate": self.rate}

    path = tmp_path / "study.sqlite"
    for _ in range(2):
        study(Described(0.1), storage=path).close()
    with pytest.raises(InputError, match=r"its rate of the evaluator is 0\.1, not 0\.2"):
        study(Described(0.2), storage=path)


def test_a_study_on_another_table_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    cells = [design.architecture for design in SPACE.enumerate()]
    errors = np.arange(len(cells), dtype=float)
    for _ in range(2):
        table = TableEvaluator(cells, {"error": errors})
        Study(SPACE, table, "random", storage=path).run(trials=3)
    with pytest.raises(InputError, match="its results of the evaluator is"):
        Study(SPACE, TableEvaluator(cells, {"error": errors + 1}), "random", storage=path)


class Repeats(Greedy):
    def _propose(self, n: int, rng: Any) -> list[Design]:
        return [SPACE.enumerate()[3]] * n


class Wanders(Greedy):
    def _propose(self, n: int, rng: Any) -> list[Design]:
        return [ChainSpace(3).sample(rng)]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Repeats, "proposed .*, which it had proposed before; see graphbo.testing.check_optimizer"),
        (Wanders, "proposed .*, which is not of the space test"),
    ],
)
def test_what_an_optimiser_must_not_propose_is_not_stored(
    kind: type[Optimizer], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.sqlite"
    for _ in range(2):
        search = Study(SPACE, FunctionEvaluator(error), kind(SPACE), storage=path)
        with pytest.raises(InputError, match=message):
            search.run(trials=3)
        search.close()
    assert len({trial.design for trial in search.trials}) == len(search.trials) <= 1


def test_a_closed_study_says_so(tmp_path: Path) -> None:
    search = study(storage=tmp_path / "study.sqlite")
    search.close()
    with pytest.raises(InputError, match="was closed; open it again to go on"):
        search.run(trials=3)


def test_a_problem_may_be_studied_at_another_fidelity() -> None:
    search = Study.of(get_problem("digits-table"), "random", fidelity={"epochs": 3})
    assert {trial.fidelity["epochs"] for trial in search.run(trials=2).trials} == {3}


def test_a_study_on_another_space_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    study(storage=path).close()
    other = CellSpace(4, ["conv", "pool"], on="edges", name="test")
    with pytest.raises(InputError, match=r"its space is test \(\w+\), not test \(\w+\)"):
        Study(other, FunctionEvaluator(error), Greedy(other), storage=path)


@pytest.mark.parametrize("optimizer", ["random", "graph-bo"])
def test_a_study_whose_designs_are_no_longer_of_the_space_is_not_continued(
    optimizer: str, tmp_path: Path
) -> None:
    cells = [design.architecture for design in SPACE.enumerate()]
    changed = {
        "pool": (PoolSpace(cells[:10]), PoolSpace(cells[::-1][:10])),
        "edges": [CellSpace(4, ["a", "b"], on="nodes", max_edges=most) for most in (6, 3)],
    }
    for name, (before, after) in changed.items():
        path = tmp_path / f"{name}.sqlite"
        for _ in range(2):
            Study(before, FunctionEvaluator(error), optimizer, storage=path).run(trials=7)
        with pytest.raises(InputError, match=r"another space: its trial \d+, .* is not of the spa"):
            Study(after, FunctionEvaluator(error), optimizer, storage=path)


def test_a_study_that_went_on_elsewhere_is_not_continued_from_an_old_state(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    old, new = study(storage=path), study(storage=path)
    new.run(trials=2)
    with pytest.raises(InputError, match="continued by another search"):
        old.run(trials=4)
    new.close()
    old.close()


def test_a_study_has_one_driver_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "study.sqlite"
    other = study(storage=path)

    def callback(trial: Trial) -> None:
        with pytest.raises(InputError, match="in use by another"):
            other.run(trials=1)

    search = study(storage=path)
    search.run(trials=1, callback=callback)
    search.close()
    other.close()


# Promotion -------------------------------------------------------------------------------------


def test_a_design_that_is_promoted_goes_on_from_its_checkpoint_with_its_seed() -> None:
    keeping = Keeping()
    promoting = Study(SPACE, keeping, Again(SPACE), fidelity={"epochs": 2, "width": 1})
    promoting.run(trials=1)
    for trials, fidelity in enumerate(
        [{"epochs": 4, "width": 1}, {"width": 1}, {"epochs": 1, "width": 1}, {"width": 2}], start=2
    ):
        promoting.fidelity = fidelity
        promoting.run(trials=trials)
    first, second, full, lower, wider = keeping.jobs
    assert first.checkpoint is None
    assert second.checkpoint == "state of {'epochs': 2, 'width': 1}"
    assert full.checkpoint == "state of {'epochs': 4, 'width': 1}"
    assert lower.checkpoint is wider.checkpoint is None
    assert first.seed == second.seed == full.seed
    assert len({first.seed, lower.seed, wider.seed}) == 3


# Optimisers that train -----------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still unless someone puts it forward."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


class Trains(Optimizer):
    """Takes 50 seconds to find something out when it is first asked."""

    name = "trains"
    trains = True

    def __init__(self, clock: list[float]) -> None:
        super().__init__(SPACE)
        self.clock = clock
        self.attached: list[Any] = []

    def attach(self, evaluator: Evaluator, fidelity: Fidelity) -> None:
        self.attached.append((evaluator, dict(fidelity)))

    def _propose(self, n: int, rng: np.random.Generator) -> Sequence[Design]:
        if "found" not in self.memory:
            self.clock[0] += 50
            self.memory["found"] = [0.1, 2]
        return self._sample_unseen(n, rng)


def cost(trial: Trial) -> tuple[float, float]:
    """Return what a trial cost, and which part of it is the optimiser's."""
    assert trial.evaluation is not None
    return trial.evaluation.cost, trial.evaluation.facts["search_seconds"]


def test_an_optimiser_sees_the_evaluator_once(clock: list[float]) -> None:
    optimizer, evaluator = Trains(clock), Costly()
    Study(SPACE, evaluator, optimizer, fidelity={"epochs": 4}).run(3)
    assert optimizer.attached == [(evaluator, {"epochs": 4})]


def test_what_an_optimiser_trains_is_part_of_the_cost(clock: list[float]) -> None:
    result = Study(SPACE, Costly(), Trains(clock)).run(3)
    assert [cost(trial) for trial in result.trials] == [(60, 50), (10, 0), (10, 0)]
    assert result.optimizer_seconds == 50
    assert len(Study(SPACE, Costly(), Trains(clock)).run(seconds=65).trials) == 2


def test_other_optimisers_cost_nothing() -> None:
    for trial in study(Costly()).run(3).trials:
        assert trial.evaluation is not None
        assert trial.evaluation.cost == 10
        assert "search_seconds" not in trial.evaluation.facts


def test_the_trial_that_completes_bears_what_was_trained_before(
    tmp_path: Path, clock: list[float]
) -> None:
    """The first one fails; then the study is opened again, and again."""

    def fails(architecture: Architecture) -> float:
        raise RuntimeError

    path = tmp_path / "study.sqlite"
    Study(SPACE, FunctionEvaluator(fails, "validation_error"), Trains(clock), storage=path).run(1)
    optimizer = Trains(clock)
    _, second, third = Study(SPACE, Costly(), optimizer, storage=path).run(3).trials
    assert optimizer.memory == {"found": [0.1, 2]}
    assert (cost(second), cost(third)) == ((60, 50), (10, 0))
    again = Study(SPACE, Costly(), Trains(clock), storage=path).run(4).trials[-1]
    assert cost(again) == (10, 0)
    assert clock == [50], "it trained once"
