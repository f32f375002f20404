"""Measurements made up of ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from graphbo.advice import Measurement, SpaceFeatures


def measurement(
    name: str,
    order: str | Sequence[str],
    *,
    points: Sequence[float] = (100,),
    space: SpaceFeatures | None = None,
    fidelities: bool = False,
    workers: int = 1,
    problem: str | None = None,
    seeds: int = 4,
) -> Measurement:
    """Return one in which optimisers end in a given order in each seed.

    Args:
        name: Its name, and that of its problem unless that is given.
        order: For each point the optimisers, the best first, each a letter.
        points: The budgets.
        space: What its space is like.
        fidelities: Whether epochs could be chosen.
        workers: How many designs were evaluated at a time.
        problem: Its problem.
        seeds: The number of seeds.
    """
    orders = [order] * len(points) if isinstance(order, str) else order
    regrets = {
        letter: np.array([[float(each.index(letter))] * seeds for each in orders])
        for letter in orders[0]
    }
    return Measurement(
        name=name,
        problem=problem or name,
        space=space or SpaceFeatures(size=1000),
        fidelities=fidelities,
        workers=workers,
        points=tuple(map(float, points)),
        regrets=regrets,
    )


@pytest.fixture
def measured() -> Callable[..., Any]:
    """The function that makes up a measurement."""
    return measurement
