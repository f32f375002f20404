from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from graphbo.architecture import Architecture
from graphbo.kernels import FeatureMap, PathMap, ShortestPathMap, WeisfeilerLehmanMap
from graphbo.kernels.naming import parts_of
from graphbo.kernels.testing import example_architectures
from graphbo.spaces import NASBench201Space
from graphbo.testing import architectures

DIAMOND = Architecture(
    ["input", "conv", "pool", "conv", "output"], [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)]
)
MAPS = [WeisfeilerLehmanMap(2), PathMap(), PathMap(2, contract=["a"]), ShortestPathMap()]


def names(feature_map: FeatureMap, architecture: Architecture, block: str) -> list[str]:
    found = feature_map.occurrences(architecture)
    return sorted(o.feature.name for o in found if o.feature.block == block)


def test_subtrees_are_named_by_root_and_neighbours() -> None:
    assert names(WeisfeilerLehmanMap(1), DIAMOND, "depth_0") == sorted(DIAMOND.nodes)
    assert names(WeisfeilerLehmanMap(1), DIAMOND, "depth_1") == [
        "conv(in: conv, pool; out: output)",
        "conv(in: input; out: conv)",
        "input(out: conv, pool)",
        "output(in: conv)",
        "pool(in: input; out: conv)",
    ]


def test_deeper_subtrees_are_named_by_those_of_their_neighbours() -> None:
    chain = Architecture(["input", "conv", "output"], [(0, 1), (1, 2)])
    assert names(WeisfeilerLehmanMap(2), chain, "depth_2") == [
        "conv(in: input(out: conv); out: output(in: conv))",
        "input(out: conv(in: input; out: output))",
        "output(in: conv(in: input; out: output))",
    ]


def test_subtrees_are_where_their_roots_are() -> None:
    for occurrence in WeisfeilerLehmanMap(2).occurrences(DIAMOND):
        (root,) = occurrence.nodes
        assert occurrence.feature.name.split("(")[0] == DIAMOND.nodes[root]


def test_paths_are_named_by_their_operations_and_located() -> None:
    found = {o.feature.name: o.nodes for o in PathMap().occurrences(DIAMOND)}
    assert found == {
        "input > conv > conv > output": (1, 3),
        "input > pool > conv > output": (2, 3),
    }


@pytest.mark.parametrize("feature_map", MAPS, ids=lambda m: type(m).__name__)
@given(architectures(edge_labels=["", "a", "d"]))
def test_features_occur_as_often_as_they_are_counted(
    feature_map: FeatureMap, architecture: Architecture
) -> None:
    occurring: Counter[tuple[str, int]] = Counter()
    for o in feature_map.occurrences(architecture):
        occurring[o.feature.block, o.feature.key] += o.times  # type: ignore[assignment]
    counted = {
        (block, int(key)): value
        for block, counts in zip(feature_map.blocks, feature_map([architecture]), strict=True)
        for key, value in zip(counts.columns, counts.values, strict=True)
    }
    assert occurring == counted


@pytest.mark.parametrize("feature_map", MAPS, ids=lambda m: type(m).__name__)
def test_a_name_stands_for_one_feature(feature_map: FeatureMap) -> None:
    graphs = [*example_architectures(), DIAMOND]
    graphs += [d.architecture for d in NASBench201Space().enumerate()[:100]]
    features = {o.feature for graph in graphs for o in feature_map.occurrences(graph)}
    assert len({(f.block, f.name) for f in features}) == len(features)
    assert len({(f.block, f.key) for f in features}) == len(features)


def test_operations_keep_their_place_when_they_move_to_nodes() -> None:
    cell = NASBench201Space.parse(
        "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    )
    form = cell.operations_on_nodes()
    edges = {(u, v): label for u, v, label in cell.edges}
    for part, label in zip(parts_of(cell), form.nodes, strict=True):
        assert (edges[part] if isinstance(part, tuple) else cell.nodes[part]) == label
    assert sorted(map(str, parts_of(cell))) == sorted(map(str, [0, 3, *edges]))


@given(architectures(edge_labels=["", "x", "y"]))
def test_every_operation_has_one_place(architecture: Architecture) -> None:
    form, parts = architecture.operations_on_nodes(), parts_of(architecture)
    labels: dict[object, str] = {(u, v): label for u, v, label in architecture.edges}
    labels |= dict(enumerate(architecture.nodes))
    assert [labels[part] for part in parts] == list(form.nodes)
    assert len(set(parts)) == len(parts)
