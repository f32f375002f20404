"""The functional front door: a search, and advice on one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from graphbo.budget import Budget
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator
from graphbo.goals import Constraint
from graphbo.optimizers.base import Optimizer, Prior
from graphbo.problems.base import Problem
from graphbo.report.progress import search_progress
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.joint import HyperparameterSpace
from graphbo.spaces.written import Written
from graphbo.study import Result, Study

if TYPE_CHECKING:
    from graphbo.advice import Advice, Measurement


def minimize(
    objective: Callable[..., float | Mapping[str, float]] | Evaluator,
    space: SearchSpace,
    budget: int = 100,
    seed: int = 0,
    optimizer: Optimizer | str = "graph-bo",
    storage: str | Path | None = None,
    batch: int = 1,
    workers: int = 1,
    executor: Executor | str | None = None,
    timeout: float | None = None,
    progress: bool = False,
    objectives: str | Sequence[str] = (),
    constraints: Sequence[str | Constraint] = (),
    first: Sequence[Written] = (),
    prior: Prior | None = None,
) -> Result:
    """Search a space for the design with the lowest objective, or for a Pareto front.

    Args:
        objective: A function that returns a number, or an `Evaluator`. A function is given the
            `Architecture`; in a `JointSpace` that and the hyperparameters, as a mapping from names
            to values; in a `HyperparameterSpace` the hyperparameters alone. A call that raises or
            returns NaN counts as a failed trial; the search goes on. It may return several numbers
            by name, for `objectives` and `constraints`.
        space: Where to search.
        budget: Number of trials, failed ones and those already stored included.
        seed: The seed of the search; the same seed gives the same search.
        optimizer: The name of an optimiser, ``"auto"`` for the one that `advise` names, or one of
            your own.
        storage: A study file to go on with, made if it is not there.
        batch: How many architectures are proposed at a time.
        workers: How many are evaluated at once; by default in processes on this machine.
        executor: Where they are evaluated instead: an executor, or the name of one such as
            ``"threads"`` or ``"ray"``.
        timeout: Seconds after which an evaluation is a failed trial.
        progress: Whether to show a progress bar.
        objectives: The names of the numbers to minimise; with several the search is for their
            front, and needs an optimiser for that. By default an evaluator's first objective, and
            the number ``"objective"`` of those that a function returns by name.
        constraints: What must hold of the result, such as ``"latency_ms<=5"``.
        first: Architectures or configurations to evaluate before any other; see `Study`.
        prior: What is believed of architectures in advance, for an optimiser that is given by name
            and takes it; see `Study`.

    Returns:
        The result: ``result.architecture``, ``result.hyperparameters``, ``result.value``,
        ``result.trials``, ``result.front``.

    Raises:
        InputError: If an argument cannot be used.

    Example:
        >>> space = graphbo.CellSpace(4, ["conv3x3", "skip"], on="edges")
        >>> graphbo.minimize(lambda architecture: -len(architecture.edges), space, budget=30).value
        -6.0
    """
    if not isinstance(space, SearchSpace):
        raise InputError(f"space must be a search space such as CellSpace; got {space!r}")
    if not isinstance(objective, Evaluator):
        if not callable(objective):
            raise InputError(f"objective must be a function or an Evaluator; got {objective!r}")
        takes = "architecture" if space.hyperparameters is None else "both"
        if isinstance(space, HyperparameterSpace):
            takes = "hyperparameters"
        objective = FunctionEvaluator(objective, objectives or "objective", takes=takes)
    study = Study(
        space,
        objective,
        optimizer,
        objective=objectives or None,
        constraints=constraints,
        seed=seed,
        storage=storage,
        batch=batch,
        workers=workers,
        executor=executor,
        timeout=timeout,
        budget=Budget(trials=budget),
        first=first,
        prior=prior,
    )
    try:
        with search_progress(study, budget, shown=progress) as callback:
            return study.run(trials=budget, callback=callback)
    finally:
        study.close()


def advise(
    problem: Problem | SearchSpace | str,
    trials: int | None = None,
    epochs: float | None = None,
    seconds: float | None = None,
    workers: int = 1,
    *,
    data: str | Path | None = None,
    measurements: Sequence[Measurement] | None = None,
) -> Advice:
    """Return which optimiser to take, from comparisons that were measured.

    The optimisers that can be used are ranked by how they did in searches like this one, in its
    budget, the number of designs at a time, a choice of epochs and what its space is like; see
    `graphbo.advice.advise_from`. Those that choose epochs are among them if the problem offers
    several and the budget is one in epochs or seconds.

    Args:
        problem: A problem, its name or TOML file, or a space.
        trials: The budget in trials; without any budget, that of the problem.
        epochs: The budget in epochs of training.
        seconds: The budget in seconds of training.
        workers: How many designs are evaluated at a time, the ``batch`` of a study.
        data: The folder or file of the tables; see `get_problem`.
        measurements: By default those that come with the package.

    Raises:
        InputError: If an argument cannot be used.

    Example:
        >>> advice = graphbo.advise("digits-table", trials=50)
        >>> graphbo.Study.of(graphbo.get_problem("digits-table"), advice.optimizer).run(trials=50)
    """
    from graphbo.optimizers.auto import recommend

    given = {"trials": trials, "epochs": epochs, "seconds": seconds}
    named = [f"{name}={value}" for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise InputError(f"advice is for one budget; got {' and '.join(named)}")
    budget = Budget(trials, seconds, epochs) if named else None
    if isinstance(problem, SearchSpace):
        return recommend(problem, budget=budget, workers=workers, measurements=measurements)
    if isinstance(problem, str):
        from graphbo.problems.registry import get_problem

        problem = get_problem(problem, data)
    if not isinstance(problem, Problem):
        raise InputError(f"advice is on a problem, its name or a search space; got {problem!r}")
    return recommend(
        problem.space,
        problem.evaluator,
        problem.fidelity,
        budget=budget,
        workers=workers,
        problem=problem.name,
        usual=problem.trials,
        goals=problem.goals,
        measurements=measurements,
    )
