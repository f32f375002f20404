"""What an advice says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphbo.advice.features import Task

_SHOWN = 5


@dataclass(frozen=True)
class Candidate:
    """An optimiser that can be used, and how well it should do.

    Attributes:
        optimizer: Its name, with settings if it was measured with some.
        score: The share of comparisons that it is expected to win against the others that can be
            used, in a search like the one that is advised on.
        weight: The weight of the measurements that it takes part in.
    """

    optimizer: str
    score: float
    weight: float


@dataclass(frozen=True)
class Evidence:
    """A measurement that an advice rests on.

    Attributes:
        condition: The name of the condition.
        problem: The problem that was searched.
        task: The search, with its budget at the point that is looked at.
        weight: How alike that search is to the one that is advised on, from 0 to 1.
        mean_rank: The mean rank of the advised optimiser there, 1 for the best.
        compared: Among how many.
        mean_regret: Its mean regret there; NaN if some run had no result.
        best_other: The other one with the lowest mean regret there.
        best_other_regret: That one's mean regret.
        seeds: The number of runs of each.
    """

    condition: str
    problem: str
    task: Task
    weight: float
    mean_rank: float
    compared: int
    mean_regret: float
    best_other: str
    best_other_regret: float
    seeds: int


@dataclass(frozen=True)
class Advice:
    """Which optimiser to take for a search, and why.

    Attributes:
        optimizer: Its name, with settings if there are any, as `make_optimizer` takes it.
        score: The share of comparisons that it is expected to win.
        runners_up: The others that can be used, the best first.
        evidence: The measurements that it took part in, those that weigh most first.
        left_out: For each optimiser that was not considered, why.
        task: The search that is advised on.
        problem: Its problem, or the name of its space.
        notes: What had to be assumed.
    """

    optimizer: str
    score: float
    runners_up: tuple[Candidate, ...]
    evidence: tuple[Evidence, ...]
    left_out: Mapping[str, str]
    task: Task
    problem: str = ""
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        where = f"{self.problem}: " if self.problem else ""
        lines = [
            f"{self.optimizer}, for {where}{self.task}",
            f"expected to win {self.score:.0%} of its comparisons with the others",
        ]
        if self.runners_up:
            others = (f"{each.optimizer} {each.score:.0%}" for each in self.runners_up[:_SHOWN])
            lines.append(f"next: {', '.join(others)}")
        lines += [f"note: {note}" for note in self.notes]
        if self.evidence:
            lines.append("measured:")
        lines += [
            f"  {each.problem}, {each.task}: mean rank {each.mean_rank:.1f} of {each.compared}, "
            f"mean regret {each.mean_regret:.3g}, {each.best_other} {each.best_other_regret:.3g} "
            f"({each.seeds} seeds, weight {each.weight:.2f})"
            for each in self.evidence[:_SHOWN]
        ]
        if len(self.evidence) > _SHOWN:
            rest = self.evidence[_SHOWN:]
            total = sum(each.weight for each in rest)
            lines.append(f"  {len(rest)} more, of weight {total:.2f} together")
        if self.left_out:
            lines.append("left out:")
        lines += [f"  {line}" for line in self.reasons()]
        return "\n".join(lines)

    def reasons(self) -> list[str]:
        """Return a line for each reason to leave optimisers out, with their names before it."""
        names: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            names.setdefault(reason, []).append(name)
        return [f"{', '.join(each)}: {reason}" for reason, each in names.items()]
