"""What is cheap to learn about architectures: the targets of supervised pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from scipy.stats import rankdata, spearmanr
from torch import Tensor

Values = npt.NDArray[np.float64]
_SAME = 0.995


class Better(IntEnum):
    """What a quantity says about an architecture: nothing, or that it is an omen if low or high."""

    NEITHER = 0
    LOW = 1
    HIGH = -1


@dataclass(frozen=True, eq=False)
class Task:
    """One quantity of some architectures.

    Attributes:
        name: A name, such as ``"naswot"``.
        values: The value of each of the ``n`` architectures, NaN where it is not known.
        better: Which values are a good omen.

    Raises:
        ValueError: If fewer than two values are known, one is infinite, or ``better`` is none of
            `Better`.
    """

    name: str
    values: Values
    better: Better = Better.NEITHER

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 1 or np.isfinite(values).sum() < 2 or np.isinf(values).any():
            raise ValueError(
                f"the task {self.name!r} needs one value for each architecture, finite or NaN, and "
                f"at least two that are known; got {values.shape} with {np.isfinite(values).sum()}"
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "better", Better(self.better))

    @property
    def scores(self) -> Values:
        """The normal scores of the values, `n`: the quantiles of their ranks, NaN if unknown."""
        known = np.isfinite(self.values)
        ranks = rankdata(self.values[known])
        scores = np.full(len(known), np.nan)
        scores[known] = ndtri((ranks - 0.5) / known.sum())
        return scores

    def merged(self, groups: npt.NDArray[np.int64]) -> Task:
        """Return the same quantity with one value for each group: the first that is known.

        Args:
            groups: The group of each architecture, `n`; they are numbered from 0.
        """
        values = np.full(groups.max() + 1, np.nan)
        known = np.flatnonzero(np.isfinite(self.values))[::-1]  # so the first is written last
        values[groups[known]] = self.values[known]
        return Task(self.name, values, self.better)


def check_tasks(tasks: Sequence[Task], n: int) -> None:
    """Refuse tasks that do not belong to ``n`` architectures.

    Raises:
        ValueError: If a task has another number of values, or two have one name.
    """
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ValueError(f"the tasks must have distinct names; got {names}")
    for task in tasks:
        if len(task.values) != n:
            raise ValueError(
                f"there are {n} architectures, but {len(task.values)} values of {task.name!r}"
            )


def targets(tasks: Sequence[Task], n: int) -> Tensor:
    """Return the normal scores of all tasks, `n x tasks`, in single precision.

    Raises:
        ValueError: If a task has another number of values, or two have one name.
    """
    check_tasks(tasks, n)
    columns = [torch.from_numpy(task.scores).float() for task in tasks]
    return torch.stack(columns, dim=1) if columns else torch.empty(n, 0)


def votes(tasks: Sequence[Task]) -> list[float]:
    """Return the weight of each task in the mean of all omens, signed so that low is good.

    Each omen has one vote. Tasks with the same order of architectures (a rank correlation beyond
    0.995, as parameters and multiply-adds often have) share one.
    """
    kinds: list[list[int]] = []
    for i, task in enumerate(tasks):
        if task.better is Better.NEITHER:
            continue
        alike = next((kind for kind in kinds if _same(tasks[kind[0]], task)), None)
        if alike is None:
            kinds.append([i])
        else:
            alike.append(i)
    result = [0.0] * len(tasks)
    for kind in kinds:
        for i in kind:
            result[i] = int(tasks[i].better) / (len(kind) * len(kinds))
    return result


def _same(first: Task, second: Task) -> bool:
    both = np.isfinite(first.values) & np.isfinite(second.values)
    a, b = first.values[both], second.values[both]
    if both.sum() < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return False
    return bool(int(first.better) * int(second.better) * spearmanr(a, b).statistic > _SAME)
