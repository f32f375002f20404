"""Architectures with hyperparameters beside them, and hyperparameters alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from ConfigSpace import (
    ConfigurationSpace,
    EqualsCondition,
    ForbiddenEqualsClause,
    GreaterThanCondition,
)
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.errors import InputError
from graphbo.spaces import CellSpace, ChainSpace, Design, HyperparameterSpace, JointSpace
from graphbo.spaces.base import INACTIVE
from graphbo.spaces.description import described
from graphbo.spaces.hyperparameters import Hyperparameters
from graphbo.testing.optimizers import example_hyperparameters

CELLS = CellSpace(3, ["a", "b"], on="edges")


def conditional() -> ConfigurationSpace:
    space = ConfigurationSpace("conditional")
    rate = UniformFloatHyperparameter("rate", 1e-4, 1.0, log=True)
    optimizer = CategoricalHyperparameter("optimizer", ["sgd", "adam"])
    momentum = UniformFloatHyperparameter("momentum", 0.0, 1.0)
    space.add([rate, optimizer, momentum])
    space.add(EqualsCondition(momentum, optimizer, "sgd"))
    return space


def test_designs_differ_in_architecture_or_in_hyperparameters() -> None:
    space = JointSpace(CELLS, conditional())
    design = space.sample(np.random.default_rng(0))
    same = Design(design.architecture, (), hyperparameters=dict(design.hyperparameters))
    assert design == same
    assert hash(design) == hash(same)
    other = {**design.hyperparameters, "rate": 0.5}
    assert Design(design.architecture, design.row, hyperparameters=other) != design
    assert CELLS.design(design.row) != design


def test_what_is_inactive_makes_no_difference() -> None:
    hyperparameters = Hyperparameters(conditional())
    names = [column.name for column in hyperparameters.columns]
    entries = {"rate": 0.5, "optimizer": 1.0, "momentum": 0.3}
    vector = tuple(entries[name] for name in names)
    changed = tuple({**entries, "momentum": 0.9}[name] for name in names)
    values = hyperparameters.values(vector)
    assert values == hyperparameters.values(changed) == {"rate": 0.01, "optimizer": "adam"}
    assert values is not None
    assert hyperparameters.vector(values)[names.index("momentum")] == INACTIVE


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_values_come_back_from_vectors_and_configurations(seed: int) -> None:
    space = HyperparameterSpace(example_hyperparameters())
    rng = np.random.default_rng(seed)
    design = space.sample(rng)
    for other in (space.mutate(design, rng), space.crossover(design, space.sample(rng), rng)):
        vector = space.hyperparameters.vector(other.hyperparameters)
        assert space.hyperparameters.values(vector) == other.hyperparameters
        assert space.from_configuration(space.to_configuration(other)) == other
        # ConfigSpace itself must take every value for what it is.
        assert dict(space.to_configuration(other)) == other.hyperparameters


def test_scales_follow_configspace() -> None:
    space = ConfigurationSpace("scales")
    rate = UniformFloatHyperparameter("rate", 1e-4, 1.0, log=True)
    layers = UniformIntegerHyperparameter("layers", 1, 4)
    units = UniformIntegerHyperparameter("units", 1, 1000, log=True)
    width = OrdinalHyperparameter("width", [8, 16, 32])
    space.add([rate, layers, units, width])
    hyperparameters = Hyperparameters(space)
    columns = {column.name: i for i, column in enumerate(hyperparameters.columns)}

    def value(name: str, entry: float) -> Any:
        vector = [0.0] * len(columns)
        vector[columns[name]] = entry
        found = hyperparameters.values(tuple(vector))
        assert found is not None
        return found[name]

    assert value("rate", 0.5) == pytest.approx(0.01)
    assert [value("layers", u) for u in (0, 0.24, 0.26, 0.74, 0.76, 1)] == [1, 1, 2, 3, 4, 4]
    assert value("units", 0.5) == pytest.approx(math.sqrt(0.5 * 1000), rel=0.05)
    assert [value("width", i) for i in range(3)] == [8, 16, 32]
    assert [c.choices for c in hyperparameters.columns] == [
        {"rate": 0, "layers": 0, "units": 0, "width": 3}[name] for name in columns
    ]


def test_forbidden_clauses_are_kept_by_every_move() -> None:
    space = ConfigurationSpace({"x": ["a", "b", "c"], "y": (0.0, 1.0)})
    space.add(ForbiddenEqualsClause(space["x"], "b"))
    joint = HyperparameterSpace(space)
    rng = np.random.default_rng(0)
    designs = [joint.sample(rng) for _ in range(30)]
    designs += [joint.mutate(design, rng) for design in designs]
    designs += [near for design in designs[:5] for near in joint.neighbors(design)]
    assert {design.hyperparameters["x"] for design in designs} == {"a", "c"}
    with pytest.raises(InputError, match="forbids"):
        joint.from_configuration({"x": "b", "y": 0.5})


def test_conditions_on_numbers_hold() -> None:
    space = ConfigurationSpace({"n": (1, 9), "x": (0.0, 1.0)})
    space.add(GreaterThanCondition(space["x"], space["n"], 4))
    joint = HyperparameterSpace(space)
    rng = np.random.default_rng(0)
    design = joint.sample(rng)
    for _ in range(50):
        design = joint.mutate(design, rng)
        n = design.hyperparameters["n"]
        assert isinstance(n, int)
        assert ("x" in design.hyperparameters) == (n > 4)


def test_mutation_changes_one_thing_and_reaches_everything() -> None:
    space = JointSpace(CELLS, conditional())
    rng = np.random.default_rng(0)
    design = space.sample(rng)
    changed = set()
    for _ in range(200):
        child = space.mutate(design, rng)
        assert child != design
        own = child.architecture != design.architecture
        keys = {*design.hyperparameters} & {*child.hyperparameters}
        different = {k for k in keys if design.hyperparameters[k] != child.hyperparameters[k]}
        assert own + len(different) == 1
        changed |= different | ({"architecture"} if own else set())
    assert changed >= {"architecture", "rate", "optimizer"}


def test_neighbors_differ_in_one_thing() -> None:
    space = JointSpace(ChainSpace(2, ["conv3x3"], ["maxpool2"], [8, 16]), conditional())
    design = space.from_configuration(
        {**dict(space.to_configuration(space.sample(np.random.default_rng(1)))), "rate": 0.01}
    )
    near = space.neighbors(design)
    assert len(set(near)) == len(near)
    rates = sorted(n.hyperparameters["rate"] for n in near if n.hyperparameters["rate"] != 0.01)
    assert rates == pytest.approx(sorted(0.01 * 1e4 ** (s * f) for s in (1, -1) for f in STEPS))
    assert space.neighbors(design, exclude=near) == []


STEPS = (0.2, 0.05, 0.0125)


def test_bad_values_are_named() -> None:
    space = HyperparameterSpace(conditional())
    for given_values, message in (
        ({"rate": 2.0, "optimizer": "adam"}, "rate must be"),
        ({"optimizer": "adam"}, "rate must be .* got nothing"),
        ({"rate": 0.1, "optimizer": "adam", "momentum": 0.5}, "'momentum' is no hyperparameter"),
        ({"rate": 0.1, "optimizer": "adam", "depth": 3}, "'depth' is no hyperparameter"),
    ):
        with pytest.raises(InputError, match=message):
            space.from_configuration(given_values)
    with pytest.raises(InputError, match="no hyperparameters"):
        HyperparameterSpace(ConfigurationSpace())
    name = CELLS.decisions[0].name
    with pytest.raises(InputError, match="is a hyperparameter and a decision"):
        JointSpace(CELLS, ConfigurationSpace({name: (0.0, 1.0)}))


def test_spaces_with_other_hyperparameters_are_told_apart() -> None:
    one, other = ConfigurationSpace({"x": (0.0, 1.0)}), ConfigurationSpace({"x": (0.0, 2.0)})
    digests = {described(JointSpace(CELLS, each, "same"))["digest"] for each in (one, other)}
    assert len(digests) == 2
    assert described(JointSpace(CELLS, one)) == described(JointSpace(CELLS, one))


@pytest.mark.parametrize("choices", [[(3, 3), (5, 5)], [None, "sqrt"]])
def test_choices_that_no_file_can_hold_are_refused(choices: list[Any]) -> None:
    settings = ConfigurationSpace({"kernel": CategoricalHyperparameter("kernel", choices)})
    with pytest.raises(InputError, match=r"must be a text, a number or a bool; kernel has"):
        HyperparameterSpace(settings)


def test_what_is_read_has_the_type_of_its_hyperparameter() -> None:
    settings = ConfigurationSpace({"n": (1, 8), "x": (0.0, 2.0), "deep": [False, True]})
    space = HyperparameterSpace(settings)
    values = space.from_configuration({"n": 3.0, "x": 1, "deep": True}).hyperparameters
    assert values == {"n": 3, "x": 1.0, "deep": True}
    assert [type(values[name]) for name in ("n", "x", "deep")] == [int, float, bool]
    with pytest.raises(InputError, match=r"n must be a value of .*; got True"):
        space.from_configuration({"n": True, "x": 1.0, "deep": True})


def test_what_has_an_end_is_listed_once() -> None:
    settings = conditional()
    settings.add(UniformIntegerHyperparameter("depth", 1, 3))
    assert list(JointSpace(CELLS, settings).listed()) == [], "a rate has no end"
    finite = ConfigurationSpace({"optimizer": ["sgd", "adam"]})
    finite.add(UniformIntegerHyperparameter("depth", 1, 3, default_value=1))
    momentum = OrdinalHyperparameter("momentum", [0.0, 0.5, 0.9])
    finite.add(momentum)
    finite.add(EqualsCondition(momentum, finite["optimizer"], "sgd"))
    finite.add(ForbiddenEqualsClause(finite["depth"], 2))
    space = JointSpace(CELLS, finite)
    listed = list(space.listed())
    assert len(set(listed)) == len(listed) == len(CELLS.enumerate()) * (3 + 1) * 2
    rng = np.random.default_rng(0)
    assert {space.sample(rng) for _ in range(50)} <= set(listed)
    long = JointSpace(CELLS, ConfigurationSpace({"n": (1, 100_000)}))
    assert list(long.listed()) == []
