"""The labelled DAG: identity, pruning, conversions and what it refuses."""

from __future__ import annotations

import doctest
import pickle
import random

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphbo.architecture
from graphbo.architecture import INPUT, OUTPUT, Architecture

LABELS = ("", "conv1x1", "conv3x3")


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    inner = draw(st.lists(st.sampled_from(LABELS), max_size=5))
    n = len(inner) + 2
    pairs = [(u, v) for v in range(1, n) for u in range(v)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True))
    labels = draw(st.lists(st.sampled_from(("", "skip", "pool")), min_size=n * n, max_size=n * n))
    labelled = [(u, v, label) for (u, v), label in zip(edges, labels, strict=False)]
    return Architecture([INPUT, *inner, OUTPUT], labelled)


def relabelled(architecture: Architecture, seed: int) -> Architecture:
    position = list(range(len(architecture)))
    random.Random(seed).shuffle(position)
    nodes = [""] * len(position)
    for old, new in enumerate(position):
        nodes[new] = architecture.nodes[old]
    edges = [(position[u], position[v], label) for u, v, label in architecture.edges]
    random.Random(seed + 1).shuffle(edges)
    return Architecture(nodes, edges)


def isomorphic(first: Architecture, second: Architecture) -> bool:
    def same(a: dict[str, str], b: dict[str, str]) -> bool:
        return a["label"] == b["label"]

    return nx.is_isomorphic(
        first.to_networkx(), second.to_networkx(), node_match=same, edge_match=same
    )


@given(architectures(), st.integers(0, 1000))
def test_the_order_of_the_nodes_does_not_matter(architecture: Architecture, seed: int) -> None:
    other = relabelled(architecture, seed)
    assert other == architecture
    assert hash(other) == hash(architecture)
    assert other.key == architecture.key
    assert other.canonical().nodes == architecture.canonical().nodes
    assert other.canonical().edges == architecture.canonical().edges
    assert other.pruned() == architecture.pruned()
    assert other.operations_on_nodes() == architecture.operations_on_nodes()


@settings(max_examples=200)
@given(architectures(), architectures())
def test_equality_is_isomorphism(first: Architecture, second: Architecture) -> None:
    assert (first == second) == isomorphic(first, second)


@given(architectures(), st.data())
def test_one_other_label_makes_another_architecture(
    architecture: Architecture, data: st.DataObject
) -> None:
    changeable = [i for i, label in enumerate(architecture.nodes) if label not in (INPUT, OUTPUT)]
    if not changeable:
        return
    node = data.draw(st.sampled_from(changeable))
    nodes = list(architecture.nodes)
    nodes[node] = "another"
    assert Architecture(nodes, architecture.edges) != architecture


def test_label_and_direction_tell_architectures_apart() -> None:
    chain = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    assert chain != Architecture([INPUT, "b", "a", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    assert chain != Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2, "skip"), (2, 3)])
    assert chain != Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert chain != "chain"


def test_nodes_are_topological_and_keep_the_given_order_where_they_can() -> None:
    built = Architecture([OUTPUT, "b", "a", INPUT], [(3, 2), (2, 1), (1, 0), (3, 1)])
    assert built.nodes == (INPUT, "a", "b", OUTPUT)
    assert built.edges == ((0, 1, ""), (0, 2, ""), (1, 2, ""), (2, 3, ""))
    kept = Architecture([INPUT, "b", "a", OUTPUT], [(0, 2), (0, 1), (1, 3), (2, 3)])
    assert kept.nodes == (INPUT, "b", "a", OUTPUT)
    assert (kept.input, kept.output, len(kept)) == (0, 3, 4)


# Pruning -----------------------------------------------------------------------------------------


def test_pruning_drops_what_input_or_output_does_not_reach() -> None:
    # 1 leads nowhere, 2 comes from nowhere, and 3, which only 2 reaches, goes with it.
    architecture = Architecture(
        [INPUT, "dead end", "orphan", "of orphan", "kept", OUTPUT],
        [(0, 1), (2, 3), (3, 5), (0, 4), (4, 5)],
    )
    kept = Architecture([INPUT, "kept", OUTPUT], [(0, 1), (1, 2)])
    assert architecture.pruned() == kept
    assert not architecture.is_empty


@given(architectures())
def test_pruning_is_a_fixed_point_of_nodes_on_paths(architecture: Architecture) -> None:
    pruned = architecture.pruned()
    assert pruned.pruned() is pruned
    graph = architecture.to_networkx()
    on_paths = {
        node
        for node in graph
        if nx.has_path(graph, architecture.input, node)
        and nx.has_path(graph, node, architecture.output)
    }
    assert len(pruned) == len(on_paths | {architecture.input, architecture.output})
    assert pruned.is_empty == (not on_paths)


def test_an_architecture_without_a_path_is_empty_and_legal() -> None:
    cut = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (2, 3)])
    assert cut.is_empty
    assert cut.pruned() == Architecture([INPUT, OUTPUT], [])


# Operations on nodes -----------------------------------------------------------------------------


def test_labelled_edges_become_nodes_and_states_vanish() -> None:
    cell = Architecture(
        [INPUT, "", "", OUTPUT], [(0, 1, "a"), (0, 2, "b"), (1, 2, "c"), (1, 3, "d"), (2, 3, "e")]
    )
    expected = Architecture(
        [INPUT, "a", "b", "c", "d", "e", OUTPUT],
        [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (3, 5), (4, 6), (5, 6)],
    )
    assert cell.operations_on_nodes() == expected


