"""Feature maps against hand counts and against plain dictionaries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    Counts,
    FeatureMap,
    PathMap,
    RelabelledMap,
    WeisfeilerLehmanMap,
    operation_paths,
)
from graphbo.spaces import DARTSSpace
from graphbo.testing import architectures


def gram(block: Counts) -> np.ndarray:
    matrix = block.to_csr(np.unique(block.columns)).toarray()
    return matrix @ matrix.T


def weisfeiler_lehman(architecture: Architecture, depth: int) -> list[Counter[Any]]:
    """The textbook's procedure, with nested tuples for labels."""
    graph = architecture.operations_on_nodes()
    labels: list[Any] = list(graph.nodes)
    result = [Counter(labels)]
    for _ in range(depth):
        labels = [
            (
                labels[node],
                tuple(sorted((labels[u] for u, v, _ in graph.edges if v == node), key=repr)),
                tuple(sorted((labels[v] for u, v, _ in graph.edges if u == node), key=repr)),
            )
            for node in range(len(graph))
        ]
        result.append(Counter(labels))
    return result


def dot(a: Counter[Any], b: Counter[Any]) -> int:
    return sum(a[key] * b[key] for key in a)


def chain(*operations: str) -> Architecture:
    n = len(operations)
    return Architecture([INPUT, *operations, OUTPUT], [(i, i + 1) for i in range(n + 1)])


sets = st.lists(architectures(edge_labels=["", "a", "d"]), min_size=2, max_size=5)


@settings(max_examples=60, deadline=None)
@given(sets)
def test_weisfeiler_lehman_counts_are_those_of_the_textbook(graphs: list[Architecture]) -> None:
    expected = [weisfeiler_lehman(graph, depth=3) for graph in graphs]
    blocks = WeisfeilerLehmanMap(depth=3)(graphs)
    assert len(blocks) == 4
    for h, block in enumerate(blocks):
        reference = [[dot(a[h], b[h]) for b in expected] for a in expected]
        np.testing.assert_array_equal(gram(block), reference)


@settings(max_examples=40, deadline=None)
@given(sets)
def test_each_architecture_is_mapped_as_if_it_were_alone(graphs: list[Architecture]) -> None:
    for feature_map in (WeisfeilerLehmanMap(2), PathMap()):
        together = feature_map(graphs)
        alone = [feature_map([graph]) for graph in graphs]
        for h, block in enumerate(together):
            stacked = Counts.concatenate([parts[h] for parts in alone])
            for name in ("rows", "columns", "values"):
                np.testing.assert_array_equal(getattr(block, name), getattr(stacked, name))


def test_depth_0_counts_labels() -> None:
    (block,) = WeisfeilerLehmanMap(0)([chain("a", "a", "b"), chain("a", "c")])
    # input, output, and two a against one
    np.testing.assert_array_equal(gram(block), [[1 + 1 + 4 + 1, 1 + 1 + 2], [4, 4]])


def test_depth_1_by_hand() -> None:
    _, block = WeisfeilerLehmanMap(1)([chain("a", "b"), chain("a", "a"), chain("a")])
    # In a -> b: (in|a), (in>a|b), (a>b|out), (b>out); in a -> a the first is the same.
    np.testing.assert_array_equal(gram(block), [[4, 1, 1], [1, 4, 2], [1, 2, 3]])


def test_direction_is_told_apart() -> None:
    shallow, deep = WeisfeilerLehmanMap(1)([chain("a", "b"), chain("b", "a")])
    np.testing.assert_array_equal(gram(shallow), np.full((2, 2), 4))
    np.testing.assert_array_equal(gram(deep), [[4, 0], [0, 4]])
    # Which neighbours lead in and which lead out, where all together are the same.
    inward = Architecture([INPUT, "a", "b", "c", OUTPUT], [(1, 2), (3, 2)])
    through = Architecture([INPUT, "a", "b", "c", OUTPUT], [(1, 2), (2, 3)])
    _, deep = WeisfeilerLehmanMap(1)([inward, through])
    assert gram(deep)[0, 1] == 3  # input, output and a


def test_labels_on_edges_are_told_apart() -> None:
    cells = [Architecture([INPUT, OUTPUT], [(0, 1, label)]) for label in ("a", "b", "")]
    shallow, _ = WeisfeilerLehmanMap(1)(cells)
    np.testing.assert_array_equal(gram(shallow), [[3, 2, 2], [2, 3, 2], [2, 2, 2]])


