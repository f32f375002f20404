"""What a search is for: one objective or several, and constraints on what an evaluation reports."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphbo.errors import InputError
from graphbo.trial import Trial, longest

_WRITTEN = re.compile(r"\s*(?P<name>[^<>=\s]+)\s*(?P<sign><=|>=)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True)
class Constraint:
    """A bound on an objective or a fact of an evaluation.

    Attributes:
        name: What is bounded, such as ``"latency_ms"``.
        bound: The bound itself is allowed.
        upper: Whether it is the largest allowed value; else it is the smallest.

    Raises:
        InputError: If the name is empty, or the bound is no finite number.

    Example:
        >>> Constraint.parse("latency_ms <= 5")
        Constraint(name='latency_ms', bound=5.0, upper=True)
    """

    name: str
    bound: float
    upper: bool = True

    def __post_init__(self) -> None:
        if not self.name or not math.isfinite(self.bound):
            raise InputError(f"a constraint has a name and a finite bound; got {self}")

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Return the constraint that a text such as ``"latency_ms<=5"`` states.

        Raises:
            InputError: If the text states none.
        """
        found = _WRITTEN.fullmatch(text)
        try:
            assert found is not None
            bound = float(found["bound"])
        except (AssertionError, ValueError):
            raise InputError(
                f"a constraint is written like 'latency_ms<=5' or 'latency_ms>=5'; got {text!r}"
            ) from None
        return cls(found["name"], bound, found["sign"] == "<=")

    def excess(self, value: float) -> float:
        """Return by how much a value is beyond the bound, as a share of the bound; 0 if it is not.

        Where the bound is 0, it is the distance itself.
        """
        beyond = value - self.bound if self.upper else self.bound - value
        return max(beyond, 0.0) / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        return f"{self.name}{'<=' if self.upper else '>='}{self.bound!r}"


@dataclass(frozen=True)
class Goals:
    """What a search minimises, and within which bounds.

    The names are those of objectives or facts that an `Evaluation` reports.

    Attributes:
        objectives: The names of what is minimised; the first is the value of a trial.
        constraints: What must hold of a result.

    Raises:
        InputError: If there is no objective, or one is named twice.

    Example:
        >>> goals = Goals(("validation_error", "latency_ms"), (Constraint("parameters", 1e6),))
        >>> goals.front(result.trials)
    """

    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if not self.objectives:
            raise InputError("a search has at least one objective")
        if len(set(self.objectives)) < len(self.objectives):
            raise InputError(f"each objective is named once; got {', '.join(self.objectives)}")

    @classmethod
    def of(
        cls, objectives: str | Sequence[str], constraints: Iterable[str | Constraint] = ()
    ) -> Goals:
        """Return goals as a user writes them: one name or several, constraints as text.

        Raises:
            InputError: If they cannot be read.
        """
        names = (objectives,) if isinstance(objectives, str) else tuple(objectives)
        given = (constraints,) if isinstance(constraints, str | Constraint) else tuple(constraints)
        read = (c if isinstance(c, Constraint) else Constraint.parse(c) for c in given)
        return cls(names, tuple(read))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that a trial must report, each once."""
        return tuple(dict.fromkeys([*self.objectives, *(c.name for c in self.constraints)]))

    @property
    def plain(self) -> bool:
        """Whether there is one objective and no constraint, so that `Trial.value` says all."""
        return len(self.objectives) == 1 and not self.constraints

    @property
    def bounds(self) -> str:
        """The constraints as text."""
        return " and ".join(map(str, self.constraints))

    def __str__(self) -> str:
        return ",".join([*self.objectives, *map(str, self.constraints)])

    def missing(self, trial: Trial) -> str | None:
        """Return why a completed trial is no result for these goals, None if it is one."""
        for name in self.names:
            value = trial.outcomes.get(name)
            if value is None:
                return f"the evaluation has no {name!r}, only {list(trial.outcomes)}"
            if not math.isfinite(value):
                return f"{name!r} is {value}, not a finite number"
        return None

    def values(self, trial: Trial) -> tuple[float, ...]:
        """Return the objectives of a completed trial, in order.

        Raises:
            KeyError: If it does not report one.
        """
        outcomes = trial.outcomes
        return tuple(outcomes[name] for name in self.objectives)

    def excess(self, outcomes: Mapping[str, float]) -> float:
        """Return the sum over the constraints of `Constraint.excess`, 0 if all hold."""
        return sum(constraint.excess(outcomes[constraint.name]) for constraint in self.constraints)

    def violation(self, trial: Trial) -> float:
        """Return by how much a completed trial breaks the constraints; see `excess`."""
        return self.excess(trial.outcomes) if self.constraints else 0.0

    def feasible(self, trial: Trial) -> bool:
        """Whether a trial completed and keeps all constraints."""
        return trial.value is not None and self.violation(trial) == 0

    def longest(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return the feasible trials, of them those with the most epochs; see `trial.longest`."""
        return longest([trial for trial in trials if self.feasible(trial)])

    def front(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return the Pareto front: the feasible trials that no other one dominates.

        A trial dominates another if it is no worse in any objective and better in one. Of trials
        with equal objectives the first stays.

        Returns:
            The trials of the front, by ascending first objective.
        """
        feasible = [trial for trial in trials if self.feasible(trial)]
        if not feasible:
            return []
        first: dict[tuple[float, ...], Trial] = {}
        for trial in feasible:
            first.setdefault(self.values(trial), trial)
        kept = non_dominated(np.array(list(first)))
        front = [trial for trial, keep in zip(first.values(), kept, strict=True) if keep]
        return sorted(front, key=self.values)

    def hypervolume(self, trials: Iterable[Trial], reference: Sequence[float]) -> float:
        """Return the volume between the front and a reference point, larger is better.

        Args:
            trials: The trials.
            reference: A value of each objective; what is not better in all of them adds nothing.

        Raises:
            InputError: If the reference has another number of values than there are objectives.
        """
        if len(reference) != len(self.objectives):
            raise InputError(
                f"the reference has a value for each of {', '.join(self.objectives)}; "
                f"got {len(reference)}"
            )
        front = [self.values(trial) for trial in self.front(trials)]
        return hypervolume(np.array(front).reshape(-1, len(reference)), reference)


def non_dominated(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which points no other point dominates, equal ones together.

    Args:
        values: ``n x m`` values, to be minimised.
    """
    import torch
    from botorch.utils.multi_objective.pareto import is_non_dominated

    kept: npt.NDArray[np.bool_] = is_non_dominated(
        torch.as_tensor(values, dtype=torch.float64), maximize=False
    ).numpy()
    return kept


def hypervolume(values: npt.NDArray[np.float64], reference: Sequence[float]) -> float:
    """Return the volume that points dominate, up to a reference point.

    Args:
        values: ``n x m`` values, to be minimised.
        reference: The ``m`` values of the reference point.
    """
    import torch
    from botorch.utils.multi_objective.hypervolume import Hypervolume

    better = values[(values < np.asarray(reference)).all(axis=1)]
    if not len(better):
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - better.min())
    points = torch.as_tensor(-better[non_dominated(better)], dtype=torch.float64)
    return float(Hypervolume(-torch.tensor(list(reference), dtype=torch.float64)).compute(points))
