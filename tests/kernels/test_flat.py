"""What all maps promise that treat many graphs as one."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    Counts,
    FeatureMap,
    GraphletMap,
    PathMap,
    RandomWalkMap,
    ShortestPathMap,
    SpectrumMap,
    SubsequenceMap,
)
from graphbo.testing import architectures

MAPS = [
    RandomWalkMap(3),
    ShortestPathMap(),
    GraphletMap(4),
    SpectrumMap(3),
    SpectrumMap(3, "tokens"),
    SubsequenceMap(3, 2),
    SubsequenceMap(3, 2, "tokens"),
]


@pytest.mark.parametrize("feature_map", MAPS, ids=lambda feature_map: type(feature_map).__name__)
@settings(max_examples=30)
@given(st.lists(architectures(edge_labels=["", "a"]), min_size=1, max_size=4), st.randoms())
def test_features_are_those_of_each_graph_alone_however_it_is_drawn(
    feature_map: FeatureMap, graphs: list[Architecture], random: Random
) -> None:
    together = feature_map(graphs)
    assert len(together) == len(feature_map.blocks)
    alone = [feature_map([redrawn(graph, random)]) for graph in graphs]
    for h, block in enumerate(together):
        assert block.n == len(graphs)
        assert (block.values > 0).all()
        stacked = Counts.concatenate([parts[h] for parts in alone])
        for name in ("rows", "columns", "values"):
            np.testing.assert_array_equal(getattr(block, name), getattr(stacked, name))


def redrawn(graph: Architecture, random: Random) -> Architecture:
    place = list(range(len(graph)))
    random.shuffle(place)
    nodes = [graph.nodes[place.index(i)] for i in range(len(graph))]
    return Architecture(nodes, [(place[u], place[v], label) for u, v, label in graph.edges])


@pytest.mark.parametrize("feature_map", MAPS, ids=lambda feature_map: type(feature_map).__name__)
def test_graphs_without_edges_have_features_of_their_nodes_only(feature_map: FeatureMap) -> None:
    empty = Architecture([INPUT, OUTPUT], [])
    direct = Architecture([INPUT, OUTPUT], [(0, 1)])
    for without, joined in zip(feature_map([empty]), feature_map([direct]), strict=True):
        assert without.n == joined.n == 1
        assert len(without.columns) <= 3  # the two ends, and a token that says that nothing joins
        assert len(joined.columns) <= 2


def dense(size: int) -> Architecture:
    nodes = [INPUT, *("abc"[i % 3] for i in range(size - 2)), OUTPUT]
    return Architecture(nodes, [(u, v) for v in range(size) for u in range(v)])


@pytest.mark.parametrize(
    "feature_map", [RandomWalkMap(29), SpectrumMap(30), SubsequenceMap(12, 12), PathMap()]
)
def test_too_many_features_are_refused_before_they_fill_the_memory(feature_map: FeatureMap) -> None:
    with pytest.raises(ValueError, match="more than 200,000 different"):
        feature_map([dense(30)])


def test_many_large_graphs_are_treated_some_at_a_time() -> None:
    graphs = [dense(n) for n in (20, 21, 22) for _ in range(200)]
    assert sum(len(graph.edges) for graph in graphs) > 100_000
    for together in RandomWalkMap(2)(graphs):
        assert together.n == len(graphs)
        assert (np.diff(together.rows) >= 0).all()
    ends = [RandomWalkMap(2)([graph])[-1] for graph in graphs[::200]]
    values = [together.values[together.rows == i] for i in (0, 200, 400)]
    for one, found in zip(ends, values, strict=True):
        np.testing.assert_array_equal(one.values, found)
