"""Graphlets against their enumeration."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import combinations, permutations
from math import comb
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import GraphletKernel, GraphletMap, ListDecoder
from graphbo.testing import architectures


def graphlets(architecture: Architecture, size: int) -> Counter[Any]:
    """Connected induced subgraphs, each by the smallest of its drawings."""
    graph = architecture.operations_on_nodes()
    undirected = graph.to_networkx().to_undirected()
    counts: Counter[Any] = Counter()
    for nodes in combinations(range(len(graph)), size):
        if not nx.is_connected(undirected.subgraph(nodes)):
            continue
        edges = [(u, v) for u, v, _ in graph.edges if u in nodes and v in nodes]
        drawings = [
            (
                tuple(graph.nodes[node] for node in order),
                tuple(sorted((order.index(u), order.index(v)) for u, v in edges)),
            )
            for order in permutations(nodes)
        ]
        counts[min(drawings)] += 1
    return counts


@settings(max_examples=40)
@given(st.lists(architectures(edge_labels=["", "a"], max_nodes=4), min_size=2, max_size=3))
def test_covariance_is_the_product_of_counts_of_graphlets(graphs: list[Architecture]) -> None:
    decoder = ListDecoder(graphs)
    products = GraphletKernel(decoder, 4).store.inner_products(decoder.rows, decoder.rows)
    for block, size in enumerate((2, 3, 4)):
        counts = [graphlets(graph, size) for graph in graphs]
        expected = [[sum(a[key] * b[key] for key in a) for b in counts] for a in counts]
        np.testing.assert_array_equal(products[block], expected)


def test_weights_by_size() -> None:
    chain = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2)])
    triangle = Architecture([INPUT, "a", OUTPUT], [(0, 1), (1, 2), (0, 2)])
    decoder = ListDecoder([chain, triangle])
    kernel = GraphletKernel(decoder, normalize=False).double()
    kernel.weights = torch.tensor([1.0, 10.0])
    with torch.no_grad():
        gram = kernel(decoder.rows).to_dense()
    # Two edges in common; the three nodes induce different graphs.
    np.testing.assert_allclose(gram, [[2 + 10, 2], [2, 3 + 10]], rtol=1e-6)


def test_large_graphs_are_treated_some_at_a_time() -> None:
    n = 24
    dense = Architecture(
        [INPUT, *"ab" * (n // 2 - 1), OUTPUT], [(u, v) for v in range(n) for u in range(v)]
    )
    tracemalloc.start()
    together = GraphletMap(4)([dense] * 20)[-1]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 180e6  # all at once they would take 300 MB
    alone = GraphletMap(4)([dense])[-1]
    assert together.values.sum() == 20 * alone.values.sum() == 20 * comb(n, 4)
    np.testing.assert_array_equal(together.columns[: len(alone.columns)], alone.columns)
    assert together.n == 20


@pytest.mark.parametrize("size", [1, 5])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="2, 3 or 4"):
        GraphletMap(size)
