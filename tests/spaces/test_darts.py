"""The space of DARTS and its genotypes."""

from __future__ import annotations

import math
from collections import Counter
from operator import itemgetter
from types import SimpleNamespace

import numpy as np
import pytest

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.spaces import DARTSCellSpace, DARTSSpace, Genotype
from graphbo.spaces.darts import INPUTS

SPACE = DARTSSpace()
first = itemgetter(0)
# The second-order cells of the paper, in the order in which its authors print them.
DARTS_V2 = Genotype(
    normal=[
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("skip_connect", 0),
        ("dil_conv_3x3", 2),
    ],
    normal_concat=[2, 3, 4, 5],
    reduce=[
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 1),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
        ("max_pool_3x3", 0),
        ("skip_connect", 2),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
    ],
    reduce_concat=[2, 3, 4, 5],
)


def test_a_cell_with_one_node_by_hand() -> None:
    space = DARTSCellSpace(["a", "b"], 1)
    cell = Architecture(
        [INPUT, *INPUTS, "", OUTPUT], [(0, 1), (0, 2), (1, 3, "b"), (2, 3, "a"), (3, 4)]
    )
    assert space.decode((0, 1, 0)) == cell
    assert space.encode(cell) == (0, 1, 0)
    assert space.to_genes(cell) == [("b", 0), ("a", 1)]


def test_the_paper_has_a_billion_cells_and_a_third_of_them_are_distinct() -> None:
    rows = math.prod(len(decision.choices) for decision in SPACE.cell.decisions)
    assert rows == math.prod(k * (k + 1) // 2 * 7**2 for k in range(1, 5)) == 1_037_664_180
    assert SPACE.cell.size == 382_128_166
    assert SPACE.size == 382_128_166**2
    assert not SPACE.enumerable


@pytest.mark.parametrize(("nodes", "operations"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_the_size_is_that_of_the_enumeration(nodes: int, operations: int) -> None:
    space = DARTSCellSpace([f"operation {i}" for i in range(operations)], nodes)
    assert space.size == len(space.enumerate())


def test_the_size_is_unknown_beyond_four_nodes() -> None:
    assert DARTSSpace(["a"], nodes=5).size is None


def test_the_order_of_nodes_that_do_not_read_each_other_makes_no_difference() -> None:
    space = DARTSCellSpace(["a", "b"], 2)
    one, other = (0, 0, 0, 0, 1, 1), (0, 1, 1, 0, 0, 0)
    assert space.decode(one) == space.decode(other)
    assert space.canonical_row(one) == space.canonical_row(other)


def test_the_two_inputs_are_told_apart() -> None:
    space = DARTSCellSpace(["a", "b"], 1)
    assert space.decode((0, 0, 1)) != space.decode((0, 1, 0))


def test_published_genotypes_come_back_up_to_the_order_of_nodes() -> None:
    architecture = SPACE.from_genotype(DARTS_V2)
    genotype = SPACE.to_genotype(architecture)
    assert SPACE.from_genotype(genotype) == architecture
    assert Counter(map(first, genotype.normal)) == Counter(map(first, DARTS_V2.normal))
    assert (genotype.normal_concat, genotype.reduce_concat) == ([2, 3, 4, 5], [2, 3, 4, 5])
    assert SPACE.to_genotype(SPACE.from_genotype(genotype)) == genotype
    normal = SPACE.split(architecture)["normal"]
    assert sum(label == "sep_conv_3x3" for *_, label in normal.edges) == 5


def test_the_two_genes_of_a_node_may_stand_in_any_order() -> None:
    genes = DARTS_V2.normal
    swapped = [genes[i ^ 1] for i in range(8)]
    assert SPACE.from_genotype(DARTS_V2._replace(normal=swapped)) == SPACE.from_genotype(DARTS_V2)


def test_anything_with_the_attributes_of_a_genotype_is_one() -> None:
    other = SimpleNamespace(**DARTS_V2._asdict())
    assert SPACE.from_genotype(other) == SPACE.from_genotype(DARTS_V2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normal": DARTS_V2.normal[:6]}, "has 8 genes; got 6"),
        ({"normal": [("conv_7x1_1x7", 0), *DARTS_V2.normal[1:]]}, "'conv_7x1_1x7'"),
        ({"reduce": [("skip_connect", 1), *DARTS_V2.reduce[1:]]}, "node 2 reads two different"),
        ({"normal": [*DARTS_V2.normal[:7], ("skip_connect", 5)]}, "node 5 reads two different"),
        ({"reduce_concat": [3, 4, 5]}, r"reduce_concat=\[3, 4, 5\]"),
    ],
)
def test_genotypes_of_other_spaces_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SPACE.from_genotype(SimpleNamespace(**{**DARTS_V2._asdict(), **change}))


@pytest.mark.parametrize(
    "edges",
    [
        [(0, 1), (0, 2), (1, 3, "a"), (2, 3, "c"), (3, 4)],
        [(0, 1), (0, 2), (1, 3, "a"), (2, 3, "b"), (3, 4, "a")],
        [(0, 1), (0, 2), (1, 3, "a"), (2, 3, "b"), (3, 4), (2, 4)],
        [(0, 1), (0, 2), (1, 2), (1, 3, "a"), (2, 3, "b"), (3, 4)],
        [(0, 1), (0, 2), (0, 3), (1, 3, "a"), (2, 3, "b"), (3, 4)],
        [(0, 1), (1, 3, "a"), (3, 4)],
    ],
)
def test_other_cells_do_not_belong(edges: list[tuple[int, int]]) -> None:
    cell = Architecture([INPUT, *INPUTS, "", OUTPUT], edges)
    assert cell not in DARTSCellSpace(["a", "b"], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": 0}, "at least 1 node"),
        ({"operations": []}, "at least one"),
        ({"operations": ["a", "a"]}, "distinct"),
        ({"operations": ["c_{k-1}"]}, "reserved"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DARTSSpace(**arguments)  # type: ignore[arg-type]


def test_samples_differ_in_both_cells() -> None:
    rng = np.random.default_rng(0)
    parts = [SPACE.split(SPACE.sample(rng).architecture) for _ in range(5)]
    assert len({part["normal"] for part in parts}) == len({part["reduce"] for part in parts}) == 5
