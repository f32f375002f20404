"""Gradient steps of the acquisition function in the numbers of a design."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor

from graphbo.acquisition.expected_improvement import differentiable_score
from graphbo.acquisition.pool import Scorer
from graphbo.spaces.base import INACTIVE, Design, SearchSpace
from graphbo.spaces.joint import JointSpace
from graphbo.surrogates.model import SurrogateModel

_STARTS = 5
_STEPS = 40


def with_ascents(
    space: SearchSpace,
    pool: Sequence[Design],
    exclude: Collection[Design],
    scorer: Scorer,
    rows: Callable[[Sequence[Design]], Tensor],
    models: Sequence[SurrogateModel],
    pending: Tensor | None = None,
    best: Sequence[Tensor] | None = None,
) -> list[Design]:
    """Return a pool with what gradient steps reach from its best designs; see `ascended`.

    Args:
        space: The search space.
        pool: The designs; of none, nothing is returned.
        exclude: What must not join them.
        scorer: The acquisition function.
        rows: See `ascended`, as for the others.
        models: Models of targets to be minimised.
        pending: Points being evaluated.
        best: What an improvement improves on.
    """
    if not pool:  # all of a finite space has been seen
        return []
    reached = ascended(space, pool, scorer(pool), rows, models, pending, best)
    return list(dict.fromkeys([*pool, *(design for design in reached if design not in exclude)]))


def ascended(
    space: SearchSpace,
    pool: Sequence[Design],
    scores: npt.NDArray[np.float64],
    rows: Callable[[Sequence[Design]], Tensor],
    models: Sequence[SurrogateModel],
    pending: Tensor | None = None,
    best: Sequence[Tensor] | None = None,
) -> list[Design]:
    """Return designs that gradient steps reach from the best ones of a pool.

    The architecture, the choices, and what is inactive stay as they are; the numbers move together
    by L-BFGS-B to where the expected improvement is largest. Whole numbers are rounded at the end.
    What is pending counts as observed at its expected value (the kriging believer).

    Reference for the believer: Ginsbourger et al., "Kriging is well-suited to parallelize
    optimization", 2010.

    Args:
        space: The search space.
        pool: The designs to start from; those with the 5 highest scores do.
        scores: The scores of the pool.
        rows: Gives designs the rows that the models take, in which the entries of the
            hyperparameters follow those of the architecture.
        models: Models of targets to be minimised.
        pending: Points being evaluated.
        best: What an improvement improves on, for each model; see `score`.

    Returns:
        Designs, none if there are no numbers to move.
    """
    if not isinstance(space, JointSpace):
        return []
    beside = space.hyperparameters
    starts = [pool[int(i)] for i in np.argsort(-scores, kind="stable")[:_STARTS]]
    points = rows(starts)
    columns = slice(space.width, space.width + len(beside.columns))
    numbers = torch.tensor([not column.choices for column in beside.columns], dtype=torch.bool)
    movable = numbers & (points[:, columns] != INACTIVE)
    if not movable.any():
        return []
    entries = points[:, columns]
    if best is None:
        best = [model.train_targets.min() for model in models]
    if pending is not None and len(pending):
        models = [_believing(model, pending) for model in models]

    def loss(moved: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        at = entries.clone()
        at[movable] = torch.from_numpy(moved)
        at.requires_grad_()
        X = torch.cat([points[:, : columns.start], at, points[:, columns.stop :]], dim=-1)
        value = -differentiable_score(models, X, best).sum()
        (gradient,) = torch.autograd.grad(value, at)
        return value.item(), gradient[movable].numpy()

    start = entries[movable].numpy()
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(start),
        options={"maxiter": _STEPS},
    )  # fmt: skip
    at = entries.clone()
    at[movable] = torch.from_numpy(np.clip(found.x, 0, 1))
    reached = []
    for design, vector in zip(starts, at.tolist(), strict=True):
        values = beside.values(tuple(vector))
        if values is not None:
            reached.append(replace(design, hyperparameters=values).described("gradient"))
    return reached


def _believing(model: SurrogateModel, pending: Tensor) -> SurrogateModel:
    """Return a copy of a model to which what is pending is what was expected of it."""
    believer = copy.deepcopy(model)
    expected, _ = model.moments(pending)
    targets = torch.cat([model.train_targets, expected]).unsqueeze(-1)
    believer.observe(torch.cat([model.train_inputs[0], pending]), targets)
    return believer