def test_unlabelled_edges_through_states_join_their_ends() -> None:
    through = Architecture([INPUT, "", "", "a", OUTPUT], [(0, 1), (1, 2), (2, 3), (3, 4), (2, 4)])
    assert through.operations_on_nodes() == Architecture(
        [INPUT, "a", OUTPUT], [(0, 1), (1, 2), (0, 2)]
    )


def test_operations_that_sit_on_nodes_stay_as_they_are() -> None:
    chain = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2)])
    assert chain.operations_on_nodes() is chain


# Conversions -------------------------------------------------------------------------------------


@given(architectures())
def test_string_networkx_pyg_and_pickle_round_trip(architecture: Architecture) -> None:
    for back in (
        Architecture.from_string(architecture.to_string()),
        Architecture.from_networkx(architecture.to_networkx()),
        Architecture.from_pyg(architecture.to_pyg()),
        pickle.loads(pickle.dumps(architecture)),
        eval(repr(architecture)),
    ):
        assert (back.nodes, back.edges) == (architecture.nodes, architecture.edges)


def test_networkx_graphs_of_any_nodes_and_attribute_are_read() -> None:
    graph = nx.DiGraph([("stem", "block"), ("block", "head")])
    nx.set_node_attributes(graph, {"stem": INPUT, "block": "conv3x3", "head": OUTPUT}, "op")
    built = Architecture.from_networkx(graph, label="op")
    assert built == Architecture([INPUT, "conv3x3", OUTPUT], [(0, 1), (1, 2)])


def test_pyg_numbers_follow_the_vocabulary() -> None:
    chain = Architecture([INPUT, "conv3x3", OUTPUT], [(0, 1, "skip"), (1, 2)])
    vocabulary = [INPUT, OUTPUT, "", "conv3x3", "skip"]
    data = chain.to_pyg(vocabulary)
    assert data.x.tolist() == [0, 3, 1]
    assert data.edge_index.tolist() == [[0, 1], [1, 2]]
    assert data.edge_attr.tolist() == [4, 2]
    bare = Data(x=data.x, edge_index=data.edge_index)
    assert Architecture.from_pyg(bare, vocabulary) == Architecture(
        [INPUT, "conv3x3", OUTPUT], [(0, 1), (1, 2)]
    )


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 1), (2, 3)], "no cycle"),
        ([INPUT, "a", OUTPUT], [(0, 1), (1, 1), (1, 2)], "no cycle"),
        (["a", OUTPUT], [(0, 1)], "exactly one node labelled 'input'; this one has 0"),
        ([INPUT, "a"], [(0, 1)], "exactly one node labelled 'output'; this one has 0"),
        ([INPUT, INPUT, OUTPUT], [(0, 2)], "exactly one node labelled 'input'; this one has 2"),
        ([INPUT, OUTPUT], [(0, 1), (0, 1, "a")], "0 -> 1 occurs twice"),
        ([INPUT, OUTPUT], [(0, 2)], "leads outside the 2 nodes"),
        ([INPUT, OUTPUT], [(-2, 1)], "leads outside the 2 nodes"),
        ([INPUT, "a", OUTPUT], [(1, 0), (1, 2)], "enters the input"),
        ([INPUT, "a", OUTPUT], [(0, 1), (2, 1)], "leaves the output"),
        ([INPUT, OUTPUT], [(0,)], "an edge is"),
        ([INPUT, OUTPUT], [(0, 0.5)], "joins two node numbers"),
        ([INPUT, "z", OUTPUT], [(0, 1), (1, 2)], "unknown label 'z'"),
        ([INPUT, OUTPUT], [(0, 1, "z")], "unknown label 'z'"),
    ],
)
def test_invalid_graphs_are_refused_with_the_reason(
    nodes: list[str], edges: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Architecture(nodes, edges, operations=["a", "b"])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"nodes": ["input", "output"]}', '{"nodes": "input", "edges": []}', "nan"],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must look like"):
        Architecture.from_string(text)


def test_an_edge_to_null_is_refused() -> None:
    with pytest.raises(ValueError, match="joins two node numbers"):
        Architecture.from_string('{"nodes": ["input", "output"], "edges": [[null, 1]]}')


def test_networkx_graphs_that_do_not_fit_are_refused() -> None:
    graph = nx.DiGraph([(0, 1)])
    graph.nodes[0]["label"] = INPUT
    with pytest.raises(ValueError, match="node 1 has no attribute 'label'"):
        Architecture.from_networkx(graph)
    with pytest.raises(ValueError, match="undirected"):
        Architecture.from_networkx(nx.Graph([(0, 1)]))


def test_pyg_data_that_do_not_fit_are_refused() -> None:
    chain = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2)])
    with pytest.raises(ValueError, match="'a' is not in the vocabulary"):
        chain.to_pyg([INPUT, OUTPUT, ""])
    data = chain.to_pyg()
    with pytest.raises(ValueError, match="outside the 2 labels"):
        Architecture.from_pyg(data, [INPUT, OUTPUT])
    bare = Data(x=torch.tensor([0, 1]), edge_index=torch.tensor([[0], [1]]))
    with pytest.raises(ValueError, match="no vocabulary"):
        Architecture.from_pyg(bare)


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(graphbo.architecture).failed == 0


def test_an_edge_without_a_label_has_none() -> None:
    edges = [(0, 1, None)]
    assert Architecture(["input", "output"], edges) == Architecture(["input", "output"], [(0, 1)])  # type: ignore[list-item]


def test_features_in_place_of_label_numbers_are_named() -> None:
    data = Architecture(["input", "conv", "output"], [(0, 1), (1, 2)]).to_pyg()
    data.x = torch.zeros(3, 4)
    with pytest.raises(ValueError, match="whole numbers"):
        Architecture.from_pyg(data)
