from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from graphbo.architecture import Architecture
from graphbo.kernels import (
    DistanceMap,
    EditDistanceMap,
    FeatureMap,
    GraphletMap,
    PathMap,
    RandomWalkMap,
    ShortestPathMap,
    SpectrumMap,
    SubsequenceMap,
    TransportMap,
    WeisfeilerLehmanMap,
    token_string,
)
from graphbo.kernels.naming import MOST_PLACES, parts_of
from graphbo.kernels.testing import example_architectures
from graphbo.spaces import NASBench201Space
from graphbo.testing import architectures

DIAMOND = Architecture(
    ["input", "conv", "pool", "conv", "output"], [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)]
)
DENSE = Architecture(
    ["input", *"abcabc" * 3, "output"], [(u, v) for v in range(20) for u in range(v)]
)
MAPS = [
    WeisfeilerLehmanMap(2),
    PathMap(),
    PathMap(2, contract=["a"]),
    ShortestPathMap(),
    RandomWalkMap(3),
    SpectrumMap(3),
    SpectrumMap(3, "tokens"),
    SubsequenceMap(3, 2),
    SubsequenceMap(3, 2, "tokens"),
    GraphletMap(4),
]


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
@settings(max_examples=40)
@given(architectures(edge_labels=["", "a", "d"]))
def test_features_occur_as_often_as_they_are_counted(
    feature_map: FeatureMap, architecture: Architecture
) -> None:
    assert occurring(feature_map, architecture) == counted(feature_map, architecture)


@pytest.mark.parametrize("feature_map", MAPS, ids=lambda m: type(m).__name__)
@settings(max_examples=40)
@given(architectures(edge_labels=["", "a", "d"]))
def test_features_are_at_nodes_of_the_form_with_operations_on_nodes(
    feature_map: FeatureMap, architecture: Architecture
) -> None:
    size = len(architecture.operations_on_nodes())
    for occurrence in feature_map.occurrences(architecture):
        assert len(set(occurrence.nodes)) == len(occurrence.nodes)
        assert all(0 <= node < size for node in occurrence.nodes)
        assert occurrence.nodes or occurrence.feature.name == "input > output"


def occurring(feature_map: FeatureMap, architecture: Architecture) -> dict[tuple[str, int], float]:
    result: Counter[tuple[str, int]] = Counter()
    for o in feature_map.occurrences(architecture):
        result[o.feature.block, o.feature.key] += o.times  # type: ignore[assignment]
    return dict(result)


def counted(feature_map: FeatureMap, architecture: Architecture) -> dict[tuple[str, int], float]:
    return {
        (block, int(key)): value
        for block, counts in zip(feature_map.blocks, feature_map([architecture]), strict=True)
        for key, value in zip(counts.columns, counts.values, strict=True)
    }


def test_n_grams_are_named_by_their_labels_and_located() -> None:
    found = [o for o in SpectrumMap(2).occurrences(DIAMOND) if o.feature.block == "2-grams"]
    assert {(o.feature.name, o.nodes, o.times) for o in found} == {
        ("input -> conv", (0, 1), 1),
        ("input -> pool", (0, 2), 1),
        ("conv -> conv", (1, 3), 1),
        ("pool -> conv", (2, 3), 1),
        ("conv -> output", (3, 4), 2),  # on both paths
    }


def test_n_grams_of_tokens_are_where_the_nodes_are_that_the_tokens_write() -> None:
    assert token_string(DIAMOND) == ("input", "conv", "@2", "pool", "@1", "@2", "conv", "output")
    found = [o for o in SpectrumMap(3, "tokens").occurrences(DIAMOND) if o.feature.block[0] == "3"]
    assert [(o.feature.name, o.nodes) for o in found] == [
        ("input conv @2", (0, 1, 2)),
        ("conv @2 pool", (1, 2)),
        ("@2 pool @1", (2, 3)),
        ("pool @1 @2", (2, 3)),
        ("@1 @2 conv", (3,)),
        ("@2 conv output", (3, 4)),
    ]


def test_subsequences_say_how_much_they_skip() -> None:
    chain = Architecture(["input", "a", "b", "output"], [(0, 1), (1, 2), (2, 3)])
    found = SubsequenceMap(2, 2).occurrences(chain)
    assert {(o.feature.name, o.nodes) for o in found if "skip" in o.feature.name} == {
        ("input -> b (1 skipped)", (0, 2)),
        ("a -> output (1 skipped)", (1, 3)),
        ("input -> output (2 skipped)", (0, 3)),
    }


def test_shortest_paths_are_named_by_their_ends_and_length() -> None:
    found = {(o.feature.name, o.nodes) for o in ShortestPathMap().occurrences(DIAMOND)}
    assert ("input to conv: 1 edge", (0, 1)) in found
    assert ("input to conv: 2 edges", (0, 3)) in found
    assert ("pool to output: 2 edges", (2, 4)) in found


def test_graphlets_are_named_by_their_edges() -> None:
    found = [o for o in GraphletMap(3).occurrences(DIAMOND) if o.feature.block == "size_3"]
    assert {(o.feature.name, o.nodes) for o in found} == {
        ("input -> conv, input -> pool", (0, 1, 2)),
        ("input -> conv, conv -> conv#2", (0, 1, 3)),
        ("input -> pool, pool -> conv", (0, 2, 3)),
        ("conv -> conv#2, pool -> conv#2", (1, 2, 3)),
        ("conv -> conv#2, conv#2 -> output", (1, 3, 4)),
        ("pool -> conv, conv -> output", (2, 3, 4)),
    }


DENSE_MAPS = [m for m in MAPS if not (isinstance(m, PathMap) and m.max_length is None)]


@pytest.mark.parametrize("feature_map", DENSE_MAPS, ids=lambda m: type(m).__name__)
def test_what_occurs_at_very_many_places_is_counted_without_them(feature_map: FeatureMap) -> None:
    found = feature_map.occurrences(DENSE)
    assert len(found) < 60_000
    by_block = Counter(o.feature.block for o in found if o.nodes)
    assert all(places <= MOST_PLACES for places in by_block.values())
    assert occurring(feature_map, DENSE) == counted(feature_map, DENSE)


def test_a_million_paths_are_not_walked() -> None:
    layers = ["input", *"aa" * 20, "output"]
    pairs = {(max(2 * i + k - 1, 0), 2 * i + j) for i in range(20) for k in (0, 1) for j in (1, 2)}
    (all_alike,) = PathMap().occurrences(Architecture(layers, [*pairs, (39, 41), (40, 41)]))
    assert (all_alike.times, all_alike.nodes) == (2**20, ())
    (none_arrives,) = PathMap().occurrences(Architecture(layers, [*pairs, (0, 41)]))
    assert none_arrives.feature.name == "input > output"


def test_names_of_deep_subtrees_stay_short_and_different() -> None:
    features = {o.feature for o in WeisfeilerLehmanMap(6).occurrences(DENSE)}
    assert max(len(feature.name) for feature in features) < 1000
    assert len({(f.block, f.name) for f in features}) == len(features)


@pytest.mark.parametrize("make", [EditDistanceMap, TransportMap])
def test_distances_are_no_features_of_an_architecture(make: type[DistanceMap]) -> None:
    distances = make([DIAMOND, Architecture(["input", "output"], [])])
    assert distances.occurrences(DIAMOND) == []


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
