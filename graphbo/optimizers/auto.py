"""The optimiser that the measurements advise: what ``auto`` stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphbo.budget import Budget
from graphbo.errors import InputError, MissingExtraError
from graphbo.evaluators.base import Evaluator, offered_epochs
from graphbo.evaluators.table import TableEvaluator
from graphbo.goals import Goals
from graphbo.optimizers.registry import OPTIMIZERS, make_optimizer
from graphbo.spaces.base import SearchSpace
from graphbo.trial import Fidelity, Job

if TYPE_CHECKING:
    from graphbo.advice import Advice, Measurement, SpaceFeatures

DEFAULT_TRIALS = 100
_PRICED = 20


def recommend(
    space: SearchSpace,
    evaluator: Evaluator | None = None,
    fidelity: Fidelity | None = None,
    *,
    budget: Budget | None = None,
    workers: int = 1,
    problem: str | None = None,
    epochs: Sequence[int] = (),
    usual: int = DEFAULT_TRIALS,
    goals: Goals | None = None,
    measurements: Sequence[Measurement] | None = None,
) -> Advice:
    """Return which optimiser the measurements advise, of those that can be used.

    Epochs are a choice if the evaluator offers several and the budget is one in epochs or seconds:
    in trials, a short training costs as much as a full one.

    Args:
        space: The search space.
        evaluator: What evaluates its designs, if that is known.
        fidelity: How thoroughly it is to do so.
        budget: What the search may spend, by default the usual number of trials. Of several limits
            the one in epochs tells, then that in seconds.
        workers: How many designs are evaluated at a time.
        problem: The name of the problem, if it has one.
        epochs: The numbers of epochs to choose from; by default those of the evaluator.
        usual: The number of trials that is assumed where no other is known.
        goals: What the search is for, if more is known than that it minimises one objective.
        measurements: By default those that come with the package.

    Raises:
        InputError: If there is less than one worker, there are several objectives, or nothing that
            can be used was measured.
    """
    from graphbo.advice import Task, advise_from, read_measurements

    if workers < 1:
        raise InputError(f"the number of workers must be at least 1; got {workers}")
    if goals is not None and len(goals.objectives) > 1:
        raise InputError(
            f"optimisers are advised for one objective; for {', '.join(goals.objectives)} name one "
            "that looks for a front, such as graph-ehvi"
        )
    budget = budget or Budget(trials=usual)
    fidelity = fidelity or {}
    if not epochs and evaluator is not None:
        epochs = offered_epochs(evaluator, fidelity)
    spends = budget.epochs is not None or budget.seconds is not None
    trainings, notes = _trainings(space, evaluator, fidelity, epochs, budget, usual)
    task = Task(space_features(space), trainings, spends and len(epochs) > 1, workers)
    known = read_measurements() if measurements is None else measurements
    measured = {name for each in known for name in each.regrets}
    left_out = unusable(
        sorted(measured), space, evaluator, fidelity, problem=problem, epochs=epochs, spends=spends
    )
    unmeasured = [name for name in OPTIMIZERS if name not in measured]
    return advise_from(
        known,
        task,
        measured - set(left_out),
        left_out=left_out | dict.fromkeys(unmeasured, "not measured"),
        problem=problem or space.name,
        notes=notes,
    )


def unusable(
    names: Iterable[str],
    space: SearchSpace,
    evaluator: Evaluator | None = None,
    fidelity: Fidelity | None = None,
    *,
    problem: str | None = None,
    epochs: Sequence[int] = (),
    spends: bool = False,
) -> dict[str, str]:
    """Return why some optimisers cannot be used, by name.

    Args:
        names: The optimisers.
        space: The search space.
        evaluator: What evaluates its designs, if that is known.
        fidelity: How thoroughly it is to do so.
        problem: The name of the problem, if it has one.
        epochs: The numbers of epochs to choose from.
        spends: Whether the budget counts a short training for less than a full one.
    """
    found: dict[str, str] = {}
    for name in names:
        try:
            optimizer = make_optimizer(name, space, epochs=epochs)
            if optimizer.multi_fidelity and not spends:
                raise InputError(
                    "chooses epochs, and a budget in trials counts a short training as a full one; "
                    "give one in epochs or seconds"
                )
            if problem is not None:
                optimizer.check_problem(problem, fidelity or {})
            if evaluator is not None:
                optimizer.attach(evaluator, fidelity or {})
        except (InputError, MissingExtraError) as error:
            found[name] = str(error)
    return found


def space_features(space: SearchSpace) -> SpaceFeatures:
    """Return what measurements are told apart by; the encoder is the one of ``embedding-bo``."""
    from graphbo.advice import SpaceFeatures

    return SpaceFeatures.of(space, encoder=not unusable(["embedding-bo"], space))


def _trainings(
    space: SearchSpace,
    evaluator: Evaluator | None,
    fidelity: Fidelity,
    epochs: Sequence[int],
    budget: Budget,
    usual: int,
) -> tuple[float, list[str]]:
    """Return a budget as a number of full trainings, and what had to be assumed for that."""
    assumed = f"so the advice is for a budget of {usual} full trainings"
    if budget.epochs is not None:
        full = fidelity.get("epochs", max(epochs, default=0))
        if full:
            return budget.epochs / full, []
        return usual, [f"how many epochs a full training has is not known, {assumed}"]
    if budget.seconds is not None:
        price = _price(space, evaluator, fidelity)
        if price > 0:
            return budget.seconds / price, []
        return usual, [f"how long a full training takes is not known, {assumed}"]
    assert budget.trials is not None
    return budget.trials, []


def _price(space: SearchSpace, evaluator: Evaluator | None, fidelity: Fidelity) -> float:
    """Return the mean seconds of a full training, 0 if only training for real would tell."""
    if not isinstance(evaluator, TableEvaluator):
        return 0.0
    rng = np.random.default_rng(0)
    jobs = [Job(space.sample(rng), fidelity) for _ in range(_PRICED)]
    costs = [report.evaluation.cost for report in evaluator.evaluate(jobs) if report.evaluation]
    known = [cost for cost in costs if math.isfinite(cost) and cost > 0]
    return float(np.mean(known)) if known else 0.0
