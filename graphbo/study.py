"""The loop: an optimiser proposes, an evaluator evaluates, a storage remembers."""

from __future__ import annotations

import hashlib
import json
import math
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from graphbo.architecture import Architecture
from graphbo.budget import Budget, Spending
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, Report, offered_epochs
from graphbo.optimizers.base import Optimizer
from graphbo.problems.base import Problem
from graphbo.spaces.base import Design, HyperparameterValue, SearchSpace
from graphbo.spaces.description import beside
from graphbo.storage import Ask, Storage, begun_with, evaluation_to_text
from graphbo.trial import Evaluation, Fidelity, Job, Trial, longest

Callback = Callable[[Trial], None]
_CHARGED = "search_seconds"  # the part of a cost that is the optimiser's


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes:
        trials: The finished trials, in the order in which they finished.
        optimizer_seconds: What the optimiser took in all.
        exhausted: Whether the search ended because the space has nothing more to propose.
    """

    trials: tuple[Trial, ...]
    optimizer_seconds: float = 0.0
    exhausted: bool = False

    @property
    def failed(self) -> int:
        """The number of failed trials."""
        return sum(trial.value is None for trial in self.trials)

    @property
    def best(self) -> Trial:
        """The trial with the lowest value, the earliest of equals.

        Where some were trained for more epochs than others, it is one of those trained longest.

        Raises:
            ValueError: If no trial has completed.
        """
        full = longest(self.trials)
        values = [math.inf if trial.value is None else trial.value for trial in full]
        if self.failed == len(self.trials):
            last = next((trial.error for trial in reversed(self.trials) if trial.error), None)
            reason = f"; the last one failed with: {last.strip().splitlines()[-1]}" if last else ""
            raise ValueError(f"none of the {len(self.trials)} trials completed{reason}")
        return full[values.index(min(values))]

    @property
    def architecture(self) -> Architecture:
        """The architecture of the best trial."""
        return self.best.design.architecture

    @property
    def hyperparameters(self) -> Mapping[str, HyperparameterValue]:
        """The hyperparameters of the best trial; empty if the space has none."""
        return self.best.design.hyperparameters

    @property
    def value(self) -> float:
        """The objective of the best trial."""
        value = self.best.value
        assert value is not None
        return value

    def __repr__(self) -> str:
        counts = f"trials={len(self.trials)}, failed={self.failed}"
        if self.failed == len(self.trials):
            return f"Result({counts})"
        beside = f", hyperparameters={self.hyperparameters}" if self.hyperparameters else ""
        found = f"value={self.value:.6g}, architecture={self.architecture!r}{beside}"
        return f"Result({found}, {counts})"


class Study:
    """A search that can be stopped at any moment and goes on where it was.

    Every finished trial is stored before anything else happens. A new `Study` of the same space,
    optimiser, seed and storage takes over the stored trials; those that were running run again,
    first and under their old numbers; an evaluator that keeps checkpoints goes on from them. With
    one job at a time and a deterministic evaluator the history is then that of an uninterrupted
    run.

    A design that was completed after fewer epochs is evaluated with the same seed, and its job is
    given the checkpoint that the evaluator left then.

    What an optimiser takes that trains networks itself, such as ``"darts"``, is part of the cost of
    the trial that completes next, which states it as the fact ``search_seconds``.

    Args:
        space: The search space.
        evaluator: Evaluates its designs. What it raises, or an objective that is no finite number,
            makes a failed trial; the search goes on.
        optimizer: A fresh optimiser on the space, or the name of one. ``"auto"`` is what a stored
            study was begun with, and for a new one what `graphbo.advise` names.
        objective: Which of the evaluator's objectives to minimise; by default its first.
        fidelity: How thoroughly to evaluate; by default fully.
        seed: The seed of the evaluations, and of the optimiser if that is given by name.
        storage: The study file, made if it is not there; by default the study is in memory only.
        problem: The name of the problem, for the record.
        batch: How many designs are evaluated at once. Without an executor, the evaluator takes
            them together and all must finish before the next are drawn; with one, each is replaced
            as it finishes.
        executor: Where to evaluate. The evaluator must be picklable if it has processes.
        budget: What the search is going to spend; only ``"auto"`` looks at it. By default the
            trials of the problem, or 100.

    Raises:
        InputError: If an argument cannot be used, the optimiser must not be used on the problem,
            or the file holds another study.

    Example:
        >>> study = Study(space, evaluator, "graph-bo", storage="study.sqlite")
        >>> study.run(trials=100).architecture
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluator: Evaluator,
        optimizer: Optimizer | str = "graph-bo",
        *,
        objective: str | None = None,
        fidelity: Fidelity | None = None,
        seed: int = 0,
        storage: str | Path | None = None,
        problem: str | None = None,
        batch: int = 1,
        executor: Executor | None = None,
        budget: Budget | None = None,
    ) -> None:
        if seed < 0:
            raise InputError(f"the seed must be at least 0; got {seed}")
        if batch < 1:
            raise InputError(f"the batch must be at least 1; got {batch}")
        if objective is not None and objective not in evaluator.objectives:
            raise InputError(
                f"the evaluator has no objective {objective!r}, only {list(evaluator.objectives)}"
            )
        if isinstance(optimizer, str):
            from graphbo.optimizers import AUTO, make_optimizer

            if optimizer == AUTO:
                from graphbo.optimizers.auto import recommend

                optimizer = begun_with(storage) or (
                    recommend(
                        space, evaluator, fidelity, budget=budget, workers=batch, problem=problem
                    ).optimizer
                )
            epochs = offered_epochs(evaluator, fidelity or {})
            chosen = make_optimizer(optimizer, space, seed=seed, epochs=epochs)
        else:
            chosen = optimizer
        if chosen.told or chosen.pending:
            raise InputError("a study needs an optimiser that has not been asked or told anything")
        if problem is not None:
            chosen.check_problem(problem, fidelity or {})
        chosen.attach(evaluator, fidelity or {})
        self.space = space
        self.evaluator = evaluator
        self.optimizer: Optimizer = chosen
        self.objective = objective or evaluator.objectives[0]
        self.fidelity = dict(fidelity or {})
        self.seed = seed
        self.batch = batch
        self.executor = executor
        self.trials: list[Trial] = []
        """The finished trials, in the order in which they were told."""
        self._running: dict[int, Trial] = {}
        self._spending = Spending()
        self._checkpointed: dict[Design, list[Trial]] = {}
        self._asks = 0
        self._optimizer_seconds = 0.0
        self._unstored_seconds = 0.0
        self._charged_seconds = 0.0
        self._exhausted = False
        self._storage = Storage(storage)
        named = optimizer if isinstance(optimizer, str) else None
        self._storage.identify(self._identity(problem), named)
        self._resume()

    @classmethod
    def of(
        cls, problem: Problem, optimizer: Optimizer | str = "graph-bo", **settings: Any
    ) -> Study:
        """Return a study of a problem; the settings are those of `Study`."""
        settings.setdefault("budget", Budget(trials=problem.trials))
        return cls(
            problem.space,
            problem.evaluator,
            optimizer,
            objective=problem.objective,
            fidelity=problem.fidelity,
            problem=problem.name,
            **settings,
        )

    @property
    def result(self) -> Result:
        """The result so far."""
        seconds = self._optimizer_seconds + self._unstored_seconds
        return Result(tuple(self.trials), seconds, self._exhausted)

    def run(
        self,
        trials: int | None = None,
        seconds: float | None = None,
        epochs: float | None = None,
        callback: Callback | None = None,
    ) -> Result:
        """Search until a budget is used up, or the space is.

        A budget is that of the whole study: what was stored before counts. No trial starts once
        the finished ones have used up a budget; those that have started finish, and count in full,
        so that a budget in seconds or epochs is exceeded by at most the trials then running.

        Args:
            trials: Number of trials, failed ones included.
            seconds: Seconds of evaluation, as the evaluator states its cost (a table: of simulated
                training); a trial that raised counts the time that it took.
            epochs: Epochs of training; a trial that raised counts in full.
            callback: Called with each finished trial after it is stored. An exception that it
                raises ends the search; the study can be resumed.

        Returns:
            The best trial and the history.

        Raises:
            InputError: If there is no budget or it is not positive, if the evaluator does not
                state the cost that the budget is in, or if the study is in use elsewhere.
        """
        budget = Budget(trials, seconds, epochs)
        with self._storage.exclusive():
            if self._storage.length != self._asks + len(self.trials):
                raise InputError(
                    f"{self._storage.path} was continued by another search; open the study again"
                )
            self._exhausted = False
            steps = self._in_batches(budget) if self.executor is None else self._in_parallel(budget)
            for trial in steps:
                self._finish(trial)
                budget.check(self._spending)
                if callback is not None:
                    callback(trial)
        return self.result

    def close(self) -> None:
        """Close the study file."""
        self._storage.close()

    # Evaluating -----------------------------------------------------------------------------

    def _in_batches(self, budget: Budget) -> Iterator[Trial]:
        while (free := min(self.batch, budget.left(self._spending))) > 0:
            batch = (list(self._running.values()) or self._ask(free))[:free]
            if not batch:
                return
            waiting = {trial.design: replace(trial, started=time.time()) for trial in batch}
            for report in self._reports([self._job(trial) for trial in batch]):
                if report.evaluation is not None or report.error is not None:
                    yield self._finished(waiting.pop(report.job.design), report)

    def _reports(self, jobs: Sequence[Job]) -> Iterator[Report]:
        """Yield a final report for each job, whatever the evaluator does."""
        open_jobs = {job.design: job for job in jobs}
        error = "the evaluator ended without a report on this job"
        try:
            for report in self.evaluator.evaluate(jobs):
                if report.evaluation is not None or report.error is not None:
                    del open_jobs[report.job.design]
                yield report
        except Exception:
            error = traceback.format_exc()
        for job in open_jobs.values():
            yield Report(job, error=error)

    def _in_parallel(self, budget: Budget) -> Iterator[Trial]:
        assert self.executor is not None
        queue = list(self._running.values())
        futures: dict[Future[Evaluation], Trial] = {}
        try:
            while True:
                free = min(self.batch, budget.left(self._spending)) - len(futures)
                if free > 0 and not queue and not self._exhausted:
                    queue = self._ask(free)
                for _ in range(min(free, len(queue))):
                    trial = replace(queue.pop(0), started=time.time())
                    future = self.executor.submit(self.evaluator.evaluate_one, self._job(trial))
                    futures[future] = trial
                if not futures:
                    return
                done, _ = wait(futures, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda future: futures[future].number):
                    trial = futures.pop(future)
                    yield self._finished(trial, _report(future, self._job(trial)))
        finally:
            for future in futures:
                future.cancel()

    def _job(self, trial: Trial) -> Job:
        earlier = self._earlier(trial.design, trial.fidelity)
        if earlier is None or earlier.seed != trial.seed:
            return Job(trial.design, trial.fidelity, trial.seed)
        assert earlier.evaluation is not None
        return Job(trial.design, trial.fidelity, trial.seed, earlier.evaluation.checkpoint)

    def _earlier(self, design: Design, fidelity: Fidelity) -> Trial | None:
        """Return the longest of the trials that an evaluation can go on from, if there is one.

        Such a trial has left a checkpoint after fewer epochs, at a fidelity that is else the same.
        """
        epochs, others = _split(fidelity)
        lower = [
            trial
            for trial in self._checkpointed.get(design, ())
            if _split(trial.fidelity)[0] < epochs and _split(trial.fidelity)[1] == others
        ]
        return max(lower, key=lambda trial: _split(trial.fidelity)[0], default=None)

    def _finished(self, trial: Trial, report: Report) -> Trial:
        value, error = None, report.error
        if error is None:
            value, error = _objective(report.evaluation, self.objective)
        evaluation = report.evaluation if isinstance(report.evaluation, Evaluation) else None
        try:
            evaluation_to_text(evaluation or Evaluation({}))
        except (TypeError, ValueError) as problem:
            evaluation, value = None, None
            error = error or f"the evaluation has an entry that is not a number: {problem}"
        if evaluation is not None and value is not None and self.optimizer.trains:
            evaluation = self._charged(evaluation)
        return replace(trial, value=value, error=error, evaluation=evaluation, finished=time.time())

    def _charged(self, evaluation: Evaluation) -> Evaluation:
        """Add the seconds of asks that no completed trial has in its cost yet."""
        seconds = self._optimizer_seconds - self._charged_seconds
        return replace(
            evaluation,
            cost=float(evaluation.cost) + seconds,
            facts={**evaluation.facts, _CHARGED: seconds},
        )

    # Remembering ----------------------------------------------------------------------------

    def _ask(self, n: int) -> list[Trial]:
        start = time.perf_counter()
        designs = self.optimizer.ask(n)
        seconds = self._unstored_seconds + time.perf_counter() - start
        first = len(self.trials) + len(self._running)
        trials = [
            Trial(
                design,
                number=number,
                ask=self._asks,
                fidelity=(fidelity := self.fidelity | dict(design.fidelity or {})),
                seed=self._seed_of(design, fidelity, number),
                started=time.time(),
            )
            for number, design in enumerate(designs, start=first)
        ]
        self._storage.add_ask(self._asks, trials, seconds, self.optimizer.memory)
        self._take_ask(Ask(tuple(trials), seconds))
        self._unstored_seconds = 0.0
        self._exhausted = not trials
        return trials

    def _seed_of(self, design: Design, fidelity: Fidelity, number: int) -> int:
        """Return a trial's seed: of the study and the number, or of the trial it goes on from."""
        earlier = self._earlier(design, fidelity)
        if earlier is not None:
            return earlier.seed
        return int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])

    def _take_ask(self, ask: Ask) -> None:
        self._asks += 1
        self._optimizer_seconds += ask.seconds
        self._running |= {trial.number: trial for trial in ask.trials}

    def _finish(self, trial: Trial) -> None:
        self._storage.finish(trial)
        self._take_trial(trial)
        start = time.perf_counter()
        self.optimizer.tell(trial)
        self._unstored_seconds += time.perf_counter() - start

    def _take_trial(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._spending.add(trial)
        if self.optimizer.trains and trial.evaluation is not None:
            self._charged_seconds += trial.evaluation.facts.get(_CHARGED, 0.0)
        del self._running[trial.number]
        if trial.state == "completed" and trial.evaluation and trial.evaluation.checkpoint:
            self._checkpointed.setdefault(trial.design, []).append(trial)

    def _resume(self) -> None:
        log = self._storage.log()
        self.optimizer.memory |= self._storage.memory()
        self.optimizer.replay(
            [trial.design.at(trial.fidelity) for trial in entry.trials]
            if isinstance(entry, Ask)
            else entry
            for entry in log
        )
        for entry in log:
            if isinstance(entry, Ask):
                self._take_ask(entry)
            else:
                self._take_trial(entry)

    def _identity(self, problem: str | None) -> dict[str, str]:
        return {
            "problem": str(problem),
            "space": _fingerprint(self.space),
            "objective": self.objective,
            "fidelity": json.dumps(self.fidelity, sort_keys=True),
            "optimizer": self.optimizer.name,
            "settings": json.dumps(self.optimizer.settings, sort_keys=True, default=repr),
            "seed": str(self.seed),
            "seed of the optimiser": str(self.optimizer.seed),
            **{
                f"{name} of the evaluator": json.dumps(value, sort_keys=True)
                for name, value in self.evaluator.describe().items()
            },
        }


def _split(fidelity: Fidelity) -> tuple[float, dict[str, float]]:
    """Return the epochs of a fidelity, infinite if they are full, and its other axes."""
    others = {axis: value for axis, value in fidelity.items() if axis != "epochs"}
    return fidelity.get("epochs", math.inf), others


def _report(future: Future[Evaluation], job: Job) -> Report:
    try:
        return Report(job, future.result())
    except BrokenExecutor:
        raise  # says nothing about this job: every later one would fail alike
    except Exception as error:
        return Report(job, error="".join(traceback.format_exception(error)))


def _objective(evaluation: object, name: str) -> tuple[float | None, str | None]:
    """Return the objective's value, or why there is none."""
    if not isinstance(evaluation, Evaluation):
        return None, f"the evaluator returned {type(evaluation).__name__}, not an Evaluation"
    if name not in evaluation.objectives:
        return None, f"the evaluation has no objective {name!r}, only {list(evaluation.objectives)}"
    value: Any = evaluation.objectives[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None, f"the objective {name!r} is {value!r}, not a number"
    if not math.isfinite(number):
        return None, f"the objective {name!r} is {number}, not a finite number"
    return number, None


def _fingerprint(space: SearchSpace) -> str:
    """Name a space so that another one under the same name is told apart."""
    decisions: Iterable[object] = (
        (d.name, d.choices, sorted((k, list(v)) for k, v in d.conditions.items()), d.ordered)
        for d in space.decisions
    )
    text = json.dumps([list(decisions), list(space.operations), *beside(space)])
    return f"{space.name} ({hashlib.blake2b(text.encode(), digest_size=4).hexdigest()})"
