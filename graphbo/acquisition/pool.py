"""The candidates that an acquisition function is maximised over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from graphbo.spaces.base import Design, SearchSpace

Scorer = Callable[[Sequence[Design]], npt.NDArray[np.float64]]
"""Gives each design a score; larger is better."""


def greedily(
    pool: Sequence[Design],
    blocked: npt.NDArray[np.bool_],
    n: int,
    scorer: Callable[[Sequence[Design], npt.NDArray[np.bool_]], npt.NDArray[np.float64]],
    finish: Callable[[Design], Design],
) -> list[Design]:
    """Choose designs from a pool one after the other, each with the highest score.

    Args:
        pool: The designs.
        blocked: Which of them must not be chosen (``n``); those that are chosen join them.
        n: How many to choose; fewer are if no more are open.
        scorer: Scores the pool, given what was chosen so far and what is blocked; the highest score
            of what is not must be right, and any other not higher than it.
        finish: Makes what is returned of a design that is chosen.
    """
    chosen: list[Design] = []
    while len(chosen) < n and not blocked.all():
        # Rounded, so that what ties but for rounding errors goes to the first.
        scores = np.round(scorer(chosen, blocked), 9)
        best = int(np.argmax(np.where(blocked, -np.inf, scores)))
        if blocked[best]:  # no open candidate was scored
            best = int(np.flatnonzero(~blocked)[0])
        blocked[best] = True
        chosen.append(finish(pool[best]))
    return chosen


def candidates(
    space: SearchSpace,
    parents: Sequence[Design],
    exclude: set[Design],
    rng: np.random.Generator,
    scorer: Scorer,
    *,
    size: int = 300,
    generations: int = 3,
) -> Sequence[Design]:
    """Return designs worth scoring.

    All of a space that can be enumerated, seen ones included. Otherwise the unseen ones of an
    evolving pool: mutations of the parents, crossovers between them, and random designs; then, for
    some generations, mutations of what scored best so far.

    Args:
        space: The search space.
        parents: The best designs observed, the best first.
        exclude: Designs already seen.
        rng: The source of randomness.
        scorer: The acquisition function.
        size: How many designs a generation adds.
        generations: How many generations follow the first.
    """
    if space.enumerable:
        return space.enumerate()
    pool: dict[Design, Design] = {}

    def add(design: Design) -> None:
        if design not in exclude:
            pool.setdefault(design, design)

    for _ in range(size):
        kind = rng.random()
        if kind < 0.3 or not parents:
            add(space.sample(rng).described("random"))
        elif kind < 0.5 and len(parents) > 1:
            i, j = rng.choice(len(parents), 2, replace=False)
            add(space.crossover(parents[i], parents[j], rng).described("crossover"))
        else:
            parent = parents[int(rng.integers(len(parents)))]
            add(space.mutate(parent, rng, exclude).described("mutation"))
    for _ in range(generations):
        designs = list(pool.values())
        if not designs:
            break
        best = np.argsort(-scorer(designs), kind="stable")[:20]
        for _ in range(size):
            parent = designs[int(rng.choice(best))]
            add(space.mutate(parent, rng, exclude).described("mutation"))
    return list(pool.values())
