"""The asynchronous encoder against the recursion of the paper, node by node."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.embeddings import AsynchronousEncoder, GraphBatch
from graphbo.embeddings.testing import example_architectures

OPERATIONS = ("conv1x1", "conv3x3", "maxpool")


def one_by_one(encoder: AsynchronousEncoder, starts: Tensor, batch: GraphBatch) -> Tensor:
    edges = batch.edges.T.tolist()
    h = starts
    for along, against, merge in zip(encoder.along, encoder.against, encoder.merges, strict=True):
        passes = []
        for cell, pairs, order in (
            (along, edges, range(len(h))),
            (against, [(v, u) for u, v in edges], reversed(range(len(h)))),
        ):
            states: dict[int, Tensor] = {}
            for node in order:
                total = torch.zeros_like(h[node])
                for tail, head in pairs:
                    if head == node:
                        state = states[tail]
                        total = total + torch.sigmoid(cell.gate(state)) * cell.map(state)
                states[node] = cell.cell(h[node], total)
            passes.append(torch.stack([states[node] for node in range(len(h))]))
        h = merge(torch.cat(passes, dim=1))
    return h


@settings(max_examples=30)
@given(st.integers(1, 2), st.data())
def test_depths_together_equal_nodes_one_by_one(layers: int, data: st.DataObject) -> None:
    torch.manual_seed(0)
    encoder = AsynchronousEncoder(OPERATIONS, hidden=6, layers=layers).double()
    batch = encoder.batch(data.draw(st.lists(st.sampled_from(example_architectures()), min_size=1)))
    kept = data.draw(st.lists(st.booleans(), min_size=(m := batch.edges.shape[1]), max_size=m))
    batch = batch.with_edges(torch.tensor(kept, dtype=torch.bool))
    starts = torch.randn(len(batch.labels), 6, dtype=torch.float64)
    with torch.no_grad():
        states = encoder.propagate(starts, batch)
        expected = one_by_one(encoder, starts, batch)
    torch.testing.assert_close(states, expected)


def test_one_layer_carries_the_input_to_the_output() -> None:
    """Through any number of nodes, where message passing needs a layer for each edge."""
    encoder = AsynchronousEncoder(["a"]).double()
    labels = ["input", *["a"] * 8, "output"]
    batch = encoder.batch([Architecture(labels, [(i, i + 1) for i in range(9)])])
    starts = torch.randn(10, encoder.hidden, dtype=torch.float64, requires_grad=True)
    states = encoder.propagate(starts, batch)
    (gradient,) = torch.autograd.grad(states[-1].sum(), starts)
    assert gradient.abs().amax(1).min() > 0
