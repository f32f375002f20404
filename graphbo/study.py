"""The loop: an optimiser proposes, an evaluator evaluates, a storage remembers."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.architecture import Architecture
from graphbo.budget import Budget, Spending
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, Report, final_reports, offered_epochs
from graphbo.executors import Dispatcher, ProcessExecutor, make_executor
from graphbo.goals import Constraint, Goals
from graphbo.optimizers.base import Optimizer, Prior
from graphbo.problems.base import Problem
from graphbo.records import to_dataframe, trial_records
from graphbo.spaces.base import Design, HyperparameterValue, SearchSpace
from graphbo.spaces.description import fingerprint
from graphbo.spaces.written import Written, written_designs
from graphbo.storage import Ask, Storage, begun_with, evaluation_to_text
from graphbo.trial import Evaluation, Fidelity, Job, Trial, longest

if TYPE_CHECKING:
    import pandas

Callback = Callable[[Trial], None]
_FIRST = "first"  # the origin of designs that a user wants tried before others
_CHARGED = "search_seconds"  # the part of a cost that is the optimiser's


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes:
        trials: The finished trials, in the order in which they finished.
        optimizer_seconds: What the optimiser took in all.
        exhausted: Whether the search ended because the space has nothing more to propose.
        goals: What the search was for; None if that was the lowest value alone.
    """

    trials: tuple[Trial, ...]
    optimizer_seconds: float = 0.0
    exhausted: bool = False
    goals: Goals | None = None

    @property
    def failed(self) -> int:
        """The number of failed trials."""
        return sum(trial.value is None for trial in self.trials)

    @property
    def best(self) -> Trial:
        """The trial with the lowest value that keeps the constraints, the earliest of equals.

        Where some of these were trained for more epochs than others, it is among them.

        Raises:
            ValueError: If no trial has completed, or none that completed keeps the constraints.
        """
        if self.failed == len(self.trials):
            last = next((trial.error for trial in reversed(self.trials) if trial.error), None)
            reason = f"; the last one failed with: {last.strip().splitlines()[-1]}" if last else ""
            raise ValueError(f"none of the {len(self.trials)} trials completed{reason}")
        allowed = longest(self.trials) if self.goals is None else self.goals.longest(self.trials)
        if not allowed:
            assert self.goals is not None
            raise ValueError(f"none of the {len(self.trials)} trials keeps {self.goals.bounds}")
        return min(allowed, key=lambda trial: math.inf if trial.value is None else trial.value)

    @property
    def front(self) -> list[Trial]:
        """The Pareto front: the trials that none of the others dominates, if any is feasible.

        Where some keep the constraints after more epochs than others, only those count; see
        `Goals.front`. With one objective it is the best trial alone.
        """
        if self.goals is not None:
            return self.goals.front(self.goals.longest(self.trials))
        return [] if self.failed == len(self.trials) else [self.best]

    def hypervolume(self, reference: Sequence[float]) -> float:
        """Return the volume that the front dominates; see `Goals.hypervolume`.

        Args:
            reference: The largest value of each objective that still counts, in order.

        Raises:
            InputError: If the search has one objective, or the reference another number of values.
        """
        if self.goals is None:
            raise InputError("a search for the lowest value has no hypervolume, only a best trial")
        return self.goals.hypervolume(self.goals.longest(self.trials), reference)

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

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a row for each trial; `trial_records` says what the columns are.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        return to_dataframe(trial_records(self.trials))

    def __repr__(self) -> str:
        counts = f"trials={len(self.trials)}, failed={self.failed}"
        if self.failed == len(self.trials):
            return f"Result({counts})"
        if self.goals is not None and not self.front:
            return f"Result({counts}, none keeps {self.goals.bounds})"
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
        objective: Which of the evaluator's objectives or facts to minimise; by default its first
            objective. With several names the search is for their Pareto front, and the first one is
            the value of a trial; the optimiser must be one for several objectives.
        constraints: What must hold of a result, such as ``"latency_ms<=5"``, on objectives or
            facts. An optimiser that does not know of constraints is told, of a trial that breaks
            them, a value behind those of all that keep them.
        fidelity: How thoroughly to evaluate; by default fully.
        seed: The seed of the evaluations, and of the optimiser if that is given by name.
        storage: The study file, made if it is not there; by default the study is in memory only.
        problem: The name of the problem, for the record.
        batch: How many designs the evaluator takes together; all of them must finish before the
            next are drawn.
        workers: How many evaluations, each of such a batch, run at once. Each is replaced as it
            finishes, and none waits for another.
        executor: Where to evaluate: an executor, of which the study uses so many workers at once,
            or the name of one; see `graphbo.executors.make_executor`. By default an evaluation
            takes place in this thread, several of them in threads where the evaluator gains from
            these, as a table does, else in processes on this machine, pinned one to a GPU.
        ahead: How many designs are proposed before there is a worker for them, so that none waits
            for the optimiser; they do not know of the results that come meanwhile.
        timeout: Seconds that an evaluation may take, else it is a failed trial. By default any.
        retries: How often an evaluation starts again whose worker died.
        budget: What the search is going to spend; only ``"auto"`` looks at it. By default the
            trials of the problem, or 100.
        first: What is evaluated before the optimiser proposes anything, and told to it:
            architectures, also as strings, or configurations; see `written_designs`.
        prior: A prediction made in advance for the optimiser, if that is given by name and takes
            one, such as ``"graph-bo"``: `prior_of_study`, `OperationBelief` or your own.

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
        objective: str | Sequence[str] | None = None,
        constraints: Sequence[str | Constraint] = (),
        fidelity: Fidelity | None = None,
        seed: int = 0,
        storage: str | Path | None = None,
        problem: str | None = None,
        batch: int = 1,
        workers: int = 1,
        executor: Executor | str | None = None,
        ahead: int = 0,
        timeout: float | None = None,
        retries: int = 1,
        budget: Budget | None = None,
        first: Sequence[Written] = (),
        prior: Prior | None = None,
    ) -> None:
        _check_numbers(seed=(seed, 0), batch=(batch, 1), workers=(workers, 1))
        _check_numbers(ahead=(ahead, 0), retries=(retries, 0))
        if timeout is not None and not timeout > 0:
            raise InputError(f"the timeout must be greater than 0 seconds; got {timeout}")
        goals = Goals.of(evaluator.objectives[0] if objective is None else objective, constraints)
        evaluator.request(goals.names)
        _check_names(goals, evaluator)
        evaluator.check_space(space)
        if isinstance(optimizer, str):
            from graphbo.optimizers import AUTO, make_optimizer

            if optimizer == AUTO:
                from graphbo.optimizers.auto import recommend

                optimizer = begun_with(storage) or (
                    recommend(
                        space,
                        evaluator,
                        fidelity,
                        budget=budget,
                        workers=batch * workers,
                        problem=problem,
                        goals=goals,
                    ).optimizer
                )
            epochs = offered_epochs(evaluator, fidelity or {})
            given = {} if prior is None else {"prior": prior}
            chosen = make_optimizer(optimizer, space, seed=seed, epochs=epochs, **given)
        elif prior is not None:
            raise InputError(
                f"the prior is for an optimiser given by name; give it to the {optimizer.name} "
                "that you made instead"
            )
        else:
            chosen = optimizer
        if chosen.told or chosen.pending:
            raise InputError("a study needs an optimiser that has not been asked or told anything")
        if problem is not None:
            chosen.check_problem(problem, fidelity or {})
        chosen.attach(evaluator, fidelity or {})
        chosen.pursue(
            goals,
            {
                name: partial(evaluator.compute, name, fidelity=fidelity)
                for name in goals.names
                if name in evaluator.known
            },
        )
        self.space = space
        self.evaluator = evaluator
        self.optimizer: Optimizer = chosen
        self.goals = goals
        self.objective = goals.objectives[0]
        self.fidelity = dict(fidelity or {})
        self.seed = seed
        self.batch = batch
        self.workers = workers
        self.executor = executor
        self.ahead = ahead
        self.timeout = timeout
        self.retries = retries
        self.trials: list[Trial] = []
        """The finished trials, in the order in which they were told."""
        self._running: dict[int, Trial] = {}
        self._proposals: set[object] = set()
        self._asking: Future[tuple[list[Design], float]] | None = None
        self._asked_at = 0  # the place in the log of that ask
        self._event = 0  # that of the next event
        self._untold: list[Trial] = []
        self._unwritten: deque[Callable[[], None]] = deque()
        self._spending = Spending()
        self._checkpointed: dict[Design, list[Trial]] = {}
        self._asks = 0
        self._optimizer_seconds = 0.0
        self._unstored_seconds = 0.0
        self._charged_seconds = 0.0
        self._exhausted = False
        self._scale: float | None = None
        self._first = chosen.expect(written_designs(space, first, _FIRST))
        self._storage = Storage(storage)
        named = optimizer if isinstance(optimizer, str) else None
        self._storage.identify(self._identity(problem), named)
        self._resume()

    @classmethod
    def of(
        cls, problem: Problem, optimizer: Optimizer | str = "graph-bo", **settings: Any
    ) -> Study:
        """Return a study of a problem; the settings are those of `Study`.

        Objectives, constraints and fidelity are by default those of the problem.
        """
        settings.setdefault("fidelity", problem.fidelity)
        settings.setdefault("budget", Budget(trials=problem.trials))
        settings.setdefault("objective", problem.goals.objectives)
        settings.setdefault("constraints", problem.goals.constraints)
        return cls(
            problem.space,
            problem.evaluator,
            optimizer,
            problem=problem.name,
            **settings,
        )

    @property
    def storage(self) -> Storage:
        """The log of the study, to be read."""
        return self._storage

    @property
    def result(self) -> Result:
        """The result so far."""
        seconds = self._optimizer_seconds + self._unstored_seconds
        goals = None if self.goals.plain else self.goals
        return Result(tuple(self.trials), seconds, self._exhausted, goals)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a row for each finished trial; see `Result.to_dataframe`."""
        return self.result.to_dataframe()

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
            if self._storage.length + len(self._unwritten) != self._asks + len(self.trials):
                raise InputError(
                    f"{self._storage.path} was continued by another search; open the study again"
                )
            self._write()
            self._event = self._storage.next_event()
            if self._first and not self._asks:
                self._take_designs(self._first, 0.0, self._next_event())
            self._exhausted = False
            with self._executed() as executor:
                steps = (
                    self._in_batches(budget)
                    if executor is None
                    else self._in_parallel(budget, executor)
                )
                for trial in steps:
                    budget.check(self._spending)
                    if callback is not None:
                        callback(trial)
        return self.result

    def close(self) -> None:
        """Close the study file."""
        self._storage.close()

    # Evaluating -----------------------------------------------------------------------------

    @contextmanager
    def _executed(self) -> Iterator[Executor | None]:
        """Give the executor, None for this thread; what is not the user's own ends here."""
        if isinstance(self.executor, Executor):
            yield self.executor
        elif self.executor is not None:
            with make_executor(self.executor, self.workers) as executor:
                yield executor
        elif self.workers == 1 and self.timeout is None and not self.ahead:
            yield None
        elif self.evaluator.thread_safe and self.timeout is None:
            with ThreadPoolExecutor(self.workers) as threads:
                yield threads
        else:
            with ProcessExecutor(self.workers) as processes:
                yield processes

    def _in_batches(self, budget: Budget) -> Iterator[Trial]:
        while (free := min(self.batch, budget.left(self._spending))) > 0:
            batch = (list(self._running.values()) or self._ask(free))[:free]
            if not batch:
                return
            waiting = {trial.design: _start(trial) for trial in batch}
            for report in final_reports(self.evaluator, [self._job(trial) for trial in batch]):
                if report.final:
                    yield self._finish(*waiting.pop(report.job.design), report)

    def _in_parallel(self, budget: Budget, executor: Executor) -> Iterator[Trial]:
        dispatcher = Dispatcher(
            executor, self.evaluator, self.workers, timeout=self.timeout, retries=self.retries
        )
        queue = deque(self._running.values())
        started: dict[Design, tuple[Trial, float]] = {}
        cold = True
        with ThreadPoolExecutor(1) as asker:  # results are stored while the optimiser thinks
            try:
                while True:
                    left = budget.left(self._spending) - dispatcher.running
                    wanted = self._wanted(dispatcher.free * self.batch - len(queue), cold)
                    wanted = min(wanted, left - len(queue))
                    if wanted > 0 and self._asking is None and not self._exhausted:
                        self._begin_ask(wanted, asker)
                        if cold and wanted < left:
                            asker.submit(self.optimizer.warm_up)
                        cold = False
                    while queue and left > 0 and dispatcher.free > 0:
                        if self._asking is not None and len(queue) < min(self.batch, left):
                            break  # the batch is going to be filled
                        size = min(self.batch, left, len(queue))
                        batch = [queue.popleft() for _ in range(size)]
                        started |= {trial.design: _start(trial) for trial in batch}
                        dispatcher.submit([self._job(trial) for trial in batch])
                        left -= size
                    idle = not dispatcher.running and self._asking is None
                    if idle and (left <= 0 or self._exhausted or dispatcher.free > 0):
                        return
                    finished = dispatcher.collect(self._asking)
                    if self._asking is not None and self._asking.done():
                        queue += self._end_ask()
                    trials = []
                    for each in finished:
                        trial, clock = started.pop(each.report.job.design)
                        trial = replace(trial, attempts=each.attempts)
                        trials.append(self._finish(trial, clock, each.report))
                    if trials and self._exhausted:  # what it waited for may have been these
                        self._exhausted = not self._running
                    yield from trials
            finally:
                dispatcher.close()
                if self._asking is not None:
                    self._end_ask()

    def _wanted(self, missing: int, first: bool) -> int:
        """Return how many designs to ask for if workers lack some, or have some more (negative)."""
        if first:
            return missing + self.ahead
        # Those that a worker waits for, then those ahead, in parts: neither waits for all.
        part = self.workers * self.batch
        return missing if missing > 0 else min(missing + self.ahead, part)

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

    def _finished(self, trial: Trial, clock: float, report: Report) -> Trial:
        """Return a trial with its result; the clock is the monotonic one when it started."""
        value, error = None, report.error
        if error is None:
            value, error = _outcomes(report.evaluation, self.goals)
        evaluation = report.evaluation
        try:
            evaluation_to_text(evaluation or Evaluation({}))
        except (TypeError, ValueError) as problem:
            evaluation, value = None, None
            error = error or f"the evaluation has an entry that is not a number: {problem}"
        if error is not None:  # names of files may hold what no text in UTF-8 can
            error = error.encode("utf-8", "backslashreplace").decode()
        if evaluation is not None and value is not None and self.optimizer.trains:
            evaluation = self._charged(evaluation)
        # The clock of the wall may have been set back meanwhile.
        finished = (trial.started or 0.0) + time.monotonic() - clock
        return replace(trial, value=value, error=error, evaluation=evaluation, finished=finished)

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
        """Let the optimiser propose designs, and store them as running trials."""
        designs, seconds = self._proposed(n)
        return self._take_designs(designs, seconds, self._next_event())

    def _begin_ask(self, n: int, asker: ThreadPoolExecutor) -> None:
        """Let the optimiser propose designs in another thread; it is told nothing meanwhile."""
        self._asked_at = self._next_event()
        self._asking = asker.submit(self._proposed, n)

    def _end_ask(self) -> list[Trial]:
        assert self._asking is not None
        try:
            designs, seconds = self._asking.result()
        finally:
            self._asking = None
        trials = self._take_designs(designs, seconds, self._asked_at)
        self._tell()
        return trials

    def _proposed(self, n: int) -> tuple[list[Design], float]:
        start = time.perf_counter()
        designs = self.optimizer.ask(n)
        seconds = time.perf_counter() - start
        self._check_new(designs)
        return designs, seconds

    def _check_new(self, designs: Sequence[Design]) -> None:
        """Refuse what would make a study file that cannot be opened again."""
        beside: set[object] = set()
        for design in designs:
            wrong, proposal = None, _proposal(design, self.fidelity | dict(design.fidelity or {}))
            if not self.space.holds(design):
                wrong = f"which is not of the space {self.space.name}"
            elif proposal in self._proposals or proposal in beside:
                wrong = "which it had proposed before"
            if wrong is not None:
                raise InputError(
                    f"the optimiser {self.optimizer.name} proposed {design.architecture!r}, "
                    f"{wrong}; see graphbo.testing.check_optimizer"
                )
            beside.add(proposal)

    def _take_designs(self, designs: Sequence[Design], seconds: float, event: int) -> list[Trial]:
        seconds += self._unstored_seconds
        self._unstored_seconds = 0.0
        first = len(self.trials) + len(self._running)
        trials = tuple(
            Trial(
                design,
                number=number,
                ask=self._asks,
                fidelity=(fidelity := self.fidelity | dict(design.fidelity or {})),
                seed=self._seed_of(design, fidelity, number),
                started=time.time(),
            )
            for number, design in enumerate(designs, start=first)
        )
        number, memory = self._asks, dict(self.optimizer.memory)
        self._take_ask(Ask(trials, seconds))
        self._exhausted = not trials
        self._write(lambda: self._storage.add_ask(number, trials, seconds, memory, event))
        return list(trials)

    def _next_event(self) -> int:
        self._event += 1
        return self._event - 1

    def _write(self, what: Callable[[], None] | None = None) -> None:
        """Write to the storage, and first what could not be written before."""
        if what is not None:
            self._unwritten.append(what)
        while self._unwritten:
            self._unwritten[0]()
            self._unwritten.popleft()

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
        self._proposals.update(_proposal(trial.design, trial.fidelity) for trial in ask.trials)

    def _finish(self, trial: Trial, clock: float, report: Report) -> Trial:
        """Store a trial with its result, and tell the optimiser unless it is being asked."""
        trial, event = self._finished(trial, clock, report), self._next_event()
        self._take_trial(trial)
        self._untold.append(trial)
        self._write(lambda: self._storage.finish(trial, event))
        if self._asking is None:
            self._tell()
        return trial

    def _tell(self) -> None:
        start = time.perf_counter()
        while self._untold:
            self.optimizer.tell(self._as_told(self._untold.pop(0)))
        self._unstored_seconds += time.perf_counter() - start

    def _as_told(self, trial: Trial) -> Trial:
        """Return a finished trial as the optimiser is told of it.

        One that knows of no constraints is told values below 1 of what keeps them, in the order of
        the objective, and above 1 of what breaks them, in the order of the violation: the rule of
        Deb, "An efficient constraint handling method for genetic algorithms", 2000, whatever is
        going to come.
        """
        if trial.value is None or not self.goals.constraints or self.optimizer.constrained:
            return trial
        self._scale = self._scale or abs(trial.value) or 1.0
        beyond = self.goals.violation(trial)
        if beyond > 0:
            return replace(trial, value=1 + beyond / (1 + beyond))
        return replace(trial, value=trial.value / (self._scale + abs(trial.value)))

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
        proposed = (each for entry in log if isinstance(entry, Ask) for each in entry.trials)
        strange = next((each for each in proposed if not self.space.holds(each.design)), None)
        if strange is not None:
            raise InputError(
                f"{self._storage.path} holds a study of another space: its trial {strange.number}, "
                f"{strange.design.architecture!r}, is not of the space {self.space.name} as it is "
                "now; choose another file or folder"
            )
        self.optimizer.memory |= self._storage.memory()
        self.optimizer.replay(
            [trial.design.at(trial.fidelity) for trial in entry.trials]
            if isinstance(entry, Ask)
            else self._as_told(entry)
            for entry in (log[1:] if self._first else log)  # it expects the first ones already
        )
        for entry in log:
            if isinstance(entry, Ask):
                self._take_ask(entry)
            else:
                self._take_trial(entry)

    def _identity(self, problem: str | None) -> dict[str, str]:
        return {
            "problem": str(problem),
            "space": fingerprint(self.space),
            "objective": self.objective,
            **self._further(),
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

    def _further(self) -> dict[str, str]:
        """Return the parts of the identity that only some studies have."""
        further, bounds = self.goals.objectives[1:], sorted(map(str, self.goals.constraints))
        return {
            **({"further objectives": json.dumps(further)} if further else {}),
            **({"constraints": json.dumps(bounds)} if bounds else {}),
            **({"first designs": _named(self._first)} if self._first else {}),
        }


def _proposal(design: Design, fidelity: Fidelity) -> object:
    """Return what is evaluated once."""
    return design, frozenset(fidelity.items())


def _split(fidelity: Fidelity) -> tuple[float, dict[str, float]]:
    """Return the epochs of a fidelity, infinite if they are full, and its other axes."""
    others = {axis: value for axis, value in fidelity.items() if axis != "epochs"}
    return fidelity.get("epochs", math.inf), others


def _start(trial: Trial) -> tuple[Trial, float]:
    """Return a trial as it starts now, and the monotonic clock."""
    return replace(trial, started=time.time()), time.monotonic()


def _check_numbers(**given: tuple[int, int]) -> None:
    for name, (value, least) in given.items():
        if value < least:
            raise InputError(f"the {name} must be at least {least}; got {value}")


def _check_names(goals: Goals, evaluator: Evaluator) -> None:
    """Refuse names that the evaluator is known not to report."""
    reported = list(evaluator.reported)
    # Where facts are not declared, only the first name can be checked.
    for name in goals.objectives[:1] if evaluator.facts is None else goals.names:
        if name not in reported:
            what = "objective" if evaluator.facts is None else "objective or fact"
            raise InputError(f"the evaluator has no {what} {name!r}, only {reported}")


def _named(designs: Sequence[Design]) -> str:
    """Return how many designs there are, and what tells them from others."""
    content = [[d.architecture.key, sorted(d.hyperparameters.items())] for d in designs]
    digest = hashlib.blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()
    return f"{len(designs)} ({digest})"


def _outcomes(evaluation: Evaluation | None, goals: Goals) -> tuple[float | None, str | None]:
    """Return the value of an evaluation, or why it is none for the goals."""
    assert evaluation is not None
    reported = evaluation.outcomes
    numbers = {}
    for name in goals.names:
        kind = "objective" if name in goals.objectives else "fact"
        if name not in reported:
            return None, f"the evaluation has no {kind} {name!r}, only {list(reported)}"
        try:
            numbers[name] = float(reported[name])
        except (TypeError, ValueError):
            return None, f"the {kind} {name!r} is {reported[name]!r}, not a number"
        if not math.isfinite(numbers[name]):
            return None, f"the {kind} {name!r} is {numbers[name]}, not a finite number"
    return numbers[goals.objectives[0]], None
