"""Input-output paths, whole, cut and contracted, against the paths one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    ListDecoder,
    PathKernel,
    PathMap,
    operation_paths,
    path_counts,
    path_vocabulary,
)
from graphbo.kernels.counts import hash_texts
from graphbo.spaces import NASBench201Space
from graphbo.testing import architectures


def labels_of_paths(graph: Architecture) -> list[tuple[str, ...]]:
    """Every path, by recursion."""

    def onwards(node: int) -> list[tuple[str, ...]]:
        if node == graph.output:
            return [()]
        targets = [v for u, v, _ in graph.edges if u == node]
        return [(graph.nodes[v], *rest) for v in targets for rest in onwards(v)]

    return [path[:-1] for path in onwards(graph.input)]


def named(path: Collection[str], max_length: int | None, contract: Collection[str]) -> str:
    kept = [label for label in path if label not in contract]
    if max_length is not None and len(kept) > max_length:
        kept = [*kept[:max_length], "..."]
    return "".join(f"/{label}" for label in kept)


@given(
    architectures(edge_labels=["", "a", "d"]),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from([(), ("b",), ("a", "d")]),
)
def test_paths_are_counted_as_one_by_one(
    architecture: Architecture, max_length: int | None, contract: tuple[str, ...]
) -> None:
    graph = architecture.operations_on_nodes()
    expected = Counter(named(path, max_length, contract) for path in labels_of_paths(graph))
    assert path_counts(graph, max_length, contract) == expected
    (block,) = PathMap(max_length, contract)([architecture])
    names = list(expected)
    values = dict(zip(block.columns.tolist(), block.values.tolist(), strict=True))
    assert values == dict(
        zip(hash_texts(names).tolist(), (float(expected[name]) for name in names), strict=True)
    )


def test_a_contracted_node_is_as_good_as_an_edge() -> None:
    around = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2), (0, 2)])
    through = Architecture([INPUT, "a", "skip", OUTPUT], [(0, 1), (1, 3), (0, 2), (2, 3)])
    assert path_counts(around) == {"/a": 1, "": 1}
    assert path_counts(through) == {"/a": 1, "/skip": 1}
    assert path_counts(through, contract={"skip"}) == path_counts(around)


def test_skip_connections_of_nas_bench_201_contract() -> None:
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
    graph = NASBench201Space.parse(text).operations_on_nodes()
    assert operation_paths(graph) == ["/nor_conv_3x3/skip_connect/nor_conv_1x1"]
    assert path_counts(graph, contract=["skip_connect"]) == {"/nor_conv_3x3/nor_conv_1x1": 1}


def test_a_cut_path_differs_from_a_whole_one() -> None:
    graph = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3), (1, 3)])
    assert path_counts(graph, max_length=1) == {"/a": 1, "/a/...": 1}
    assert path_counts(graph, max_length=2) == {"/a": 1, "/a/b": 1}


def ladder(steps: int, labels: tuple[str, str]) -> Architecture:
    """A choice between two labels at each step: 2^steps paths."""
    nodes, edges, before = [INPUT], [], [0]
    for _ in range(steps):
        both = [len(nodes), len(nodes) + 1]
        nodes.extend(labels)
        edges.extend((u, v) for u in before for v in both)
        before = both
    edges.extend((u, len(nodes)) for u in before)
    return Architecture([*nodes, OUTPUT], edges)


def test_paths_of_the_same_name_are_not_walked_one_by_one() -> None:
    assert path_counts(ladder(50, ("a", "a"))) == {"/a" * 50: 2**50}
    cut = path_counts(ladder(50, ("a", "b")), max_length=2)
    assert cut == {f"/{u}/{v}/...": 2**48 for u in "ab" for v in "ab"}
    assert path_vocabulary([ladder(50, ("a", "a"))]) == ["/a" * 50]


@pytest.mark.parametrize(
    ("labels", "others"),
    [(["a/b"], ["a", "b"]), (["a\\", "b"], ["a\\/b"]), (["a\\/b"], ["a\\\\", "b"])],
)
def test_names_of_different_paths_differ_whatever_the_labels(
    labels: list[str], others: list[str]
) -> None:
    names = []
    for inner in (labels, others):
        edges = [(i, i + 1) for i in range(len(inner) + 1)]
        names.extend(operation_paths(Architecture([INPUT, *inner, OUTPUT], edges)))
    assert names[0] != names[1]


def test_a_label_that_looks_like_a_cut_is_told_apart() -> None:
    dots = Architecture([INPUT, "a", "...", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    long = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    assert path_counts(dots) == {"/a/\\...": 1}
    assert path_counts(long, max_length=1) == {"/a/...": 1}


def test_names_with_slashes_serve_the_path_kernel() -> None:
    graph = Architecture([INPUT, "conv/3", OUTPUT], [(0, 1), (1, 2)])
    decoder = ListDecoder([graph])
    features = PathKernel(decoder, path_vocabulary([graph])).features(decoder.rows)
    assert features.tolist() == [[1, 0]]


@given(architectures(edge_labels=["", "a"]), st.sampled_from([None, 1]), st.booleans())
def test_paths_occur_as_often_as_they_are_counted(
    graph: Architecture, max_length: int | None, contract: bool
) -> None:
    feature_map = PathMap(max_length, ["a"] if contract else [])
    occurring = Counter(found.feature.key for found in feature_map.occurrences(graph))
    (block,) = feature_map([graph])
    counted = zip(block.columns.tolist(), block.values.tolist(), strict=True)
    assert occurring == {key: int(value) for key, value in counted}


def test_occurrences_name_and_locate_paths() -> None:
    graph = Architecture([INPUT, "s", "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3), (3, 4)])
    (found,) = PathMap(1, contract=["s"]).occurrences(graph)
    assert found.feature.name == "input > a > ... > output"
    assert found.nodes == (2, 3)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 operation"):
        PathMap(0)
    with pytest.raises(ValueError, match="collection of labels"):
        PathMap(contract="skip_connect")


def test_paths_of_no_architecture_and_of_one_without_paths() -> None:
    (block,) = PathMap()([Architecture([INPUT, OUTPUT], [])])
    assert block.n == 1
    np.testing.assert_array_equal(block.values, [])
