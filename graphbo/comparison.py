"""Several optimisers on one problem, several seeds each, in parallel and resumable."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphbo.budget import Budget
from graphbo.errors import InputError, MissingExtraError
from graphbo.goals import Constraint, Goals
from graphbo.optimizers import make_optimizer
from graphbo.optimizers.registry import AUTO, file_name
from graphbo.problems.base import Problem
from graphbo.report.fronts import (
    common_scale,
    front_figure,
    hypervolume_curves,
    hypervolume_figure,
    summarize_fronts,
    true_front,
)
from graphbo.report.progress import progress_bar
from graphbo.report.regret import anytime_figure
from graphbo.report.spending import spending_curves, summarize_spending
from graphbo.report.summary import regret_curves, summarize, to_json
from graphbo.report.table import write_evaluations
from graphbo.storage import begun_with
from graphbo.study import Result, Study
from graphbo.trial import Trial


def compare(
    problem: Problem | str,
    optimizers: Sequence[str],
    *,
    trials: int | None = None,
    seeds: int,
    output: str | Path,
    seconds: float | None = None,
    epochs: float | None = None,
    batch: int = 1,
    jobs: int = 2,
    data: str | Path | None = None,
    progress: bool = False,
    objectives: str | Sequence[str] = (),
    constraints: Sequence[str | Constraint] = (),
) -> dict[str, Any]:
    """Run optimisers on a problem, with the seeds 0, 1, ..., and sum up what they found.

    Each run is a study file of its own, ``runs/OPTIMIZER-SEED.sqlite`` (with the batch in its name
    if that is not 1): a comparison that was stopped goes on where it was, finished runs are not run
    again, and a larger number of trials or seeds continues it. Into the folder go
    ``evaluations.parquet`` (or ``.csv`` without the extra ``tables``), ``summary.json`` and, with
    the extra ``plot``, ``anytime.png`` over the evaluations; with a budget in seconds or epochs the
    same over what was spent of it, too.

    With several objectives, it is the hypervolumes that are compared: ``summary.json`` is what
    `graphbo.report.fronts.summarize_fronts` gives, and the pictures are ``hypervolume.png`` and
    ``fronts.png``. With constraints, only trials that keep them count.

    Runs go in processes of their own: a script must call it below ``if __name__ == "__main__":``.

    Args:
        problem: The name of a problem, or a picklable one of your own.
        optimizers: Names of optimisers, with settings or without (see `make_optimizer`); the first
            is compared with each other one, in pairs. ``"auto"`` is what its runs in the folder
            were begun with, at first what `graphbo.advise` names; the summary says which it is.
        trials: The budget of each run in trials.
        seeds: The number of runs of each optimiser.
        output: The folder.
        seconds: The budget of each run in seconds of (simulated) training.
        epochs: The budget of each run in epochs of training.
        batch: How many designs an optimiser proposes at a time; it sees their results together.
        jobs: How many runs go at once, each in its own process with one thread.
        data: The folder or file of the tables; see `get_problem`.
        progress: Whether to show a progress bar.
        objectives: What to minimise; by default what the problem is for. See `Study`.
        constraints: What must hold of a result.

    Returns:
        What ``summary.json`` holds; see `graphbo.report.summarize`.

    Raises:
        InputError: If an argument cannot be used, or the folder holds another comparison.
    """
    budget = Budget(trials, seconds, epochs)
    for name, count in (("number of seeds", seeds), ("number of jobs", jobs), ("batch", batch)):
        if count < 1:
            raise InputError(f"the {name} must be at least 1; got {count}")
    names = list(dict.fromkeys(optimizers))
    if not names:
        raise InputError("a comparison needs at least one optimiser")
    known = _load(problem, data)
    goals = Goals.of(objectives or known.goals.objectives, constraints or known.goals.constraints)
    folder = Path(output)
    suffix = f"-batch{batch}" if batch > 1 else ""
    paths = {
        (name, seed): folder / "runs" / f"{file_name(name)}{suffix}-{seed:03d}.sqlite"
        for seed in range(seeds)
        for name in names
    }
    made = {name: name for name in names}
    if AUTO in made:
        begun = (begun_with(path) for (name, _), path in paths.items() if name == AUTO)
        made[AUTO] = next(filter(None, begun), None) or _advised(known, goals, budget, batch)
    for name in made.values():
        optimizer = make_optimizer(name, known.space, epochs=known.epochs)
        optimizer.check_problem(known.name, known.fidelity)
        optimizer.attach(known.evaluator, known.fidelity)
        optimizer.pursue(goals)
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the output folder {folder} cannot be made: {error}") from error
    results: dict[tuple[str, int], Result] = {}
    for (name, seed), path in paths.items():
        if path.exists():
            results[name, seed] = _open(known, goals, made[name], seed, path)
    limit = sys.maxsize if trials is None else trials
    waiting = [
        run
        for run in paths
        if run not in results or (len(results[run].trials) < limit and not results[run].exhausted)
    ]
    done = sum(min(len(result.trials), limit) for result in results.values())
    total = None if trials is None else len(paths) * trials
    with _shown(progress, f"{len(names)} optimisers x {seeds} seeds", total, done) as bar:
        runs_left = [(made[name], seed, paths[name, seed]) for name, seed in waiting]
        _run_all(problem, goals, data, runs_left, budget, batch, jobs, bar)
    for name, seed in waiting:
        results[name, seed] = _open(known, goals, made[name], seed, paths[name, seed])
    # Runs with a budget of time differ in length; their curves are drawn out to the longest.
    longest = trials or max(len(result.trials) for result in results.values())
    runs = {n: [results[n, s] for s in range(seeds)] for n in names}
    if len(goals.objectives) > 1:
        return _report_fronts(known, goals, runs, longest, folder)
    if goals.constraints or goals.objectives[0] != known.objective:
        known, runs = _pursued(known, goals, runs)
    return _report(known, runs, longest, budget, folder, made.get(AUTO))


def _advised(problem: Problem, goals: Goals, budget: Budget, batch: int) -> str:
    from graphbo.optimizers.auto import recommend

    return recommend(
        problem.space,
        problem.evaluator,
        problem.fidelity,
        budget=budget,
        workers=batch,
        problem=problem.name,
        usual=problem.trials,
        goals=goals,
    ).optimizer


def _report(
    problem: Problem,
    runs: dict[str, list[Result]],
    trials: int,
    budget: Budget,
    folder: Path,
    auto: str | None,
) -> dict[str, Any]:
    # A run of an earlier, longer comparison counts as far as this one goes.
    runs = {
        name: [Result(r.trials[:trials], r.optimizer_seconds * _share(r, trials)) for r in results]
        for name, results in runs.items()
    }
    summary = summarize(problem, runs, trials)
    if auto is not None:
        summary[AUTO] = auto
    limits = {"seconds": budget.seconds, "epochs": budget.epochs}
    spending = {
        unit: spending_curves(problem, runs, limit, unit)
        for unit, limit in limits.items()
        if limit is not None
    }
    summary["spending"] = [
        summarize_spending(points, curves, unit) for unit, (points, curves) in spending.items()
    ]
    write_evaluations(runs, folder)
    try:
        curves = regret_curves(problem, runs, trials)
        figure = anytime_figure(curves, title=problem.name, objective=problem.objective)
        figure.savefig(folder / "anytime.png", dpi=150)
        for unit, (points, curves) in spending.items():
            figure = anytime_figure(
                curves,
                title=problem.name,
                objective=problem.objective,
                points=points,
                unit=f"{unit} of training",
            )
            figure.savefig(folder / f"anytime-{unit}.png", dpi=150)
    except MissingExtraError as error:
        summary["note"] = f"no anytime.png: {error}"
    (folder / "summary.json").write_text(to_json(summary))
    return summary


def _pursued(
    problem: Problem, goals: Goals, runs: dict[str, list[Result]]
) -> tuple[Problem, dict[str, list[Result]]]:
    """Return a problem with the optimum of other goals, and runs in which only they count."""
    (objective,) = goals.objectives
    front = true_front(problem, goals)
    optimum = goals.values(front[0])[0] if front else None
    known = replace(
        problem, objective=objective, optimum=optimum, test_optimum=None, top_permille=None
    )
    return known, {
        name: [
            replace(result, trials=tuple(_counted(t, goals) for t in result.trials), goals=None)
            for result in results
        ]
        for name, results in runs.items()
    }


def _counted(trial: Trial, goals: Goals) -> Trial:
    """Return a trial as one that failed if it breaks the constraints."""
    if trial.value is None or goals.feasible(trial):
        return trial
    return replace(trial, value=None, error=f"breaks {goals.bounds}")


def _report_fronts(
    problem: Problem, goals: Goals, runs: dict[str, list[Result]], trials: int, folder: Path
) -> dict[str, Any]:
    runs = {
        name: [
            Result(r.trials[:trials], r.optimizer_seconds * _share(r, trials), goals=goals)
            for r in results
        ]
        for name, results in runs.items()
    }
    scale = common_scale(problem, goals, runs)
    if scale is None:
        raise InputError(f"no run has a trial that keeps {goals.bounds or 'its objectives finite'}")
    curves = hypervolume_curves(goals, runs, trials, scale)
    summary = summarize_fronts(problem, goals, runs, trials, scale, curves)
    write_evaluations(runs, folder)
    truth = true_front(problem, goals)
    fronts = {
        name: goals.front(trial for result in results for trial in result.front)
        for name, results in runs.items()
    }
    try:
        figure = hypervolume_figure(curves, title=problem.name, best=scale.best)
        figure.savefig(folder / "hypervolume.png", dpi=150)
        title = f"{problem.name}: the fronts of all runs"
        figure = front_figure(fronts, goals, truth=truth, title=title)
        figure.savefig(folder / "fronts.png", dpi=150)
    except MissingExtraError as error:
        summary["note"] = f"no pictures: {error}"
    (folder / "summary.json").write_text(to_json(summary))
    return summary


def _share(result: Result, trials: int) -> float:
    return min(1.0, trials / max(len(result.trials), 1))


def _load(problem: Problem | str, data: str | Path | None) -> Problem:
    if isinstance(problem, Problem):
        return problem
    from graphbo.problems.registry import get_problem

    return get_problem(problem, data)


def _study(problem: Problem, goals: Goals, optimizer: str, **settings: Any) -> Study:
    """Return the study of a run."""
    return Study.of(
        problem,
        optimizer,
        objective=goals.objectives,
        constraints=goals.constraints,
        **settings,
    )


def _open(problem: Problem, goals: Goals, optimizer: str, seed: int, path: Path) -> Result:
    """Return what a run has stored."""
    study = _study(problem, goals, optimizer, seed=seed, storage=path)
    try:
        return study.result
    finally:
        study.close()


# Processes ------------------------------------------------------------------------------------


class _Bar:
    """Shows a number of finished trials."""

    def __init__(self, bar: Any = None, task: Any = None, done: int = 0) -> None:
        self._bar, self._task, self._done = bar, task, done

    def show(self, more: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done + more)


@contextmanager
def _shown(shown: bool, description: str, total: int | None, done: int) -> Iterator[_Bar]:
    if not shown:
        yield _Bar()
        return
    with progress_bar() as bar:
        yield _Bar(bar, bar.add_task(description, total=total, completed=done, note=""), done)


def _run_all(
    problem: Problem | str,
    goals: Goals,
    data: str | Path | None,
    waiting: Sequence[tuple[str, int, Path]],
    budget: Budget,
    batch: int,
    jobs: int,
    bar: _Bar,
) -> None:
    if not waiting:
        return
    try:
        pickle.dumps((problem, goals))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the problem cannot be sent to other processes ({error}); its function must stand at "
            "the top of a module"
        ) from error
    context = multiprocessing.get_context("spawn")
    count, stop = context.Value("q", 0), context.Event()
    with _one_thread():
        executor = ProcessPoolExecutor(
            min(jobs, len(waiting)), context, _start_worker, (problem, goals, data, count, stop)
        )
        futures: set[Future[None]] = {
            executor.submit(_run, name, seed, path, budget, batch) for name, seed, path in waiting
        }
    try:
        while futures:
            done, futures = wait(futures, timeout=0.2)
            bar.show(count.value)
            for future in done:
                future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process of the comparison ended by itself; a script that calls compare must do so "
            'below the line  if __name__ == "__main__":  as each process reads the script again'
        ) from error
    finally:
        # Runs in progress end after the trial they are at; all of them can be resumed.
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let the processes started inside use one thread each, whatever the numerical library."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_worker: dict[str, Any] = {}


def _start_worker(
    problem: Problem | str, goals: Goals, data: str | Path | None, count: Any, stop: Any
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker.update(problem=_load(problem, data), goals=goals, count=count, stop=stop)


def _end_with_parent() -> None:
    """End this process when its parent is killed; its study resumes all the same."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _StoppedError(Exception):
    """The parent asked for an end."""


def _run(optimizer: str, seed: int, path: Path, budget: Budget, batch: int) -> None:
    def callback(trial: Trial) -> None:
        with _worker["count"].get_lock():
            _worker["count"].value += 1
        if _worker["stop"].is_set():
            raise _StoppedError

    if _worker["stop"].is_set():
        return
    problem, goals = _worker["problem"], _worker["goals"]
    study = _study(problem, goals, optimizer, seed=seed, storage=path, batch=batch)
    try:
        study.run(budget.trials, budget.seconds, budget.epochs, callback)
    except _StoppedError:
        return
    finally:
        study.close()
