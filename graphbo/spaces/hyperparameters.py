"""Hyperparameters that are chosen beside an architecture, as a ConfigSpace describes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Constant,
    Hyperparameter,
    IntegerHyperparameter,
    NumericalHyperparameter,
    OrdinalHyperparameter,
)

from graphbo.errors import InputError
from graphbo.spaces.base import INACTIVE, Column, HyperparameterValue
from graphbo.spaces.define_by_run import is_forbidden, is_met, plain

Values = Mapping[str, HyperparameterValue]
Vector = tuple[float, ...]

_ATTEMPTS = 10_000
_MOST_LISTED = 10_000
_SHIFT = 1e13  # of the 13 decimals that a configuration holds
_STEPS = (0.2, 0.05, 0.0125)
_NARROWEST, _WIDEST = 0.003, 0.3


class Hyperparameters:
    """The hyperparameters of a ``ConfigSpace.ConfigurationSpace``, with its conditions and clauses.

    Values are a mapping from the names of the active hyperparameters to plain values of Python. A
    vector has an entry for each hyperparameter that is no constant; see `Column`.

    Args:
        configuration_space: Floats, integers (both with a logarithmic scale or without),
            categorical, ordinal and constant hyperparameters, conditions and forbidden clauses. Of
            other distributions than the uniform only the bounds count.

    Raises:
        InputError: If it has no hyperparameter, or a choice that is neither a text nor a number.

    Example:
        >>> space = ConfigurationSpace({"rate": (1e-4, 1.0), "optimizer": ["adam", "sgd"]})
        >>> hyperparameters = Hyperparameters(space)
        >>> hyperparameters.vector({"rate": 1.0, "optimizer": "sgd"})
        (1.0, 1.0)
    """

    def __init__(self, configuration_space: ConfigurationSpace) -> None:
        if not len(configuration_space):
            raise InputError("the configuration space has no hyperparameters")
        self.configuration_space = configuration_space
        for name in configuration_space:
            for choice in self.choices(name):
                if not isinstance(choice, str | int | float | bool):
                    raise InputError(
                        f"a choice must be a text, a number or a bool; {name} has {choice!r}: "
                        "give it a name"
                    )

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What the entries of a vector stand for, parents before what depends on them."""
        return tuple(
            Column(
                name,
                len(scale.choices) if isinstance(scale, _Choices) else 0,
                isinstance(self.configuration_space[name], OrdinalHyperparameter),
                bool(self._conditions[name]),
            )
            for name, scale in self._scales.items()
        )

    def vector(self, values: Values) -> Vector:
        """Return the vector of values, one entry for each column.

        What is inactive has -1, also where a value of it was given.
        """
        active: dict[str, HyperparameterValue] = {}
        for name in self._defaults:  # parents come first
            if name in values and self._is_active(name, active):
                active[name] = values[name]
        return tuple(
            scale.entry(active[name]) if name in active else float(INACTIVE)
            for name, scale in self._scales.items()
        )

    def values(self, vector: Vector) -> Values | None:
        """Return the values that a vector stands for, None if they are forbidden.

        Entries of inactive hyperparameters are passed over, and an active one whose entry is -1
        has its default.
        """
        entries = dict(zip(self._scales, vector, strict=True))
        values: dict[str, HyperparameterValue] = {}
        for name, default in self._defaults.items():  # parents come first
            if self._is_active(name, values):
                entry = entries.get(name, INACTIVE)
                values[name] = default if entry == INACTIVE else self._scales[name].value(entry)
        return None if is_forbidden(self.configuration_space, values) else values

    def read(self, given: Mapping[str, object]) -> Values:
        """Return given values as they should be.

        Raises:
            InputError: If one is missing, out of range, inactive or unknown, or they are forbidden.
        """
        values: dict[str, Any] = {}
        for name, each in self.configuration_space.items():
            if not self._is_active(name, values):
                continue
            value = given.get(name)
            number = isinstance(each, NumericalHyperparameter)
            truth = number and isinstance(value, bool)  # which Python takes for a whole number
            if name not in given or truth or not each.legal_value(value):
                what = repr(value) if name in given else "nothing"
                raise InputError(f"{name} must be a value of {each}; got {what}")
            values[name] = self._scales[name].canonical(value) if name in self._scales else value
        unknown = [name for name in given if name not in values]
        if unknown:
            raise InputError(f"{unknown[0]!r} is no hyperparameter that is active here")
        values = {name: _plain(value) for name, value in values.items()}
        if is_forbidden(self.configuration_space, values):
            raise InputError(f"the configuration space forbids {values}")
        return values

    def choices(self, name: str) -> tuple[HyperparameterValue, ...]:
        """Return what a hyperparameter can be; empty if it is a number."""
        if name not in self._scales:
            return (self._defaults[name],)
        scale = self._scales[name]
        return scale.choices if isinstance(scale, _Choices) else ()

    @cached_property
    def default(self) -> Values:
        """The default values."""
        return self.read(dict(self.configuration_space.get_default_configuration()))

    @cached_property
    def listed(self) -> tuple[Values, ...]:
        """All values but forbidden ones; none beside a float, or if they may be over 10,000."""
        entries = [scale.entries for scale in self._scales.values()]
        if not all(entries) or math.prod(map(len, entries)) > _MOST_LISTED:
            return ()
        found: dict[Vector, Values] = {}
        for vector in product(*entries):
            values = self.values(vector)
            if values is not None:
                found.setdefault(self.vector(values), values)
        return tuple(found.values())

    # Moves ----------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator) -> Values:
        """Draw each entry uniformly, again until the values are not forbidden.

        Raises:
            InputError: If 10,000 draws in a row are forbidden.
        """
        for _ in range(_ATTEMPTS):
            values = self.values(tuple(self._draw(column, rng) for column in self.columns))
            if values is not None:
                return values
        raise InputError(f"{_ATTEMPTS:,} draws of hyperparameters in a row were forbidden")

    def mutate(self, values: Values, rng: np.random.Generator) -> Values:
        """Change one active hyperparameter; the values themselves if nothing else is allowed.

        A number moves by a normal step, whose deviation is drawn between 0.3 % and 30 % of the
        range, as likely small as large; at the bounds it is reflected. A choice becomes another
        one, an ordered choice one of those beside it.
        """
        active = [i for i, column in enumerate(self.columns) if column.name in values]
        for _ in range(20):
            if not active:
                break
            i = active[int(rng.integers(len(active)))]
            vector = list(self._fresh(values, rng))
            vector[i] = self._moved(self.columns[i], vector[i], rng)
            changed = self.values(tuple(vector))
            if changed is not None and changed != values:
                return changed
        return values

    def crossover(self, first: Values, second: Values, rng: np.random.Generator) -> Values:
        """Take each hyperparameter from one of two parents; the first one if that is forbidden."""
        pairs = zip(self.vector(first), self.vector(second), strict=True)
        mixed = []
        for a, b in pairs:
            own, other = (a, b) if rng.random() < 0.5 else (b, a)
            mixed.append(other if own == INACTIVE else own)
        child = self.values(tuple(mixed))
        return first if child is None else child

    def neighbors(self, values: Values) -> list[Values]:
        """Return what differs in one hyperparameter.

        A number moves up and down by 20, 5 and 1.25 % of its range, as far as that is possible; a
        choice becomes each other one, an ordered choice each of those beside it.
        """
        found: list[Values] = []
        vector = self.vector(values)
        for i, column in enumerate(self.columns):
            for entry in _near(column, vector[i]):
                near = self.values((*vector[:i], entry, *vector[i + 1 :]))
                if near is not None and near != values and near not in found:
                    found.append(near)
        return found

    def _fresh(self, values: Values, rng: np.random.Generator) -> Iterator[float]:
        """Yield the vector of values, where they are inactive with entries that are drawn."""
        for column, entry in zip(self.columns, self.vector(values), strict=True):
            yield self._draw(column, rng) if entry == INACTIVE else entry

    def _draw(self, column: Column, rng: np.random.Generator) -> float:
        return float(rng.integers(column.choices)) if column.choices else float(rng.random())

    def _moved(self, column: Column, entry: float, rng: np.random.Generator) -> float:
        if column.choices:
            others = _near(column, entry)
            return others[int(rng.integers(len(others)))] if others else entry
        wide = math.exp(rng.uniform(math.log(_NARROWEST), math.log(_WIDEST)))
        moved = abs(entry + wide * rng.standard_normal()) % 2
        return min(moved, 2 - moved)

    # What ConfigSpace knows -----------------------------------------------------------------

    @cached_property
    def _scales(self) -> dict[str, _Interval | _Choices]:
        """Between values and entries, for each hyperparameter that is no constant."""
        return {
            name: _scale(each)
            for name, each in self.configuration_space.items()
            if not isinstance(each, Constant)
        }

    @cached_property
    def _defaults(self) -> dict[str, HyperparameterValue]:
        return {name: _plain(each.default_value) for name, each in self.configuration_space.items()}

    def _is_active(self, name: str, values: Mapping[str, Any]) -> bool:
        conditions = self._conditions[name]
        return not conditions or all(is_met(each, values) for each in conditions)

    @cached_property
    def _conditions(self) -> dict[str, list[Any]]:
        space = self.configuration_space
        return {name: list(space.parent_conditions_of[name]) for name in space}


