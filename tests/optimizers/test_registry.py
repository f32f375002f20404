"""Optimisers by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

import graphbo.optimizers
from graphbo.errors import InputError
from graphbo.optimizers import OPTIMIZERS, LocalSearch, RegularizedEvolution, make_optimizer
from graphbo.spaces import CellSpace

SPACE = CellSpace(3, ["a"], on="edges")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_name_makes_its_optimizer(name: str) -> None:
    optimizer = make_optimizer(name, SPACE, seed=7)
    assert optimizer.name == name
    assert optimizer.space is SPACE
    assert optimizer.seed == 7


def test_settings_reach_the_optimizer_and_are_recorded() -> None:
    optimizer = make_optimizer("regularized-evolution", SPACE, population=7, sample=3)
    assert isinstance(optimizer, RegularizedEvolution)
    assert (optimizer.population, optimizer.sample) == (7, 3)
    assert optimizer.settings == {"population": 7, "sample": 3}
    settings = make_optimizer("graph-bo", SPACE, initial=4).settings
    assert settings == {"initial": 4, "kernels": None, "acquisition": "logei"}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("graphbo", {}, "no optimiser 'graphbo'; did you mean graph-bo"),
        ("xyz", {}, "did you mean graph-bo or random or .*local-search"),
        ("random", {"population": 3}, "random has no setting 'population'; it has none"),
        ("graph-bo", {"sample": 3}, r"no setting 'sample'; it has \['initial'"),
        ("graph-bo", {"initial": 0}, "at least 1 random design"),
        ("random-ranking", {"initial": -2}, "got initial=-2"),
        ("graph-bo", {"acquisition": "ucb"}, "the acquisition is one of .*; got 'ucb'"),
        ("regularized-evolution", {"population": 5, "sample": 6}, "1 to 5 members"),
        ("regularized-evolution", {"sample": 0}, "got 0"),
    ],
)
def test_mistakes_are_named(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_optimizer(name, SPACE, **settings)


def test_classes_are_imported_when_they_are_named() -> None:
    assert graphbo.optimizers.LocalSearch is LocalSearch
    with pytest.raises(AttributeError, match="no attribute 'Annealing'"):
        graphbo.optimizers.Annealing  # noqa: B018


def test_names_are_known_without_torch() -> None:
    code = (
        "import sys, graphbo.optimizers as o; o.make_optimizer; o.OPTIMIZERS; o.LocalSearch;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
