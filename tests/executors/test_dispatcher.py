"""What becomes of jobs: reports, retries, timeouts."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphbo
from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators import FunctionEvaluator, TableEvaluator
from graphbo.evaluators.base import Report
from graphbo.executors import Dispatcher, Finished, ProcessExecutor, Shipped, carry_out
from graphbo.executors.shipping import store
from graphbo.spaces import CellSpace
from graphbo.study import Study
from graphbo.trial import Evaluation, Job

SPACE = CellSpace(4, ["conv3x3", "skip"], on="edges")
JOBS = [Job(design) for design in SPACE.enumerate()[:8]]


def collect(dispatcher: Dispatcher) -> list[Finished]:
    finished: list[Finished] = []
    while dispatcher.running:
        finished += dispatcher.collect()
    return finished


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(2) as two:
        yield two


def nodes(architecture: Architecture) -> float:
    return len(architecture)


def test_jobs_come_back_with_their_evaluations(processes: ProcessExecutor) -> None:
    dispatcher = Dispatcher(processes, FunctionEvaluator(nodes), 2)
    assert dispatcher.free == 2
    for job in JOBS[:2]:
        dispatcher.submit([job])
    assert (dispatcher.free, dispatcher.running) == (0, 2)
    finished = collect(dispatcher)
    assert dispatcher.free == 2
    values = {each.report.job.design: each.report.evaluation for each in finished}
    for job in JOBS[:2]:
        evaluation = values[job.design]
        assert evaluation is not None
        assert evaluation.objectives == {"objective": len(job.design.architecture)}
    assert [each.attempts for each in finished] == [1, 1]


def test_a_batch_goes_to_one_worker_together() -> None:
    class Together(FunctionEvaluator):
        def evaluate(self, jobs: Iterable[Job]) -> Iterator[Report]:
            jobs = list(jobs)
            for job in jobs:
                yield Report(job, Evaluation({"objective": float(len(jobs))}))

    with ThreadPoolExecutor(2) as threads:
        dispatcher = Dispatcher(threads, Together(nodes), 2)
        dispatcher.submit(JOBS[:3])
        dispatcher.submit(JOBS[3:4])
        found = [each.report.evaluation for each in collect(dispatcher)]
    assert [each.objectives["objective"] for each in found if each] == [3.0, 3.0, 3.0, 1.0]


def test_a_job_whose_worker_dies_starts_again_a_bounded_number_of_times(
    processes: ProcessExecutor, tmp_path: Path
) -> None:
    def dies_at_first(architecture: Architecture) -> float:
        if not (tmp_path / "tried").exists():
            (tmp_path / "tried").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    dispatcher = Dispatcher(processes, FunctionEvaluator(dies_at_first), 2)
    dispatcher.submit(JOBS[:1])
    (finished,) = collect(dispatcher)
    assert finished.report.evaluation is not None
    assert finished.attempts == 2

    def dies(architecture: Architecture) -> float:
        with (tmp_path / "deaths").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    dispatcher = Dispatcher(processes, FunctionEvaluator(dies), 2, retries=2)
    dispatcher.submit(JOBS[:1])
    (finished,) = collect(dispatcher)
    assert (tmp_path / "deaths").read_text() == "xxx"
    assert finished.attempts == 3
    assert finished.report.error is not None
    assert "given up after 3 attempts: WorkerDiedError" in finished.report.error


def test_evaluators_take_turns_on_a_worker(processes: ProcessExecutor) -> None:
    dispatchers = [Dispatcher(processes, FunctionEvaluator(nodes), 1) for _ in range(7)]
    for dispatcher in [*dispatchers, *dispatchers[::-1], dispatchers[3]]:
        dispatcher.submit(JOBS[:1])
        (finished,) = collect(dispatcher)
        assert finished.report.evaluation is not None
        assert finished.attempts == 1


def test_a_job_that_hangs_fails_in_time_and_its_process_ends(
    processes: ProcessExecutor, tmp_path: Path
) -> None:
    def hang(architecture: Architecture) -> float:
        (tmp_path / "pid").write_text(str(os.getpid()))
        while True:
            pass

    dispatcher = Dispatcher(processes, FunctionEvaluator(hang), 1, timeout=0.5)
    start = time.monotonic()
    dispatcher.submit(JOBS[:1])
    (finished,) = collect(dispatcher)
    assert 0.5 <= time.monotonic() - start < 5
    assert finished.report.error == "TimeoutError: there was no result within 0.5 s"
    assert dispatcher.free == 1
    end = time.monotonic() + 10
    while int((tmp_path / "pid").read_text()) in processes.pids:
        assert time.monotonic() < end
    end = time.monotonic() + 10
    while int((tmp_path / "pid").read_text()) in processes.pids:
        assert time.monotonic() < end


def test_a_hanging_job_that_cannot_be_ended_occupies_its_worker() -> None:
    released = threading.Event()

    def hang(architecture: Architecture) -> float:
        released.wait(20)
        return 1.0

    with ThreadPoolExecutor(2) as threads:
        dispatcher = Dispatcher(threads, FunctionEvaluator(hang), 2, timeout=0.1)
        dispatcher.submit(JOBS[:1])
        (finished,) = collect(dispatcher)
        assert "TimeoutError" in (finished.report.error or "")
        assert dispatcher.free == 1
        dispatcher.submit(JOBS[1:2])
        collect(dispatcher)
        with pytest.raises(InputError, match=r"all 2 workers hang .* take graphbo's processes"):
            dispatcher.collect()
        released.set()
        for _ in range(1000):
            if dispatcher.free == 2:
                break
            time.sleep(0.01)
        assert dispatcher.free == 2


def test_a_broken_executor_is_not_a_fault_of_the_job() -> None:
    class Broken(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenExecutor("a worker was killed"))
            return future

    dispatcher = Dispatcher(Broken(), FunctionEvaluator(nodes), 1)
    dispatcher.submit(JOBS[:1])
    with pytest.raises(BrokenExecutor):
        dispatcher.collect()


@pytest.mark.parametrize(
    ("answer", "error"),
    [(None, "without a report"), (3.0, "returned float"), (lambda: 1, "returned function")],
)
def test_a_wrong_answer_is_a_failed_job_and_can_be_sent(answer: Any, error: str) -> None:
    class Wrong(FunctionEvaluator):
        def evaluate_one(self, job: Job) -> Evaluation:
            result: Evaluation = answer
            return result

    (report,) = carry_out(Shipped(Wrong(nodes)), JOBS[:1])
    assert error in (report.error or "")
    pickle.dumps(report)


def test_exiting_is_a_failed_job() -> None:
    def leave(architecture: Architecture) -> float:
        raise SystemExit(1)

    first, second = carry_out(Shipped(FunctionEvaluator(leave)), JOBS[:2])
    assert "SystemExit" in (first.error or "")
    assert second.error is not None


# What crosses the wire -------------------------------------------------------------------------


def test_the_evaluator_of_a_named_problem_travels_as_its_name() -> None:
    problem = graphbo.get_problem("digits-table")
    shipped = Shipped(problem.evaluator)
    assert len(pickle.dumps(shipped)) < 500
    assert len(pickle.dumps(problem.evaluator)) > 100_000
    job = Job(problem.space.sample(np.random.default_rng(0)), problem.fidelity)
    assert len(pickle.dumps(job)) < 2000
    arrived = pickle.loads(pickle.dumps(shipped))
    assert isinstance(arrived.evaluator, TableEvaluator)
    assert arrived.evaluator.evaluate_one(job) == problem.evaluator.evaluate_one(job)


def test_an_evaluator_arrives_once_however_often_it_is_sent() -> None:
    shipped = Shipped(FunctionEvaluator(nodes))
    first, second = (pickle.loads(pickle.dumps(shipped)) for _ in range(2))
    assert first.evaluator is second.evaluator
    light = pickle.dumps(shipped.light())
    store(shipped.key, shipped.payload)
    assert pickle.loads(light).evaluator is first.evaluator


def test_an_evaluator_that_was_changed_travels_whole_and_checkpoints_come_along() -> None:
    evaluator = graphbo.get_problem("mlp-digits").evaluator
    evaluator.checkpoints = "/somewhere"
    assert evaluator.factory is not None
    arrived = pickle.loads(pickle.dumps(Shipped(evaluator))).evaluator
    assert arrived.checkpoints == "/somewhere"
    evaluator.epochs = (1, 2)
    assert evaluator.factory is None


def test_a_large_evaluator_on_an_executor_that_sends_it_with_every_job_is_warned_of() -> None:
    evaluator = FunctionEvaluator(nodes)
    evaluator.ballast = bytes(2**21)  # type: ignore[attr-defined]

    class Remote(ThreadPoolExecutor.__base__):  # type: ignore[misc]
        pass

    with pytest.warns(UserWarning, match=r"is 2.0 MiB, which this executor sends with every job"):
        Dispatcher(Remote(), evaluator, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Dispatcher(ProcessExecutor(1), evaluator, 1)


def test_an_evaluator_that_cannot_be_pickled_is_refused(processes: ProcessExecutor) -> None:
    lock = threading.Lock()

    def locked(architecture: Architecture) -> float:
        with lock:
            return 1.0

    with pytest.raises(InputError, match=r"cannot be sent to another process \(.*\); evaluate in"):
        Dispatcher(processes, FunctionEvaluator(locked), 1).submit(JOBS[:1])


@pytest.mark.parametrize("timeout", [1e10, float("inf")])
def test_a_timeout_may_be_longer_than_any_clock(timeout: float) -> None:
    space = CellSpace(3, ["a"], on="edges")
    study = Study(space, FunctionEvaluator(len), "random", timeout=timeout, executor="threads")
    assert len(study.run(trials=2).trials) == 2
