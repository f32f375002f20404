"""A problem: what is searched, how it is evaluated, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphbo.evaluators.base import Evaluator, offered_epochs
from graphbo.goals import Constraint, Goals
from graphbo.spaces.base import SearchSpace
from graphbo.trial import Fidelity


@dataclass(frozen=True)
class Problem:
    """A named search problem.

    Attributes:
        name: What the command line calls it.
        space: The search space.
        evaluator: Evaluates its designs.
        description: One line.
        objective: The objective to minimise, one of ``evaluator.objectives``.
        optimum: The lowest value that the objective takes, where it is known.
        test_optimum: The lowest ``test_error`` that any design has, where it is known.
        top_permille: The value that the best 0.1 % of the space reach or beat, where it is known.
        reference: For the hypervolume of several objectives, by name the largest value that counts.
        fidelity: The full fidelity, such as ``{"epochs": 200}``.
        trials: The budget that the command line takes if none is given.
        objectives: What a search minimises if nothing else is said, names of what the evaluator
            reports; by default the objective alone.
        constraints: What must hold of a result if nothing else is said.
    """

    name: str
    space: SearchSpace
    evaluator: Evaluator
    description: str = ""
    objective: str = "validation_error"
    optimum: float | None = None
    test_optimum: float | None = None
    top_permille: float | None = None
    reference: Mapping[str, float] = field(default_factory=dict)
    fidelity: Fidelity = field(default_factory=dict)
    trials: int = 100
    objectives: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    @property
    def goals(self) -> Goals:
        """What a search is for if nothing else is said."""
        return Goals(self.objectives or (self.objective,), self.constraints)

    @property
    def epochs(self) -> list[int]:
        """The numbers of epochs that its designs can be trained for, up to the full fidelity."""
        return offered_epochs(self.evaluator, self.fidelity)
