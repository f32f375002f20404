"""From ConfigSpace to Optuna's define-by-run, with conditions and forbidden clauses."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    ForbiddenEqualsClause,
    GreaterThanCondition,
    OrConjunction,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import UnParametrizedHyperparameter

from graphbo.errors import InputError, MissingExtraError
from graphbo.spaces.define_by_run import (
    distribution,
    distributions,
    is_forbidden,
    parameters,
    require_optuna,
    suggest_configuration,
)

optuna = pytest.importorskip("optuna")


def example() -> ConfigurationSpace:
    space = ConfigurationSpace(seed=1)
    kind = CategoricalHyperparameter("kind", ["plain", "wide"])
    rate = UniformFloatHyperparameter("rate", 1e-3, 1.0, log=True)
    width = UniformIntegerHyperparameter("a_width", 1, 64, log=True)
    depth = OrdinalHyperparameter("depth", ["2", "4", "8"])
    skips = UniformIntegerHyperparameter("skips", 0, 3)
    space.add(kind, rate, width, depth, skips, Constant("epochs", 3))
    space.add(
        EqualsCondition(width, kind, "wide"),
        AndConjunction(GreaterThanCondition(rate, depth, "2"), EqualsCondition(rate, kind, "wide")),
        OrConjunction(GreaterThanCondition(skips, width, 10), EqualsCondition(skips, depth, "8")),
    )
    space.add(ForbiddenEqualsClause(depth, "4"))
    return space


def test_each_hyperparameter_has_its_distribution() -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert distributions(example()) == {
        "kind": CategoricalDistribution(["plain", "wide"]),
        "rate": FloatDistribution(1e-3, 1.0, log=True),
        "a_width": IntDistribution(1, 64, log=True),
        "depth": IntDistribution(0, 2),
        "skips": IntDistribution(0, 3),
    }
    assert distribution(Constant("k", 1)) is None


def test_suggestions_are_configurations_and_back() -> None:
    """Whatever is drawn is what ConfigSpace would call a valid configuration."""
    space, rng = example(), np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        params: dict[str, Any] = {
            "x_kind": ["plain", "wide"][rng.integers(2)],
            "x_rate": 10 ** rng.uniform(-3, 0),
            "x_a_width": int(rng.integers(1, 65)),
            "x_depth": int(rng.integers(3)),
            "x_skips": int(rng.integers(4)),
        }
        values = suggest_configuration(optuna.trial.FixedTrial(params), space, "x_")
        assert values["epochs"] == 3
        forbidden = values["depth"] == "4"
        assert is_forbidden(space, values) == forbidden
        if not forbidden:
            from ConfigSpace import Configuration

            Configuration(space, values=values).check_valid_configuration()
        back = parameters(space, values, "x_")
        assert back == {name: params[name] for name in back}
        seen.add(frozenset(values))
    assert len(seen) == 6, "every combination of active hyperparameters"


def test_what_is_active_is_what_configspace_draws() -> None:
    space = example()
    for configuration in space.sample_configuration(50):
        values = dict(configuration)
        params = {**parameters(space, values), "unused": 1}
        again = suggest_configuration(optuna.trial.FixedTrial(params), space)
        assert again == values
        assert all(type(value).__module__ == "builtins" for value in params.values())


def test_kinds_that_optuna_does_not_know_are_named() -> None:
    class Odd(UnParametrizedHyperparameter):
        pass

    assert distribution(Odd("odd", 1)) is None, "a constant by another name"
    with pytest.raises(InputError, match="is a int; a hyperparameter for Optuna must be"):
        distribution(type("int", (), {"name": "odd"})())  # type: ignore[arg-type]


def test_without_optuna_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"optuna is not installed.*'graphbo\[optuna\]'"):
        require_optuna()
