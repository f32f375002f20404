"""Hyperparameters from the settings of a declarative file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ConfigSpace import (
    AndConjunction,
    Categorical,
    ConfigurationSpace,
    EqualsCondition,
    Float,
    InCondition,
    Integer,
)
from ConfigSpace.hyperparameters import Hyperparameter

from graphbo.errors import InputError
from graphbo.spaces.declarative import check_keys

_RANGE = ("low", "high", "log", "default", "when")
_CHOICE = ("choices", "ordered", "default", "when")


def hyperparameters_from_settings(
    settings: Mapping[str, Any], *, where: str = "[hyperparameters]"
) -> ConfigurationSpace:
    """Build a configuration space from settings, such as ``[hyperparameters]`` in a TOML file.

    Each entry is a list of choices, or a table::

        optimizer = ["sgd", "adam"]
        activation = { choices = ["relu", "gelu"], default = "gelu" }
        size = { choices = ["small", "large"], ordered = true }
        learning_rate = { low = 1e-4, high = 1.0, log = true }
        channels = { low = 4, high = 16 }        # whole numbers, as both ends are
        momentum = { low = 0.5, high = 0.99, when = { optimizer = "sgd" } }

    What has the key ``when`` exists only while each hyperparameter named there, an earlier one, has
    the value, or one of the list of values, that is given.

    Args:
        settings: The entries by name.
        where: How error messages call the settings.

    Raises:
        InputError: If there are none, or a setting is missing, unknown, or has a value that cannot
            be used.

    Example:
        >>> list(hyperparameters_from_settings({"rate": {"low": 0.1, "high": 0.9}}))
        ['rate']
    """
    if not settings:
        raise InputError(f"{where}: there must be at least one hyperparameter")
    space = ConfigurationSpace()
    for name, value in settings.items():
        here = f"{where}: {name}"
        entry = {"choices": value} if isinstance(value, list) else value
        if not isinstance(entry, Mapping):
            raise InputError(f"{here} must be a list of choices or a table; got {value!r}")
        if ("choices" in entry) == ("low" in entry):
            raise InputError(f"{here} must have either choices, or low and high; got {value!r}")
        check_keys(entry, _CHOICE if "choices" in entry else _RANGE, here)
        _check_default(entry, here)
        made = _choice if "choices" in entry else _number
        try:
            space.add(made(name, entry, here))
            conditions = _conditions(space, name, entry.get("when", {}), here)
            if conditions:
                space.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
        except InputError:
            raise
        except Exception as error:  # ConfigSpace states no common class of what it refuses
            raise InputError(f"{here}: {error}") from error
    return space


def _choice(name: str, entry: Mapping[str, Any], here: str) -> Hyperparameter[Any, Any]:
    choices, ordered = entry["choices"], entry.get("ordered", False)
    plain = isinstance(choices, list) and all(isinstance(c, str | int | float) for c in choices)
    if not plain or not choices or len(set(choices)) < len(choices):
        raise InputError(f"{here}: choices must be different texts or numbers; got {choices!r}")
    if type(ordered) is not bool:
        raise InputError(f"{here}: ordered must be true or false; got {ordered!r}")
    made: Hyperparameter[Any, Any] = Categorical(
        name, choices, default=entry.get("default", choices[0]), ordered=ordered
    )
    return made


def _number(name: str, entry: Mapping[str, Any], here: str) -> Hyperparameter[Any, Any]:
    ends: list[Any] = [entry.get(key) for key in ("low", "high")]
    log = entry.get("log", False)
    if not all(type(end) in (int, float) for end in ends) or ends[0] >= ends[1]:
        raise InputError(f"{here}: low must be a number below another, high; got {ends}")
    if type(log) is not bool:
        raise InputError(f"{here}: log must be true or false; got {log!r}")
    if log and not ends[0] > 0:
        raise InputError(f"{here}: with log, low must be positive; got {ends[0]}")
    make: Any = Integer if all(type(end) is int for end in ends) else Float
    made: Hyperparameter[Any, Any] = make(
        name, (ends[0], ends[1]), log=log, default=entry.get("default")
    )
    return made


def _check_default(entry: Mapping[str, Any], here: str) -> None:
    if "default" not in entry:
        return
    default = entry["default"]
    if "choices" in entry:
        if default not in entry["choices"]:
            raise InputError(f"{here}: default must be one of the choices; got {default!r}")
    elif type(default) not in (int, float):
        raise InputError(f"{here}: default must be a number; got {default!r}")


def _conditions(
    space: ConfigurationSpace, name: str, when: object, here: str
) -> list[EqualsCondition | InCondition]:
    if not isinstance(when, Mapping):
        raise InputError(f"{here}: when must be a table of names and values; got {when!r}")
    found: list[EqualsCondition | InCondition] = []
    for parent, values in when.items():
        if parent not in space or parent == name:
            raise InputError(f"{here}: when names {parent!r}, which is no earlier hyperparameter")
        allowed = values if isinstance(values, list) else [values]
        for value in allowed:
            if not space[parent].legal_value(value):
                raise InputError(f"{here}: {parent} cannot be {value!r}")
        make: Any = InCondition if len(allowed) > 1 else EqualsCondition
        found.append(make(space[name], space[parent], allowed if len(allowed) > 1 else allowed[0]))
    return found