def test_operations_on_edges_and_on_nodes_are_the_same_network() -> None:
    on_edges = Architecture([INPUT, "", OUTPUT], [(0, 1, "a"), (1, 2, "b")])
    for feature_map in (WeisfeilerLehmanMap(3), PathMap()):
        for block in feature_map([on_edges, chain("a", "b")]):
            assert len(np.unique(gram(block))) == 1


def test_a_multiset_is_not_a_set() -> None:
    one = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2)])
    two = Architecture([INPUT, "a", "a", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3)])
    _, deep = WeisfeilerLehmanMap(1)([one, two])
    assert gram(deep)[0, 1] == 2  # the node a, twice in the other; input and output differ


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        WeisfeilerLehmanMap(-1)


def test_paths_by_hand() -> None:
    diamond = Architecture(
        [INPUT, "a", "b", "a", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3), (3, 4), (0, 4)]
    )
    assert sorted(operation_paths(diamond)) == ["", "/a", "/a/a", "/b/a"]
    twins = Architecture([INPUT, "a", "a", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3)])
    assert operation_paths(twins) == ["/a", "/a"]
    assert operation_paths(Architecture([INPUT, OUTPUT], [])) == []
    (block,) = PathMap()([diamond, twins, Architecture([INPUT, OUTPUT], [])])
    np.testing.assert_array_equal(gram(block), [[4, 2, 0], [2, 4, 0], [0, 0, 0]])


@settings(max_examples=60, deadline=None)
@given(architectures(edge_labels=["", "a"]))
def test_path_counts_are_those_of_matrix_powers(graph: Architecture) -> None:
    flat = graph.operations_on_nodes()
    adjacency = np.zeros((len(flat), len(flat)), int)
    for u, v, _ in flat.edges:
        adjacency[u, v] += 1
    walks = sum(np.linalg.matrix_power(adjacency, k) for k in range(1, len(flat)))
    assert len(operation_paths(flat)) == np.asarray(walks)[flat.input, flat.output]


class NodeCount(FeatureMap):
    """The least that a feature map of a user's own needs."""

    blocks = ("nodes",)

    def _counts(self, graphs: list[Architecture]) -> list[Counts]:
        sizes = [len(graph) for graph in graphs]
        rows = np.repeat(np.arange(len(graphs)), sizes)
        return [Counts.of(len(graphs), rows, np.zeros(len(rows), np.uint64))]


def test_a_feature_map_of_the_users_own() -> None:
    (block,) = NodeCount()([chain(), chain("a", "b")])
    np.testing.assert_array_equal(gram(block), [[4, 8], [8, 16]])


SEVERAL = DARTSSpace(["a", "b"], nodes=2)


def samples(n: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [SEVERAL.sample(rng).architecture for _ in range(n)]


@pytest.mark.parametrize("feature_map", [WeisfeilerLehmanMap(1), PathMap()])
def test_inner_products_of_several_parts_are_the_sums_over_the_parts(
    feature_map: FeatureMap,
) -> None:
    designs = samples(12)
    parts = [list(SEVERAL.split(architecture).values()) for architecture in designs]
    whole = map(gram, feature_map(designs))
    first, second = (map(gram, feature_map(list(own))) for own in zip(*parts, strict=True))
    for total, one, other in zip(whole, first, second, strict=True):
        # The input and the output of the whole are alike in all of them.
        assert set(np.unique(total - one - other)) <= {0, 2}


def test_relabelling_makes_the_same_operation_in_two_parts_one() -> None:
    bare = {label: label.partition("/")[2] for label in SEVERAL.operations}
    relabelled = RelabelledMap(WeisfeilerLehmanMap(0), bare)
    for design in samples(5):
        (counts,) = relabelled([design])
        found = {o.feature.name: o.feature.key for o in relabelled.occurrences(design)}
        number = dict(zip(counts.columns.tolist(), counts.values.tolist(), strict=True))
        labels = Counter(label.rpartition("/")[2] for *_, label in design.edges)
        assert [number.get(found.get(name, 0), 0) for name in ("a", "b")] == [
            labels["a"],
            labels["b"],
        ]
        assert "normal/input" in found


@pytest.mark.parametrize("labels", [{"a": INPUT}, {OUTPUT: "a"}])
def test_ends_keep_their_labels(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="input and output keep their labels"):
        RelabelledMap(WeisfeilerLehmanMap(0), labels)