class _Interval:
    """Numbers between two bounds, as numbers from 0 to 1.

    A whole number stands in the middle of its part of the interval.
    """

    def __init__(self, low: float, high: float, log: bool, whole: bool) -> None:
        margin = 0.499999 if whole else 0.0
        self.bounds, self.log, self.whole = (low, high), log, whole
        ends = (low - margin, high + margin)
        self.low, self.high = map(math.log, ends) if log else ends

    @cached_property
    def entries(self) -> Sequence[float]:
        """What stands for each value; nothing if there is no end to them."""
        low, high = map(int, self.bounds)
        if not self.whole or high - low >= _MOST_LISTED:
            return ()
        return [self.entry(value) for value in range(low, high + 1)]

    def canonical(self, value: Any) -> int | float:
        return int(value) if self.whole else float(value)

    def entry(self, value: Any) -> float:
        number = math.log(value) if self.log else float(value)
        entry = (number - self.low) / (self.high - self.low)
        return min(max(entry, 0.0), 1.0)

    def value(self, entry: float) -> int | float:
        number = self.low + entry * (self.high - self.low)
        number = math.exp(number) if self.log else number
        low, high = self.bounds
        if self.whole:
            return int(min(max(round(number), low), high))
        return min(max(_rounded(number), low), high)


