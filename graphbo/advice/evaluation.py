"""What advice is worth on problems that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from graphbo.advice.measurements import Measurement
from graphbo.advice.scores import advise_from
from graphbo.errors import InputError

_FALLBACK = "random"
_MIDDLE = 0.5


@dataclass(frozen=True)
class Fixed:
    """An optimiser that is taken always, beside advice.

    Attributes:
        everywhere: Its mean rank over all problems, from 0 (the best) to 1; where it was not run,
            that of random search.
        where_run: The same over the conditions in which it was run.
        advice: That of the advised optimisers over these conditions.
        conditions: How many these are.
    """

    everywhere: float
    where_run: float
    advice: float
    conditions: int


@dataclass(frozen=True)
class Evaluation:
    """What advice is worth, each problem being advised on from all others.

    Attributes:
        advice: The mean rank of the advised optimisers, from 0 (the best of those that were
            compared) to 1, averaged over budgets, conditions and problems, in this order.
        hindsight: The same for the best in each condition at each budget.
        fixed: The same for each optimiser taken always, those with the lowest rank first.
        advised: For each condition the advised optimiser at each of its points.
        problems: The number of problems.
    """

    advice: float
    hindsight: float
    fixed: dict[str, Fixed]
    advised: dict[str, tuple[str, ...]]
    problems: int

    @property
    def best_fixed(self) -> str:
        """The optimiser that does best if it is taken always."""
        return next(iter(self.fixed))


def leave_one_problem_out(measurements: Sequence[Measurement]) -> Evaluation:
    """Advise on each measured search from the measurements of all other problems.

    What is advised is looked up in the search that was left out, among the optimisers that were run
    there; only they can be advised. Ranks are the mean ranks over seeds, normalised to 0 for the
    best and 1 for the worst. They are averaged over the points of a condition, then over the
    conditions of a problem, then over problems, so that a problem that was measured often does not
    count for more.

    One fixed optimiser cannot be used everywhere: those that choose epochs need a choice, others
    were not run beside them. Someone who sticks to it searches at random where it cannot be used,
    so that it has the rank of `random` there (and the middle rank where that was not run either).
    Beside that figure stands the one of the conditions in which it was run alone, with that of the
    advice in the same ones: there an optimiser is judged where it is at home.

    Args:
        measurements: The measurements.

    Raises:
        InputError: If they are of fewer than two problems.
    """
    problems = sorted({each.problem for each in measurements})
    if len(problems) < 2:
        raise InputError("to advise on one problem from others takes measurements of two or more")
    advised = {each.name: _advised(each, measurements) for each in measurements}

    def mean(rank: Callable[[Measurement, int], float], name: str | None = None) -> float:
        counted = [each for each in measurements if name is None or name in each.regrets]
        by_problem: dict[str, list[float]] = {}
        for each in counted:
            ranks = [rank(each, point) for point in range(len(each.points))]
            by_problem.setdefault(each.problem, []).append(float(np.mean(ranks)))
        return float(np.mean([np.mean(ranks) for _, ranks in sorted(by_problem.items())]))

    def of_advice(each: Measurement, point: int) -> float:
        return 1 - each.share(advised[each.name][point], point)

    fixed = {}
    for name in sorted({name for each in measurements for name in each.regrets}):

        def of_fixed(each: Measurement, point: int, name: str = name) -> float:
            taken = name if name in each.regrets else _FALLBACK
            return 1 - each.share(taken, point) if taken in each.regrets else _MIDDLE

        fixed[name] = Fixed(
            everywhere=mean(of_fixed),
            where_run=mean(of_fixed, name),
            advice=mean(of_advice, name),
            conditions=sum(name in each.regrets for each in measurements),
        )
    return Evaluation(
        advice=mean(of_advice),
        hindsight=mean(lambda each, point: 1 - max(each.share(n, point) for n in each.regrets)),
        fixed=dict(sorted(fixed.items(), key=lambda item: (item[1].everywhere, item[0]))),
        advised=advised,
        problems=len(problems),
    )


def _advised(left_out: Measurement, measurements: Sequence[Measurement]) -> tuple[str, ...]:
    others = [each for each in measurements if each.problem != left_out.problem]
    return tuple(
        advise_from(others, left_out.task(point), left_out.regrets).optimizer
        for point in range(len(left_out.points))
    )
