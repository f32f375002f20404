"""The strategy of random architectures, and what the package of suites offers."""

from __future__ import annotations

import sys

import pytest
from hypothesis import find, given

import graphbo.testing
from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import MissingExtraError
from graphbo.kernels.testing import check_kernel
from graphbo.testing import architectures
from graphbo.testing.optimizers import check_optimizer
from graphbo.testing.spaces import check_space


@given(architectures(["a", "b"], max_nodes=3, edge_labels=["", "c"]))
def test_architectures_keep_to_their_labels_and_size(architecture: Architecture) -> None:
    assert 2 <= len(architecture) <= 5
    assert set(architecture.nodes) <= {INPUT, OUTPUT, "a", "b"}
    assert {label for *_, label in architecture.edges} <= {"", "c"}


@pytest.mark.parametrize(
    "wanted",
    [
        lambda a: a.is_empty,
        lambda a: len(a.edges) > 5,
        lambda a: not a.is_empty and a.pruned() != a,
        lambda a: len({label for *_, label in a.edges}) == 2,
    ],
    ids=["empty", "many edges", "to be pruned", "two labels"],
)
def test_every_kind_of_architecture_comes_up(wanted: object) -> None:
    find(architectures(edge_labels=["", "c"]), wanted)  # type: ignore[arg-type]


def test_without_hypothesis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(MissingExtraError, match=r"graphbo\[dev\]"):
        architectures()


def test_all_suites_are_found_in_one_place() -> None:
    assert graphbo.testing.check_kernel is check_kernel
    assert graphbo.testing.check_optimizer is check_optimizer
    assert graphbo.testing.check_space is check_space
    with pytest.raises(AttributeError, match="no attribute 'check_problem'"):
        graphbo.testing.check_problem  # noqa: B018
