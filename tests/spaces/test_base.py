"""What every space gets from its decisions."""

from __future__ import annotations

import numpy as np
import pytest

from graphbo.spaces import INACTIVE, CellSpace, ChainSpace, RegNetSpace


def test_choices_of_unknown_number_or_name_are_refused() -> None:
    space = CellSpace(3, ["a", "b"], on="edges")
    with pytest.raises(ValueError, match="has 3 entries; got 2"):
        space.design((0, 1))
    with pytest.raises(ValueError, match="edge_0_1 has choices 0 to 2; got 3"):
        space.design((3, 0, 0))
    assert not space.is_valid((3, 0, 0))
    assert not space.is_valid((-1, 0, 0))
    with pytest.raises(ValueError, match=r"edge_0_2 must be one of .*; got c"):
        space.from_configuration({"edge_0_1": "a", "edge_0_2": "c", "edge_1_2": "a"})
    with pytest.raises(ValueError, match="got <missing>"):
        space.from_configuration({"edge_0_1": "a"})
    with pytest.raises(ValueError, match="'edge_5_6' is not a decision"):
        space.from_configuration({"edge_5_6": "a"})


def test_a_configuration_may_be_any_mapping() -> None:
    space = CellSpace(3, ["a", "b"], on="edges")
    design = space.from_configuration(
        {"edge_0_1": "none", "edge_0_2": "b", "edge_1_2": "a"}, origin="by hand"
    )
    assert design.row == (0, 2, 1)
    assert design.origin == "by hand"
    assert design.architecture.edges == ((0, 1, "b"),)


def test_neighbors_are_all_architectures_one_decision_away() -> None:
    space = CellSpace(3, ["a", "b"], on="edges")
    design = space.design((1, 0, 1))  # a path; the direct edge is missing
    neighbors = {neighbor.row for neighbor in space.neighbors(design)}
    # Removing either half of the path leaves the empty cell, once.
    assert neighbors == {(0, 0, 1), (2, 0, 1), (1, 1, 1), (1, 2, 1), (1, 0, 2)}


def test_mutation_reaches_every_architecture_of_a_space() -> None:
    space = CellSpace(3, ["a", "b"], on="edges")
    rng = np.random.default_rng(0)
    design, seen = space.enumerate()[0], set()
    for _ in range(400):
        design = space.mutate(design, rng)
        seen.add(design.architecture)
    assert len(seen) == space.size


def test_mutation_avoids_what_is_excluded_until_nothing_is_left() -> None:
    space = CellSpace(3, ["a", "b"], on="edges")
    rng = np.random.default_rng(0)
    everything = space.enumerate()
    exclude = set(everything[:-1])
    assert space.mutate(everything[0], rng, exclude) == everything[-1]
    exclude.add(everything[-1])
    assert space.mutate(everything[0], rng, exclude) != everything[0]


def test_a_space_of_one_architecture_mutates_into_itself() -> None:
    space = CellSpace(2, ["a"], on="nodes")
    design = space.enumerate()[0]
    assert space.mutate(design, np.random.default_rng(0)) == design
    assert space.neighbors(design) == []


def test_crossover_takes_each_decision_from_a_parent() -> None:
    space = CellSpace(4, ["a", "b", "c"], on="edges")
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, second = space.sample(rng), space.sample(rng)
        child = space.crossover(first, second, rng)
        for index, *parents in zip(child.row, first.row, second.row, strict=True):
            assert index in parents


def test_crossover_of_chains_mixes_depths_and_layers() -> None:
    space = ChainSpace(4)
    rng = np.random.default_rng(0)
    short, long = space.design((0, 0, 1, *[INACTIVE] * 6)), space.design((3, *[1, 2] * 4))
    depths = {space.crossover(short, long, rng).row[0] for _ in range(50)}
    assert depths == {0, 3}


def test_sampling_reaches_every_row() -> None:
    space = CellSpace(3, ["a"], on="edges")
    rng = np.random.default_rng(0)
    assert len({space.sample(rng).row for _ in range(300)}) == 8


def test_large_spaces_say_that_they_cannot_be_enumerated() -> None:
    space = CellSpace(9, ["a", "b"], on="nodes")
    assert space.size is None
    with pytest.raises(ValueError, match="too large to enumerate"):
        space.enumerate()


def test_a_choice_may_be_given_as_the_number_that_it_names() -> None:
    chosen = {"depth": 4, "w_0": 8, "w_a": 9.0, "w_m": 2.0, "group_width": 4, "bottleneck": 1}
    design = RegNetSpace().from_configuration(chosen)
    assert design == RegNetSpace().from_configuration({k: f"{v:g}" for k, v in chosen.items()})
