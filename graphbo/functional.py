"""The functional front door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator
from graphbo.optimizers.base import Optimizer
from graphbo.report.progress import search_progress
from graphbo.spaces.base import SearchSpace
from graphbo.study import Result, Study


def minimize(
    objective: Callable[[Architecture], float] | Evaluator,
    space: SearchSpace,
    budget: int = 100,
    seed: int = 0,
    optimizer: Optimizer | str = "graph-bo",
    storage: str | Path | None = None,
    batch: int = 1,
    progress: bool = False,
) -> Result:
    """Search a space for the architecture with the lowest objective.

    Args:
        objective: A function of an `Architecture` that returns a number, or an `Evaluator`. A call
            that raises or returns NaN counts as a failed trial; the search goes on.
        space: Where to search.
        budget: Number of trials, failed ones and those already stored included.
        seed: The seed of the search; the same seed gives the same search.
        optimizer: The name of an optimiser, or one of your own.
        storage: A study file to go on with, made if it is not there.
        batch: How many architectures are proposed at a time.
        progress: Whether to show a progress bar.

    Returns:
        The result: ``result.architecture``, ``result.value``, ``result.trials``.

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
            raise InputError(f"objective must be a function of an architecture; got {objective!r}")
        objective = FunctionEvaluator(objective)
    study = Study(space, objective, optimizer, seed=seed, storage=storage, batch=batch)
    try:
        with search_progress(study, budget, shown=progress) as callback:
            return study.run(trials=budget, callback=callback)
    finally:
        study.close()
