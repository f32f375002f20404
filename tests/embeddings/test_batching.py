"""Batches of graphs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphbo.architecture import Architecture
from graphbo.embeddings import GraphBatch
from graphbo.embeddings.batching import vocabulary
from graphbo.embeddings.testing import example_architectures

VOCABULARY = vocabulary(("conv1x1", "conv3x3", "maxpool"))
EXAMPLES = example_architectures()


@pytest.fixture
def skip() -> GraphBatch:
    """A chain of two operations beside a connection from the input to the output."""
    labels = ["input", "conv1x1", "maxpool", "output"]
    return GraphBatch.of([Architecture(labels, [(0, 1), (1, 2), (2, 3), (0, 3)])], VOCABULARY)


def assert_same(a: GraphBatch, b: GraphBatch) -> None:
    for name, value in vars(a).items():
        assert value.equal(getattr(b, name)), name


def test_depth_and_height_are_the_longest_paths(skip: GraphBatch) -> None:
    assert len(skip) == 1
    assert skip.labels.tolist() == [0, 3, 5, 1]
    assert skip.depth.tolist() == [0, 1, 2, 3]
    assert skip.height.tolist() == [3, 2, 1, 0]
    assert sorted(skip.edges.T.tolist()) == [[0, 1], [0, 3], [1, 2], [2, 3]]


def test_graphs_lie_side_by_side() -> None:
    chain = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
    empty = Architecture(["input", "output"], [])
    batch = GraphBatch.of([chain, empty, chain], VOCABULARY)
    assert batch.labels.tolist() == [0, 4, 1, 0, 1, 0, 4, 1]
    assert batch.edges.tolist() == [[0, 1, 5, 6], [1, 2, 6, 7]]
    assert batch.graph.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert batch.depth.tolist() == [0, 1, 2, 0, 0, 0, 1, 2]
    assert batch.height.tolist() == [2, 1, 0, 0, 0, 2, 1, 0]
    assert batch.starts.tolist() == [0, 3, 5, 8]


def test_operations_on_edges_become_nodes() -> None:
    on_edges = Architecture(["input", "", "output"], [(0, 1, "conv1x1"), (1, 2, "maxpool")])
    on_nodes = Architecture(["input", "conv1x1", "maxpool", "output"], [(0, 1), (1, 2), (2, 3)])
    assert_same(GraphBatch.of([on_edges], VOCABULARY), GraphBatch.of([on_nodes], VOCABULARY))


def test_every_edge_leads_to_greater_depth_and_lesser_height() -> None:
    batch = GraphBatch.of(EXAMPLES, VOCABULARY)
    tails, heads = batch.edges
    assert (batch.depth[tails] < batch.depth[heads]).all()
    assert (batch.height[tails] > batch.height[heads]).all()
    assert (batch.graph[tails] == batch.graph[heads]).all()


@given(st.lists(st.integers(0, len(EXAMPLES) - 1)), st.integers(0, len(EXAMPLES)))
def test_selecting_graphs_equals_a_batch_of_the_selected(chosen: list[int], first: int) -> None:
    whole = EXAMPLES[first:] + EXAMPLES[:first]
    selected = GraphBatch.of(whole, VOCABULARY).select(torch.tensor(chosen, dtype=torch.long))
    assert_same(selected, GraphBatch.of([whole[i] for i in chosen], VOCABULARY))


def test_a_selection_can_be_selected_from() -> None:
    batch = GraphBatch.of(EXAMPLES, VOCABULARY)
    twice = batch.select(torch.tensor([7, 2, 9, 2])).select(torch.tensor([3, 0]))
    assert_same(twice, batch.select(torch.tensor([2, 7])))


def test_selecting_after_edges_were_dropped() -> None:
    batch = GraphBatch.of(EXAMPLES, VOCABULARY)
    kept = torch.arange(batch.edges.shape[1]) % 3 > 0
    order = torch.arange(len(batch)).flip(0)
    dropped = batch.with_edges(kept)
    assert_same(dropped.select(order).select(order), dropped)


def test_an_empty_list_is_an_empty_batch() -> None:
    batch = GraphBatch.of([], VOCABULARY)
    assert len(batch) == 0
    assert batch.edges.shape == (2, 0)
    assert batch.labels.shape == (0,)


def test_reversing_turns_edges_and_swaps_depth_and_height(skip: GraphBatch) -> None:
    back = skip.reversed()
    assert sorted(back.edges.T.tolist()) == [[1, 0], [2, 1], [3, 0], [3, 2]]
    assert back.depth.tolist() == [3, 2, 1, 0]
    assert back.height.tolist() == [0, 1, 2, 3]
    assert_same(back.reversed(), skip)


def test_dropped_edges_leave_the_nodes_as_they_were(skip: GraphBatch) -> None:
    kept = torch.tensor([edge != [1, 2] for edge in skip.edges.T.tolist()])
    dropped = skip.with_edges(kept)
    assert sorted(dropped.edges.T.tolist()) == [[0, 1], [0, 3], [2, 3]]
    assert dropped.depth.equal(skip.depth)
    assert dropped.labels.equal(skip.labels)
    assert skip.edges.shape == (2, 4)


def test_other_labels_leave_the_edges_as_they_were(skip: GraphBatch) -> None:
    other = skip.with_labels(torch.tensor([0, 6, 6, 1]))
    assert other.labels.tolist() == [0, 6, 6, 1]
    assert other.edges.equal(skip.edges)
    assert skip.labels.tolist() == [0, 3, 5, 1]


def test_unknown_labels_are_refused() -> None:
    dense = Architecture(["input", "dense", "output"], [(0, 1), (1, 2)])
    message = r"'dense' is not among the operations \['conv1x1', 'conv3x3', 'maxpool'\]"
    with pytest.raises(ValueError, match=message):
        GraphBatch.of([dense], VOCABULARY)


@pytest.mark.parametrize("operations", [(), ("a", "b", "a")])
def test_operations_must_be_distinct_and_some(operations: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="distinct, and at least one"):
        vocabulary(operations)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_move_to_the_gpu() -> None:
    batch = GraphBatch.of(EXAMPLES, VOCABULARY)
    order = torch.arange(len(batch)).flip(0)
    moved = batch.to("cuda").select(order.cuda())
    assert moved.edges.is_cuda
    assert_same(moved.to("cpu"), batch.select(order))
