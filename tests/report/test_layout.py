from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from graphbo.architecture import Architecture
from graphbo.report.drawing import place
from graphbo.report.layout import Item, layered_layout
from graphbo.report.rails import is_chain_with_skips, rail_layout
from graphbo.spaces import ENASMacroSpace, NASBench101Space, NASBench201Space

SPACES = {"nasbench201": NASBench201Space(), "nasbench101": NASBench101Space()}


def lines(items: list[Item]) -> list[tuple[Item, Item]]:
    return [(item, target) for item in items for target in item.targets]


def test_a_chain_is_a_straight_line() -> None:
    chain = Architecture(["input", *["conv"] * 10, "output"], [(i, i + 1) for i in range(11)])
    items = layered_layout(chain)
    assert [item.layer for item in items] == list(range(12))
    assert len({item.lane for item in items}) == 1


def test_an_edge_that_skips_a_layer_passes_its_nodes_at_a_distance() -> None:
    items = layered_layout(Architecture(["input", "conv", "output"], [(0, 1), (1, 2), (0, 2)]))
    node, bend = items[1], items[3]
    assert bend.is_bend
    assert bend.layer == node.layer == 1
    assert abs(bend.lane - node.lane) >= 1


def test_the_label_of_an_edge_sits_halfway() -> None:
    items = layered_layout(
        Architecture(["input", "", "output"], [(0, 1, "a"), (1, 2, "b"), (0, 2, "skip")])
    )
    skip = next(item for item in items if item.label == "skip")
    assert skip.is_label
    assert skip.layer == 2 == items[1].layer
    assert items[2].layer == 4


def test_nodes_without_a_path_are_placed_apart() -> None:
    items = layered_layout(Architecture(["input", "output"], []))
    assert [item.layer for item in items] == [0, 1]


@pytest.mark.parametrize("name", list(SPACES))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_nothing_overlaps_and_every_line_leads_to_the_next_layer(name: str, seed: int) -> None:
    architecture = SPACES[name].sample(np.random.default_rng(seed)).architecture
    items = layered_layout(architecture)
    for first, second in itertools.combinations(items, 2):
        if first.layer == second.layer:
            assert abs(first.lane - second.lane) >= 1
    for item, target in lines(items):
        assert target.layer > item.layer
        if not item.is_bend and not target.is_bend:
            continue
        assert target.layer == item.layer + 1
    labels = sorted(item.label or "" for item in items if item.is_label)
    assert labels == sorted(label for *_, label in architecture.edges if label)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_every_edge_is_a_line_from_its_source_to_its_target(seed: int) -> None:
    architecture = SPACES["nasbench101"].sample(np.random.default_rng(seed)).architecture
    items = layered_layout(architecture)
    found = []
    for source, start in enumerate(items[: len(architecture)]):
        for following in start.targets:
            while following.is_bend:
                (following,) = following.targets
            found.append((source, items.index(following), ""))
    assert sorted(found) == list(architecture.edges)


def test_crossings_that_can_be_avoided_are_avoided() -> None:
    # Two parallel paths whose nodes come in the wrong order.
    architecture = Architecture(
        ["input", "a", "b", "c", "d", "output"],
        [(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)],
    )
    items = layered_layout(architecture)
    a, b, c, d = items[1:5]
    assert (a.lane < b.lane) == (d.lane < c.lane)


# Rails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [6, 12])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_rails_lead_from_a_node_of_one_row_to_all_that_read_it(layers: int, seed: int) -> None:
    architecture = ENASMacroSpace(layers).sample(np.random.default_rng(seed)).architecture
    items = rail_layout(architecture)
    nodes = items[: len(architecture)]
    assert [item.layer for item in nodes] == list(range(len(nodes)))
    assert {item.lane for item in nodes} == {0}
    places = [(item.layer, item.lane) for item in items]
    assert len(set(places)) == len(places)
    found = []
    for source, node in enumerate(nodes):
        rail = [node]
        while rail:
            item = rail.pop()
            found += [(source, t.layer, "") for t in item.targets if not t.is_bend]
            rail += [target for target in item.targets if target.is_bend]
            assert all(target.layer == item.layer + 1 for target in item.targets)
            assert item is node or all(t.lane == item.lane for t in item.targets if t.is_bend)
    assert sorted(found) == list(architecture.edges)


def test_rails_share_a_lane_where_one_ends_before_the_other_begins() -> None:
    skips = [(0, 2), (2, 4), (1, 3), (3, 5)]
    chain = Architecture(["input", *"abcd", "output"], [*((i, i + 1) for i in range(5)), *skips])
    lanes = {item.layer: item.lane for item in rail_layout(chain) if item.is_bend}
    assert lanes[1] == lanes[3] == -lanes[2] == -lanes[4]


def test_rails_are_for_chains_with_many_skip_connections() -> None:
    chain = [(i, i + 1) for i in range(5)]
    skips = [(0, 2), (1, 3), (2, 4), (3, 5)]
    labels = ["input", *"abcd", "output"]
    assert is_chain_with_skips(Architecture(labels, [*chain, *skips]))
    assert not is_chain_with_skips(Architecture(labels, [*chain, *skips[:3]]))
    assert not is_chain_with_skips(Architecture(labels, [*chain[1:], *skips, (0, 3), (1, 5)]))
    assert not is_chain_with_skips(Architecture(labels, [*chain, *skips[:3], (3, 5, "skip")]))
    assert place(Architecture(labels, [*chain, *skips])).height < 2
