"""Test functions of real variables, to compare optimisers on what has no architecture."""

from __future__ import annotations

from graphbo.evaluators.base import FunctionEvaluator
from graphbo.problems.base import Problem
from graphbo.spaces.base import HyperparameterValue
from graphbo.spaces.joint import HyperparameterSpace

FUNCTIONS = {
    "branin": ("Branin", 2, 60),
    "hartmann6": ("Hartmann", 6, 100),
    "rosenbrock4": ("Rosenbrock", 4, 100),
    "ackley8": ("Ackley", 8, 100),
}
"""The class in ``botorch.test_functions`` by name, the number of variables, the usual budget."""


def list_functions() -> list[tuple[str, str]]:
    """Return the name and description of each function."""
    return [(name, _description(name)) for name in FUNCTIONS]


def function_problem(name: str) -> Problem:
    """Return one of `FUNCTIONS` as a problem whose hyperparameters are its variables.

    The functions, their bounds and optima are those of BoTorch, which cites their sources.
    """
    from botorch import test_functions
    from ConfigSpace import ConfigurationSpace

    kind, dim, trials = FUNCTIONS[name]
    fixed = {} if kind == "Branin" else {"dim": dim}
    function = getattr(test_functions, kind)(**fixed)
    variables = [f"x{i + 1}" for i in range(dim)]
    bounds = [(float(low), float(high)) for low, high in function.bounds.T.tolist()]
    space = ConfigurationSpace(dict(zip(variables, bounds, strict=True)))
    return Problem(
        name,
        HyperparameterSpace(space, name),
        FunctionEvaluator(_Value(function, variables), "value", takes="hyperparameters"),
        description=_description(name),
        objective="value",
        optimum=float(function.optimal_value),
        trials=trials,
    )


def _description(name: str) -> str:
    kind, dim, _ = FUNCTIONS[name]
    return f"the {kind} function of {dim} real variables"


class _Value:
    """The value of a function; a class, where a function would do but for pickling."""

    def __init__(self, function: object, variables: list[str]) -> None:
        self.function, self.variables = function, variables

    def __call__(self, given: dict[str, HyperparameterValue]) -> float:
        import torch

        point = torch.tensor([[given[name] for name in self.variables]], dtype=torch.float64)
        return float(self.function(point))  # type: ignore[operator]
