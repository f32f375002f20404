"""Keeps an executor busy with jobs, and turns whatever becomes of them into reports."""

from __future__ import annotations

import math
import time
import traceback
import warnings
from collections.abc import Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from typing import Any

from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, Report
from graphbo.executors.shipping import Shipped, carry_out
from graphbo.trial import Job

_HEAVY = 2**20
_LONGEST_WAIT = 1e6  # seconds; what the platform can wait for has an end


@dataclass(frozen=True)
class Finished:
    """A job that is over.

    Attributes:
        report: Its evaluation, or the traceback of its failure.
        attempts: How often it was started.
    """

    report: Report
    attempts: int


@dataclass(frozen=True)
class _Unit:
    """Jobs that one worker carries out together."""

    jobs: tuple[Job, ...]
    submitted: float
    attempts: int


class Dispatcher:
    """Submits jobs to an executor, retries those whose worker died, and ends those that hang.

    What an evaluator raises is a result. Anything else that goes wrong is the fault of a worker,
    such as its death, and the jobs that it was at start again, up to so many times. Jobs that take
    longer than the time that they have are failed, and cancelled: which ends a worker of
    `ProcessExecutor` or `RayExecutor`, while other executors cannot end what runs, so that its
    worker stays occupied.

    Args:
        executor: Where the jobs run.
        evaluator: Carries them out.
        workers: How many calls to it may run at once.
        timeout: Seconds that a call may take; by default any. They count from when it is submitted,
            or where the executor tells it, as `ProcessExecutor` does, when a worker got it that was
            ready.
        retries: How often jobs whose worker died start again.

    Raises:
        InputError: If an argument is out of range.
    """

    def __init__(
        self,
        executor: Executor,
        evaluator: Evaluator,
        workers: int,
        *,
        timeout: float | None = None,
        retries: int = 1,
    ) -> None:
        self.executor = executor
        self.workers = workers
        self.timeout = timeout
        self.retries = retries
        self._shipped = Shipped(evaluator)
        self._units: dict[Future[Any], _Unit] = {}
        self._hanging: set[Future[Any]] = set()
        if not isinstance(executor, ThreadPoolExecutor) and not getattr(
            executor, "ships_once", False
        ):
            _warn_if_heavy(len(self._shipped.payload))

    @property
    def running(self) -> int:
        """The number of jobs that run."""
        return sum(len(unit.jobs) for unit in self._units.values())

    @property
    def free(self) -> int:
        """The number of workers that are free."""
        self._hanging = {future for future in self._hanging if not future.done()}
        return self.workers - len(self._units) - len(self._hanging)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start jobs, together on one worker.

        Raises:
            BrokenExecutor: If the executor takes none any more.
            InputError: If the evaluator cannot be sent to it.
        """
        self._start(tuple(jobs), 1)

    def collect(self, beside: Future[Any] | None = None) -> list[Finished]:
        """Wait for jobs to be over, and return them, in the order in which they were submitted.

        Args:
            beside: Return when this is done, too, perhaps with nothing.

        Raises:
            BrokenExecutor: If the executor is.
            InputError: If all workers hang for good.
        """
        if self.free <= 0 and not self._units and beside is None:
            raise InputError(
                f"all {self.workers} workers hang in evaluations that took longer than "
                f"{self.timeout:g} s, and this executor cannot end them; take graphbo's processes"
            )
        futures = {*self._units, *self._hanging, *([] if beside is None else [beside])}
        done, _ = wait(futures, self._until_next(), return_when=FIRST_COMPLETED)
        finished: list[Finished] = []
        for future, unit in list(self._units.items()):
            if future in done:
                del self._units[future]
                finished += self._over(future, unit)
            elif self.timeout is not None and time.monotonic() >= self._deadline(future, unit):
                del self._units[future]
                finished += self._late(future, unit)
        return finished

    def close(self) -> None:
        """Cancel what runs."""
        for future in self._units:
            future.cancel()

    def _start(self, jobs: tuple[Job, ...], attempts: int) -> None:
        future = self.executor.submit(carry_out, self._shipped, jobs)
        self._units[future] = _Unit(jobs, time.monotonic(), attempts)

    def _deadline(self, future: Future[Any], unit: _Unit) -> float:
        assert self.timeout is not None
        started = getattr(future, "started", unit.submitted)
        return math.inf if started is None else float(started) + self.timeout

    def _until_next(self) -> float | None:
        """Return the seconds until the time of a unit may be up."""
        if self.timeout is None or not self._units:
            return None
        deadlines = [self._deadline(future, unit) for future, unit in self._units.items()]
        # What waits for its worker to be ready has no deadline yet.
        left = min(*deadlines, time.monotonic() + self.timeout) - time.monotonic()
        return min(max(0.0, left), _LONGEST_WAIT)

    def _over(self, future: Future[Any], unit: _Unit) -> list[Finished]:
        try:
            return [Finished(report, unit.attempts) for report in future.result()]
        except BrokenExecutor:
            raise  # says nothing about these jobs: every later one would fail alike
        except Exception as error:
            if unit.attempts <= self.retries:
                self._start(unit.jobs, unit.attempts + 1)
                return []
            text = "".join(traceback.format_exception(error))
            tried = f"after {unit.attempts} attempts" if unit.attempts > 1 else "at once"
            return _failed(unit, f"{text}given up {tried}: {type(error).__name__}: {error}")

    def _late(self, future: Future[Any], unit: _Unit) -> list[Finished]:
        if not future.cancel():
            self._hanging.add(future)
        assert self.timeout is not None
        return _failed(unit, f"TimeoutError: there was no result within {self.timeout:g} s")


def _failed(unit: _Unit, error: str) -> list[Finished]:
    return [Finished(Report(job, error=error), unit.attempts) for job in unit.jobs]


def _warn_if_heavy(size: int) -> None:
    if size > _HEAVY:
        warnings.warn(
            f"the evaluator is {size / 2**20:.1f} MiB, which this executor sends with every job; "
            "give it a factory, or take one of graphbo's executors, which send it once",
            stacklevel=4,
        )
