"""The functional front door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graphbo.errors import InputError
from graphbo.evaluators.base import Evaluator, FunctionEvaluator
from graphbo.optimizers.base import Optimizer
from graphbo.report.progress import search_progress
from graphbo.spaces.base import SearchSpace
from graphbo.spaces.joint import HyperparameterSpace
from graphbo.study import Result, Study


def minimize(
    objective: Callable[..., float] | Evaluator,
    space: SearchSpace,
    budget: int = 100,
    seed: int = 0,
    optimizer: Optimizer | str = "graph-bo",
    storage: str | Path | None = None,
    batch: int = 1,
    progress: bool = False,
) -> Result:
    """Search a space for the design with the lowest objective.

    Args:
        objective: A function that returns a number, or an `Evaluator`. A function is given the
            `Architecture`; in a `JointSpace` that and the hyperparameters, as a mapping from names
            to values; in a `HyperparameterSpace` the hyperparameters alone. A call that raises or
            returns NaN counts as a failed trial; the search goes on.
        space: Where to search.
        budget: Number of trials, failed ones and those already stored included.
        seed: The seed of the search; the same seed gives the same search.
        optimizer: The name of an optimiser, or one of your own.
        storage: A study file to go on with, made if it is not there.
        batch: How many architectures are proposed at a time.
        progress: Whether to show a progress bar.

    Returns:
        The result: ``result.architecture``, ``result.hyperparameters``, ``result.value``,
        ``result.trials``.

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
        objective = FunctionEvaluator(objective, takes=takes)
    study = Study(space, objective, optimizer, seed=seed, storage=storage, batch=batch)
    try:
        with search_progress(study, budget, shown=progress) as callback:
            return study.run(trials=budget, callback=callback)
    finally:
        study.close()
