"""Random walks against the direct product graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import ListDecoder, RandomWalkKernel, RandomWalkMap
from graphbo.testing import architectures


def product_walks(first: Architecture, second: Architecture, length: int) -> list[float]:
    """Return e' A^l e of the direct product, for l from 0."""
    a, b = first.operations_on_nodes(), second.operations_on_nodes()
    nodes = [(u, v) for u in range(len(a)) for v in range(len(b)) if a.nodes[u] == b.nodes[v]]
    ends_a, ends_b = ({edge[:2] for edge in graph.edges} for graph in (a, b))
    adjacency = np.array(
        [[float((u, s) in ends_a and (v, t) in ends_b) for s, t in nodes] for u, v in nodes]
    )
    return [float(np.linalg.matrix_power(adjacency, k).sum()) for k in range(length + 1)]


sets = st.lists(architectures(edge_labels=["", "a"], max_nodes=4), min_size=2, max_size=3)


@settings(max_examples=40)
@given(sets)
def test_covariance_is_that_of_the_direct_product(graphs: list[Architecture]) -> None:
    weights = [2.0, 1.0, 0.5, 0.25]
    decoder = ListDecoder(graphs)
    kernel = RandomWalkKernel(decoder, 3, normalize=False).double()
    kernel.weights = torch.tensor(weights)
    expected = [[np.dot(weights, product_walks(a, b, 3)) for b in graphs] for a in graphs]
    with torch.no_grad():
        np.testing.assert_allclose(kernel(decoder.rows).to_dense(), expected, rtol=1e-6)


def test_walks_by_hand() -> None:
    chain = Architecture([INPUT, "a", "a", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    twins = Architecture([INPUT, "a", "a", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3)])
    decoder = ListDecoder([chain, twins])
    products = RandomWalkKernel(decoder, 3).store.inner_products(decoder.rows, decoder.rows)
    # Nodes: input, a twice, output. Edges: ia, aa, ao against ia and ao twice each.
    assert products[:, 0, 0].tolist() == [6, 3, 2, 1]
    assert products[:, 0, 1].tolist() == [6, 4, 0, 0]
    assert products[:, 1, 1].tolist() == [6, 8, 4, 0]


def test_many_walks_are_counted_without_walking_them() -> None:
    nodes, edges = [INPUT], []
    for layer in range(30):
        edges += [(max(2 * layer + i - 1, 0), 2 * layer + j) for i in (0, 1) for j in (1, 2)]
        nodes += ["a", "a"]
    edges += [(59, 61), (60, 61)]
    graph = Architecture([*nodes, OUTPUT], sorted(set(edges)))
    *_, longest = RandomWalkMap(31)([graph])
    assert longest.values.tolist() == [2**30]


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        RandomWalkMap(-1)