class _Choices:
    """The choices of a hyperparameter, as their indices."""

    def __init__(self, choices: Sequence[Any]) -> None:
        self.choices = tuple(map(_plain, choices))
        self.index = {choice: float(i) for i, choice in enumerate(self.choices)}
        self.entries = tuple(self.index.values())

    def canonical(self, value: Any) -> HyperparameterValue:
        return self.choices[int(self.index[_plain(value)])]

    def entry(self, value: Any) -> float:
        return self.index[value]

    def value(self, entry: float) -> HyperparameterValue:
        return self.choices[int(entry)]


def _scale(hyperparameter: Hyperparameter[Any, Any]) -> _Interval | _Choices:
    if isinstance(hyperparameter, NumericalHyperparameter):
        return _Interval(
            float(hyperparameter.lower),
            float(hyperparameter.upper),
            bool(getattr(hyperparameter, "log", False)),
            isinstance(hyperparameter, IntegerHyperparameter),
        )
    if isinstance(hyperparameter, OrdinalHyperparameter):
        return _Choices(hyperparameter.sequence)
    if isinstance(hyperparameter, CategoricalHyperparameter):
        return _Choices(hyperparameter.choices)
    raise InputError(
        f"{hyperparameter.name} is a {type(hyperparameter).__name__}; a hyperparameter must be "
        "categorical, ordinal, an integer, a float or constant"
    )


def _near(column: Column, entry: float) -> list[float]:
    """Return the entries of a column that are near one; none if it is inactive."""
    if entry == INACTIVE:
        return []
    if column.ordered:
        return [each for each in (entry - 1, entry + 1) if 0 <= each < column.choices]
    if column.choices:
        return [float(each) for each in range(column.choices) if each != entry]
    steps = (entry + sign * step for step in _STEPS for sign in (-1, 1))
    return [each for each in steps if 0 <= each <= 1]


def _plain(value: Any) -> HyperparameterValue:
    """Return a value as a configuration has it: of Python, and a float to 13 decimals."""
    found: HyperparameterValue = plain(value)
    return _rounded(found) if isinstance(found, float) else found


def _rounded(value: float) -> float:
    """Return what ConfigSpace rounds a number to, but for its speed."""
    return round(value * _SHIFT) / _SHIFT
