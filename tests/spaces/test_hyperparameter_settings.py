"""Hyperparameters from the settings of a declarative file."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import graphbo.spaces.hyperparameter_settings
from graphbo.errors import InputError
from graphbo.spaces import HyperparameterSpace
from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings

SETTINGS: dict[str, Any] = {
    "optimizer": ["sgd", "adam", "lion"],
    "size": {"choices": [8, 16, 32], "ordered": True, "default": 16},
    "rate": {"low": 1e-4, "high": 1.0, "log": True},
    "layers": {"low": 1, "high": 3},
    "momentum": {"low": 0.5, "high": 0.99, "default": 0.9, "when": {"optimizer": "sgd"}},
    "beta": {"low": 0.0, "high": 1.0, "when": {"optimizer": ["adam", "lion"], "layers": 2}},
}


def test_every_kind_of_entry_is_read() -> None:
    hyperparameters = HyperparameterSpace(hyperparameters_from_settings(SETTINGS)).hyperparameters
    columns = {column.name: column for column in hyperparameters.columns}
    assert (columns["optimizer"].choices, columns["optimizer"].ordered) == (3, False)
    assert (columns["size"].choices, columns["size"].ordered) == (3, True)
    assert [name for name in columns if columns[name].conditional] == ["beta", "momentum"]
    assert hyperparameters.default == {
        "layers": 2, "optimizer": "sgd", "rate": 0.01, "size": 16, "momentum": 0.9
    }  # fmt: skip


def test_what_depends_on_another_exists_only_when_it_should() -> None:
    space = HyperparameterSpace(hyperparameters_from_settings(SETTINGS))
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = space.sample(rng).hyperparameters
        assert ("momentum" in values) == (values["optimizer"] == "sgd")
        assert ("beta" in values) == (values["optimizer"] != "sgd" and values["layers"] == 2)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "a must be a list of choices or a table; got 3"),
        ({}, "a must have either choices, or low and high"),
        ({"choices": ["x"], "low": 1}, "a must have either choices, or low and high"),
        ({"low": 1, "high": 2, "logs": True}, "a: unknown key 'logs'; did you mean 'log'"),
        ([], "a: choices must be different texts or numbers; got"),
        (["x", "x"], "a: choices must be different texts or numbers"),
        ({"choices": ["x"], "ordered": 1}, "a: ordered must be true or false; got 1"),
        ({"choices": ["x"], "default": "y"}, "a: default must be one of the choices; got 'y'"),
        ({"low": 2, "high": 1}, "a: low must be a number below another, high"),
        ({"low": "x", "high": 1}, "a: low must be a number below another, high"),
        ({"low": 1.0}, "a: low must be a number below another, high"),
        ({"low": 0, "high": 1, "log": True}, "a: with log, low must be positive; got 0"),
        ({"low": 1, "high": 2, "log": 3}, "a: log must be true or false; got 3"),
        ({"low": 1, "high": 2, "default": "x"}, "a: default must be a number; got 'x'"),
        ({"low": 1.0, "high": 2.0, "default": 3.0}, "a: "),
        ({"low": 1, "high": 2, "when": "b"}, "a: when must be a table of names and values"),
        ({"low": 1, "high": 2, "when": {"c": 1}}, "a: when names 'c', which is no earlier"),
        ({"low": 1, "high": 2, "when": {"b": "z"}}, "a: b cannot be 'z'"),
    ],
)
def test_mistakes_name_the_entry(entry: object, message: str) -> None:
    with pytest.raises(InputError, match=f"^here: {message}"):
        hyperparameters_from_settings({"b": ["x", "y"], "a": entry}, where="here")


def test_there_is_at_least_one() -> None:
    with pytest.raises(InputError, match=r"\[hyperparameters\]: there must be at least one"):
        hyperparameters_from_settings({})


def test_the_example_runs() -> None:
    assert doctest.testmod(graphbo.spaces.hyperparameter_settings).failed == 0
