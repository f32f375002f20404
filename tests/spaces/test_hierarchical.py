"""Hierarchical cells: motifs, and a top graph of them."""

from __future__ import annotations

import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces import CellSpace, HierarchicalSpace, Hierarchy, flattened, space_from_settings
from graphbo.spaces.counting import distinct_edge_cells

SPACE = HierarchicalSpace(["a", "b"], motifs=2, motif_nodes=3, nodes=3)
A = Architecture([INPUT, OUTPUT], [(0, 1, "a")])
# A motif whose inside falls apart where its ends are taken away.
BRANCHES = Architecture([INPUT, "", OUTPUT], [(0, 1, "a"), (1, 2, "b"), (0, 2, "b")])
CHAIN = [(0, 1, "motif_1"), (1, 2, "motif_2")]


def top(*edges: tuple[int, int, str]) -> Architecture:
    return Architecture([INPUT, "", OUTPUT], edges)


def test_each_edge_of_the_top_graph_is_a_copy_of_its_motif() -> None:
    hierarchy = Hierarchy(top(*CHAIN, (0, 2, "motif_2")), {"motif_1": A, "motif_2": BRANCHES})
    assert SPACE.join(hierarchy) == Architecture(
        [INPUT, "top", "", "", OUTPUT],
        [
            *((0, 1, "a"), (1, 2, "a"), (2, 4, "b"), (1, 4, "b")),
            *((0, 3, "a"), (3, 4, "b"), (0, 4, "b")),
        ],
    )


def test_the_hierarchy_can_be_read_off_and_names_of_motifs_do_not_matter() -> None:
    one = Hierarchy(top(*CHAIN), {"motif_1": A, "motif_2": BRANCHES})
    other = Hierarchy(
        top((0, 1, "motif_2"), (1, 2, "motif_1")), {"motif_1": BRANCHES, "motif_2": A}
    )
    assert SPACE.join(one) == SPACE.join(other)
    assert SPACE.encode(SPACE.join(one)) == SPACE.encode(SPACE.join(other))
    found = SPACE.split(SPACE.join(other))
    assert set(found.motifs.values()) == {A, BRANCHES}
    assert SPACE.join(found) == SPACE.join(one)


def test_unused_equal_and_empty_motifs_make_no_difference() -> None:
    # The decisions are edge_0_1, edge_0_2 and edge_1_2 of both motifs and of the top graph.
    rows = [
        (0, 1, 0, 0, 2, 0, 1, 0, 1),  # the second is not used
        (0, 1, 0, 0, 1, 0, 1, 0, 2),  # both are the same
        (0, 0, 0, 0, 1, 0, 2, 1, 2),  # the first is empty
    ]
    assert len({SPACE.decode(row) for row in rows}) == 1
    # What is not used is a motif of one operation, which a step of the top graph can take up.
    assert {SPACE.canonical_row(row) for row in rows} == {(0, 1, 0, 0, 2, 0, 1, 0, 1)}


def test_two_hierarchies_of_one_network_differ_until_they_are_flattened() -> None:
    aa = Architecture([INPUT, "", OUTPUT], [(0, 1, "a"), (1, 2, "a")])
    once = SPACE.join(Hierarchy(top((0, 2, "motif_1")), {"motif_1": aa}))
    twice = SPACE.join(Hierarchy(top((0, 1, "motif_1"), (1, 2, "motif_1")), {"motif_1": A}))
    assert once != twice
    assert flattened(once) == flattened(twice) == aa


@pytest.mark.parametrize(("nodes", "operations"), [(2, 3), (3, 2), (4, 2), (4, 4)])
def test_cells_are_counted_without_listing_them(nodes: int, operations: int) -> None:
    cells = CellSpace(nodes, [str(i) for i in range(operations)], on="edges")
    assert distinct_edge_cells(nodes, operations) == cells.size


def test_the_size_is_known_of_spaces_too_large_to_enumerate() -> None:
    # One motif of two nodes: none of it, or one of a operations wherever the top graph has it.
    one = HierarchicalSpace(["a", "b", "c"], motifs=1, motif_nodes=2, nodes=5)
    assert one.size == 1 + 3 * (distinct_edge_cells(5, 1) - 1)
    few = HierarchicalSpace(["a"], motifs=2, motif_nodes=3, nodes=3)
    assert few.size == len(few.enumerate()) == 34
    assert HierarchicalSpace().size == pytest.approx(2.14e28, rel=0.01)
    assert HierarchicalSpace(nodes=6).size is None


@pytest.mark.parametrize(
    ("labels", "edges", "message"),
    [
        ([INPUT, "a", OUTPUT], [(0, 1), (1, 2)], "labelled 'top' or not at all"),
        ([INPUT, "", OUTPUT], [(0, 1, "c"), (1, 2, "a")], "'c'"),
        (
            [INPUT, "top", "", OUTPUT],
            [(0, 1, "a"), (0, 2, "a"), (1, 2, "a"), (2, 3, "a")],
            "between two nodes of the top graph",
        ),
        ([INPUT, "top", "top", OUTPUT], [(i, i + 1, "a") for i in range(3)], "at most 3 nodes"),
    ],
)
def test_other_graphs_do_not_belong(
    labels: list[str], edges: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SPACE.encode(Architecture(labels, edges))


def test_more_motifs_than_there_are_do_not_belong() -> None:
    b = Architecture([INPUT, OUTPUT], [(0, 1, "b")])
    wide = HierarchicalSpace(["a", "b"], motifs=3, motif_nodes=3, nodes=3)
    three = {"motif_1": A, "motif_2": BRANCHES, "motif_3": b}
    architecture = wide.join(Hierarchy(top(*CHAIN, (0, 2, "motif_3")), three))
    assert architecture in wide
    with pytest.raises(ValueError, match="has at most 2 motifs; this one has 3"):
        SPACE.encode(architecture)
    with pytest.raises(InputError, match="got 'motif_2'"):
        SPACE.join(Hierarchy(top(*CHAIN), {"motif_1": A}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"motifs": 0}, "at least 1 motif"),
        ({"motif_nodes": 1}, "at least 2 nodes"),
        ({"nodes": 1}, "at least 2 nodes"),
        ({"operations": ["top"]}, "'top' is reserved"),
        ({"operations": ["none"]}, "'none' is reserved"),
        ({"operations": ["a", "a"]}, "distinct"),
    ],
)
def test_arguments_that_make_no_space_are_refused(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        HierarchicalSpace(**arguments)  # type: ignore[arg-type]


def test_a_file_describes_such_a_space() -> None:
    settings = {"type": "hierarchical", "motifs": 2, "motif_nodes": 3, "nodes": 3}
    space = space_from_settings({**settings, "operations": ["a", "b"]})
    assert repr(space) == repr(SPACE)
    with pytest.raises(InputError, match="motif_nodes must be a whole number; got '3'"):
        space_from_settings({**settings, "motif_nodes": "3"})
