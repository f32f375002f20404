"""Architectures of several parts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces import (
    CellSpace,
    ChainSpace,
    FixedSpace,
    JointSpace,
    PoolSpace,
    ProductSpace,
)
from graphbo.testing import architectures

EDGES = CellSpace(3, ["a", "b"], on="edges")
NODES = CellSpace(4, ["a", "b"], on="nodes")
CELLS = ProductSpace({"normal": EDGES, "reduce": NODES})


def test_the_parts_stand_side_by_side_in_one_graph() -> None:
    direct = Architecture([INPUT, OUTPUT], [(0, 1, "a")])
    chain = Architecture([INPUT, "b", OUTPUT], [(0, 1), (1, 2)])
    assert CELLS.join({"normal": direct, "reduce": chain}) == Architecture(
        [
            INPUT,
            "normal/input",
            "normal/output",
            "reduce/input",
            "reduce/b",
            "reduce/output",
            OUTPUT,
        ],
        [(0, 1), (1, 2, "normal/a"), (2, 6), (0, 3), (3, 4), (4, 5), (5, 6)],
    )


@given(*[architectures(["a", "b"], max_nodes=3, edge_labels=["", "a", "in/put"])] * 2)
@settings(deadline=None, max_examples=60)
def test_architectures_come_apart_into_what_they_were_joined_from(
    normal: Architecture, reduce: Architecture
) -> None:
    parts = {"normal": normal.pruned(), "reduce": reduce.pruned()}
    whole = CELLS.join(parts)
    assert CELLS.split(whole) == parts
    assert CELLS.split(whole.canonical()) == parts
    assert whole.pruned() == whole


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_architectures_are_equal_if_and_only_if_all_parts_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = CELLS.sample(rng), CELLS.sample(rng)
    same = CELLS.split(one.architecture) == CELLS.split(other.architecture)
    assert (one == other) == same
    assert (CELLS.canonical_row(one.row) == CELLS.canonical_row(other.row)) == same


def test_equal_parts_under_other_names_make_other_architectures() -> None:
    space = ProductSpace({"first": EDGES, "second": EDGES})
    direct, empty = (Architecture([INPUT, OUTPUT], edges) for edges in ([(0, 1, "a")], []))
    first = space.join({"first": direct, "second": empty})
    second = space.join({"first": empty, "second": direct})
    assert first != second
    assert space.join({"first": empty, "second": empty}).is_empty


def test_there_are_as_many_architectures_as_combinations_of_parts() -> None:
    space = ProductSpace({"normal": EDGES, "reduce": CellSpace(3, ["a"], on="edges")})
    assert space.size == len(set(space.enumerate())) == EDGES.size * 4
    chains = ChainSpace(4)
    assert chains.enumerable
    large = ProductSpace({"stem": chains, "head": chains})
    assert (large.enumerable, large.size) == (False, chains.size**2)
    assert ProductSpace({"chain": chains, "cell": CellSpace(9, ["a"], on="nodes")}).size is None


def test_decisions_and_their_conditions_are_called_by_their_part() -> None:
    space = ProductSpace({"stem": ChainSpace(2), "cell": EDGES})
    names = [decision.name for decision in space.decisions]
    assert names[:4] == ["stem/depth", "stem/layer_1", "stem/width_1", "stem/layer_2"]
    assert names[-1] == "cell/edge_1_2"
    assert space.decisions[3].conditions == {"stem/depth": ("2",)}
    assert "stem/conv3x3-8" in space.operations
    assert space.ports == ("stem/input", "stem/output", "cell/input", "cell/output")


def test_operations_of_several_parts_have_a_name_without_them() -> None:
    aliases = CELLS.aliases
    assert aliases["normal/a"] == aliases["reduce/a"] == "a"
    assert aliases["normal/input"] == aliases["reduce/input"] != INPUT
    nested = ProductSpace({"outer": CELLS, "last": EDGES})
    assert nested.aliases["outer/normal/a"] == nested.aliases["last/a"] == "a"
    assert ProductSpace({"cell": EDGES, "stem": ChainSpace(2)}).aliases == {}


def test_pools_and_joint_spaces_know_the_ports_of_theirs() -> None:
    pool = PoolSpace([CELLS.sample(np.random.default_rng(0)).architecture], parent=CELLS)
    joint = JointSpace(CELLS, ConfigurationSpace({"rate": (0.0, 1.0)}))
    for space in (pool, joint):
        assert (space.ports, space.aliases) == (CELLS.ports, CELLS.aliases)
        assert set(space.operations) <= set(CELLS.operations)
        assert pickle.loads(pickle.dumps(space)).aliases == CELLS.aliases


def test_positions_are_aligned_where_they_are_in_every_part() -> None:
    assert ProductSpace({"normal": EDGES, "reduce": EDGES}).aligned_positions
    assert not CELLS.aligned_positions


def test_a_part_with_one_member_is_left_alone() -> None:
    space = ProductSpace(
        {"cell": CellSpace(3, ["a", "b"], on="edges"), "stem": ChainSpace(1, ["c"], [], [8])}
    )
    rng, drawn = np.random.default_rng(0), []
    space.parts["stem"].sample = lambda rng: drawn.append(rng)  # type: ignore[method-assign]
    design = space.design_of(space.enumerate()[0].architecture)
    for _ in range(20):
        assert space.mutate(design, rng) != design
    assert not drawn, "the part was drawn from in vain"


def test_every_move_changes_one_part() -> None:
    rng = np.random.default_rng(0)
    design = CELLS.sample(rng)
    changed = set()
    for near in [*CELLS.neighbors(design), *(CELLS.mutate(design, rng) for _ in range(20))]:
        before, after = CELLS.split(design.architecture), CELLS.split(near.architecture)
        different = [name for name in before if before[name] != after[name]]
        assert len(different) == 1
        changed.update(different)
    assert changed == {"normal", "reduce"}


@pytest.mark.parametrize(
    "stranger",
    [
        Architecture([INPUT, OUTPUT], [(0, 1)]),
        Architecture([INPUT, "normal/input", OUTPUT], [(0, 1), (1, 2)]),
        Architecture(
            [INPUT, "normal/input", "reduce/a", "normal/output", OUTPUT],
            [(0, 1), (1, 2), (2, 3), (3, 4)],
        ),
        Architecture(
            [INPUT, "normal/input", "normal/a", "normal/output", OUTPUT],
            [(0, 1), (1, 2), (2, 3), (3, 4), (2, 4)],
        ),
    ],
)
def test_what_is_not_made_of_the_parts_is_refused(stranger: Architecture) -> None:
    assert stranger not in CELLS
    with pytest.raises(ValueError, match="part"):
        CELLS.split(stranger)


def test_parts_are_named_and_have_decisions() -> None:
    rates = ConfigurationSpace({"rate": (0.0, 1.0)})
    pool = PoolSpace([Architecture([INPUT, OUTPUT], [])])
    with pytest.raises(InputError, match="at least one part"):
        ProductSpace({})
    for name in ("", "a/b"):
        with pytest.raises(InputError, match="name of a part"):
            ProductSpace({name: EDGES})
    for part in (pool, JointSpace(EDGES, rates)):
        with pytest.raises(InputError, match="'other' must be a space of architectures"):
            ProductSpace({"normal": EDGES, "other": part})
    with pytest.raises(InputError, match=r"has the parts \['normal', 'reduce'\]"):
        CELLS.join({"normal": Architecture([INPUT, OUTPUT], [])})
    JointSpace(ProductSpace({"normal": EDGES, "fixed": FixedSpace()}), rates)
