"""Cell spaces, and the two that are benchmarks."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.spaces import CellSpace, NASBench101Space, NASBench201Space

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"


@pytest.fixture(scope="module")
def nasbench201() -> NASBench201Space:
    return NASBench201Space()


# NAS-Bench-201 -----------------------------------------------------------------------------------


def test_nasbench201_has_15625_rows_and_8765_distinct_networks(
    nasbench201: NASBench201Space,
) -> None:
    counts = collections.Counter(nasbench201.decode(row) for row in nasbench201._rows())
    assert counts.total() == 5**6 == 15_625
    assert len(counts) == 8_765
    assert counts[Architecture([INPUT, OUTPUT], [])] == 341
    assert set(counts) == {design.architecture for design in nasbench201.enumerate()}
    assert nasbench201.size == 8_765


def test_nasbench201_rows_are_canonical(nasbench201: NASBench201Space) -> None:
    for design in nasbench201.enumerate():
        assert nasbench201.encode(design.architecture) == design.row


def test_nasbench201_strings_round_trip(nasbench201: NASBench201Space) -> None:
    for design in nasbench201.enumerate():
        text = nasbench201.format(design.architecture)
        assert nasbench201.parse(text) == design.architecture
        assert nasbench201.parse_row(text) == design.row


def test_a_nasbench201_string_says_which_operation_is_where(nasbench201: NASBench201Space) -> None:
    assert nasbench201.parse_row(BEST) == (3, 3, 3, 1, 3, 0)
    assert nasbench201.parse(BEST) == Architecture(
        [INPUT, "", OUTPUT],  # the third state has no way to the output
        [(0, 1, "nor_conv_3x3"), (0, 2, "skip_connect"), (1, 2, "nor_conv_3x3")],
    )
    assert nasbench201.aligned_positions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no edge"),
        ("|none~0|", "groups of 1, 2 and 3 edges"),
        (BEST + "+|none~0|", "groups of 1, 2 and 3 edges"),
        (BEST.replace("skip_connect", "skip"), "'skip~0' in .* is no edge"),
        (BEST.replace("none~2", "none~3"), "'none~3' in .* is no edge"),
        (BEST.replace("|none~2", ""), "groups of 1, 2 and 3 edges"),
    ],
)
def test_other_strings_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NASBench201Space.parse(text)


# NAS-Bench-101 -----------------------------------------------------------------------------------


def test_nasbench101_has_2532_cells_of_up_to_five_vertices() -> None:
    space = NASBench101Space(5)
    sizes = collections.Counter(len(design.architecture) for design in space.enumerate())
    assert sizes == {2: 1, 3: 6, 4: 84, 5: 2441}
    assert space.size == 2_532
    assert NASBench101Space().size == 423_624


def test_the_limit_of_nine_edges_is_a_validity_check() -> None:
    space = NASBench101Space()
    rng = np.random.default_rng(0)
    assert len(space.configuration_space.forbidden_clauses) == 0
    for _ in range(50):
        assert len(space.sample(rng).architecture.edges) <= 9
    full = (0,) * 5 + (1,) * 21
    assert not space.is_valid(full)
    with pytest.raises(ValueError, match="at most 9 edges; this one has 21"):
        space.decode(full)
    with pytest.raises(ValueError, match="must connect input and output"):
        space.decode((0,) * 26)
    with pytest.raises(ValueError, match="2 to 7 vertices"):
        NASBench101Space(8)


def test_edges_are_counted_after_pruning() -> None:
    space = NASBench101Space()
    pairs = {pair: i for i, pair in enumerate(space.pairs, start=5)}
    row = [0] * 26
    # Four edges among vertices that never reach the output do not count.
    for pair in [(0, 6), (0, 1), (1, 2), (2, 3), (3, 4)]:
        row[pairs[pair]] = 1
    assert space.decode(tuple(row)) == Architecture([INPUT, OUTPUT], [(0, 1)])


# Cells in general --------------------------------------------------------------------------------


def test_sizes_that_can_be_counted_by_hand() -> None:
    # On edges with three nodes: 4 paths or none, times 2 direct edges or none.
    assert CellSpace(3, ["a", "b"], on="edges").size == 5 * 3
    # On nodes: the direct edge; a path with one of two operations; both.
    assert CellSpace(3, ["a", "b"], on="nodes").size == 1 + 2 + 2


def test_a_limit_on_edges_holds_on_edges_too() -> None:
    space = CellSpace(4, ["a"], on="edges", max_edges=2)
    assert {len(design.architecture.edges) for design in space.enumerate()} == {0, 1, 2}


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Architecture([INPUT, OUTPUT], [(0, 1, "z")]), "unknown edge label 'z'"),
        (Architecture([INPUT, "a", OUTPUT], [(0, 1, "a"), (1, 2, "a")]), "unknown node label 'a'"),
        (
            Architecture([INPUT, "", "", OUTPUT], [(0, 1, "a"), (1, 2, "a"), (2, 3, "a")]),
            "at most 3 nodes; this one has 4",
        ),
    ],
)
def test_architectures_outside_the_space_are_refused(
    architecture: Architecture, message: str
) -> None:
    space = CellSpace(3, ["a"], on="edges")
    assert architecture not in space
    with pytest.raises(ValueError, match=message):
        space.encode(architecture)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": 1, "operations": ["a"], "on": "edges"}, "at least 2 nodes"),
        ({"nodes": 3, "operations": [], "on": "edges"}, "at least one"),
        ({"nodes": 3, "operations": ["a", "a"], "on": "edges"}, "distinct"),
        ({"nodes": 3, "operations": ["none"], "on": "edges"}, "'none' is reserved"),
        ({"nodes": 3, "operations": ["input"], "on": "nodes"}, "'input' is reserved"),
        ({"nodes": 3, "operations": ["a"], "on": "both"}, "on='both'"),
        ({"nodes": 3, "operations": ["a"], "on": "nodes", "max_edges": 0}, "at least 1"),
    ],
)
def test_arguments_that_make_no_space_are_refused(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CellSpace(**arguments)  # type: ignore[arg-type]
