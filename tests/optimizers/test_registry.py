"""Optimisers by name."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import graphbo.optimizers
from graphbo.errors import InputError
from graphbo.optimizers import OPTIMIZERS, LocalSearch, RegularizedEvolution, make_optimizer
from graphbo.optimizers.registry import file_name, split_names
from graphbo.spaces import CellSpace, ChainSpace, SearchSpace

SPACE = CellSpace(3, ["a"], on="edges")
CHAINS = ChainSpace(2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_name_makes_its_optimizer(
    name: str, tiny_checkpoint: Callable[[SearchSpace], Path]
) -> None:
    given = {"checkpoint": tiny_checkpoint(SPACE)} if name == "embedding-bo" else {}
    space = CHAINS if name == "q-learning" else SPACE
    optimizer = make_optimizer(name, space, seed=7, epochs=(1, 2), **given)
    assert optimizer.name == name
    assert optimizer.space is space
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
        ("GRAPH-BO", {}, "did you mean graph-bo"),
        ("xyz", {}, "no optimiser 'xyz'; graphbo list names them all"),
        ("random", {"population": 3}, "random has no setting 'population'; it has none"),
        ("graph-bo", {"sample": 3}, r"no setting 'sample'; it has \['initial'"),
        ("graph-bo", {"initial": 0}, "at least 1 random design"),
        ("random-ranking", {"initial": -2}, "got initial=-2"),
        ("graph-bo", {"acquisition": "ucb"}, "the acquisition is one of .*; got 'ucb'"),
        ("regularized-evolution", {"population": 5, "sample": 6}, "1 to 5 members"),
        ("regularized-evolution", {"sample": 0}, "got sample=0"),
    ],
)
def test_mistakes_are_named(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_optimizer(name, SPACE, **settings)


# Settings in the name ----------------------------------------------------------------------------


def test_settings_can_be_part_of_the_name() -> None:
    written = make_optimizer("regularized-evolution:population=7, sample=3", SPACE, seed=2)
    assert written.name == "regularized-evolution"
    assert written.settings == {"population": 7, "sample": 3}
    assert written.seed == 2
    more = make_optimizer("graph-bo:initial=none", SPACE, acquisition="qlogei")
    assert more.settings == {"initial": 5, "kernels": None, "acquisition": "qlogei"}


def test_values_are_read_as_what_the_setting_takes() -> None:
    optimizer = make_optimizer("embedding-bo:surrogate=paths,prior=False,initial=4", SPACE)
    assert optimizer.settings == {
        "initial": 4,
        "acquisition": "logei",
        "surrogate": "paths",
        "prior": False,
        "checkpoint": None,
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("graphbo:initial=3", "no optimiser 'graphbo'; did you mean graph-bo"),
        ("random:population=3", "random has no setting 'population'; it has none"),
        ("graph-bo:seed=3", "no setting 'seed'"),
        ("graph-bo:initial=many", "initial of graph-bo must be a whole number; got 'many'"),
        ("graph-bo:initial=2.5", "a whole number; got '2.5'"),
        ("graph-bo:kernels=rbf", "kernels of graph-bo can be given in Python only"),
        ("embedding-bo:prior=maybe", "prior of embedding-bo must be true or false; got 'maybe'"),
        ("regularized-evolution:sample=none", "a whole number; got 'none'"),
        ("graph-bo:initial", "like graph-bo:setting=value,other=value; got 'initial'"),
        ("graph-bo:", "got ''"),
        ("graph-bo:initial=", "got 'initial='"),
        ("graph-bo:initial=3,initial=4", "the setting 'initial' twice"),
    ],
)
def test_mistakes_in_written_settings_are_named(name: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        make_optimizer(name, SPACE)


def test_a_setting_is_given_once() -> None:
    with pytest.raises(InputError, match="the setting 'initial' twice"):
        make_optimizer("graph-bo:initial=3", SPACE, initial=3)


def test_a_list_of_names_keeps_settings_with_their_optimizer() -> None:
    assert split_names("a:x=1,y=2, b,c:x=d:e, z=3,,d") == ["a:x=1,y=2", "b", "c:x=d:e,z=3", "d"]
    # A setting of nothing is a name of its own, which does not exist.
    assert split_names("a,x=1") == ["a", "x=1"]
    assert split_names("a:x=1,b:y=2") == ["a:x=1", "b:y=2"]


def test_files_have_safe_names_of_their_own() -> None:
    assert file_name("graph-bo") == "graph-bo"
    names = [
        "embedding-bo:checkpoint=/a/b/c.pt",
        "embedding-bo:checkpoint=/a/b-c.pt",
        "embedding-bo:checkpoint=../" + 300 * "x" + ".pt",
        "a/b",
    ]
    files = [file_name(name) for name in names]
    assert len(set(files)) == len(names)
    for file in files:
        assert re.fullmatch(r"[A-Za-z0-9][\w.=-]*", file)
        assert len(file) < 100
    assert files[0].startswith("embedding-bo-checkpoint=-a-b-c.pt-")


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
