"""ConfigSpace hyperparameters as Optuna distributions, suggested one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ConfigSpace import AndConjunction
from ConfigSpace.conditions import Condition, Conjunction
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Constant,
    FloatHyperparameter,
    Hyperparameter,
    IntegerHyperparameter,
    OrdinalHyperparameter,
)

from graphbo.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial


def require_optuna() -> None:
    """Import Optuna.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("optuna", "optuna") from error


def distribution(hyperparameter: Hyperparameter[Any, Any]) -> BaseDistribution | None:
    """Return the distribution that a hyperparameter is suggested from; None for a constant.

    What has an order is suggested by its place in it, because the choices of an Optuna
    distribution have none. Of a normal or beta distribution only the bounds count.

    Raises:
        InputError: If it is of no known kind.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(hyperparameter, Constant):
        return None
    if isinstance(hyperparameter, CategoricalHyperparameter):
        return CategoricalDistribution([plain(choice) for choice in hyperparameter.choices])
    if isinstance(hyperparameter, OrdinalHyperparameter):
        return IntDistribution(0, len(hyperparameter.sequence) - 1)
    if isinstance(hyperparameter, IntegerHyperparameter):
        log = bool(getattr(hyperparameter, "log", False))
        return IntDistribution(int(hyperparameter.lower), int(hyperparameter.upper), log=log)
    if isinstance(hyperparameter, FloatHyperparameter):
        log = bool(getattr(hyperparameter, "log", False))
        return FloatDistribution(float(hyperparameter.lower), float(hyperparameter.upper), log=log)
    raise InputError(
        f"{hyperparameter.name} is a {type(hyperparameter).__name__}; a hyperparameter for Optuna "
        "must be categorical, ordinal, an integer, a float or constant"
    )


def distributions(space: ConfigurationSpace) -> dict[str, BaseDistribution]:
    """Return the distributions of all hyperparameters but the constants, by name."""
    found = {name: distribution(hyperparameter) for name, hyperparameter in space.items()}
    return {name: each for name, each in found.items() if each is not None}


def suggest_configuration(
    trial: BaseTrial, space: ConfigurationSpace, prefix: str = ""
) -> dict[str, Any]:
    """Suggest the hyperparameters that are active, parents before those that depend on them.

    Args:
        trial: Asked for the values.
        space: The configuration space.
        prefix: What stands before the names of the parameters.

    Returns:
        The values by name, those of constants included. They may be forbidden: see `is_forbidden`.
    """
    values: dict[str, Any] = {}
    for name, hyperparameter in space.items():  # parents come first
        if all(is_met(condition, values) for condition in space.parent_conditions_of[name]):
            values[name] = _suggest(trial, hyperparameter, prefix)
    return values


def is_forbidden(space: ConfigurationSpace, values: Mapping[str, Any]) -> bool:
    """Whether a forbidden clause of a configuration space holds for some values."""
    return any(clause.is_forbidden_value(dict(values)) for clause in space.forbidden_clauses)


def parameters(
    space: ConfigurationSpace, values: Mapping[str, Any], prefix: str = ""
) -> dict[str, Any]:
    """Return the parameters of a trial that was suggested some values.

    Args:
        space: The configuration space.
        values: The values by name, such as a configuration.
        prefix: What stands before the names of the parameters.
    """
    found = {}
    for name, value in values.items():
        hyperparameter = space[name]
        if isinstance(hyperparameter, OrdinalHyperparameter):
            found[prefix + name] = list(hyperparameter.sequence).index(value)
        elif not isinstance(hyperparameter, Constant):
            found[prefix + name] = plain(value)
    return found


def _suggest(trial: BaseTrial, hyperparameter: Hyperparameter[Any, Any], prefix: str) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    known, name = distribution(hyperparameter), prefix + hyperparameter.name
    if isinstance(known, CategoricalDistribution):
        return trial.suggest_categorical(name, known.choices)
    if isinstance(known, FloatDistribution):
        return trial.suggest_float(name, known.low, known.high, log=known.log)
    if isinstance(known, IntDistribution):
        value = trial.suggest_int(name, known.low, known.high, log=known.log)
        if isinstance(hyperparameter, OrdinalHyperparameter):
            return hyperparameter.sequence[value]
        return value
    return hyperparameter.default_value


def is_met(condition: Condition | Conjunction, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds; it does not where its parent is inactive."""
    if isinstance(condition, Conjunction):
        met = [is_met(part, values) for part in condition.components]
        return all(met) if isinstance(condition, AndConjunction) else any(met)
    return condition.parent.name in values and condition.satisfied_by_value(dict(values))


def plain(value: Any) -> Any:
    """Return a NumPy scalar, which Optuna does not take, as a value of Python."""
    return value.item() if hasattr(value, "item") else value
