"""Shortest paths against networkx."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import ListDecoder, ShortestPathKernel
from graphbo.testing import architectures


def triples(architecture: Architecture) -> Counter[tuple[str, str, int]]:
    graph = architecture.operations_on_nodes()
    lengths = dict(nx.all_pairs_shortest_path_length(graph.to_networkx()))
    return Counter(
        (graph.nodes[u], graph.nodes[v], d) for u in lengths for v, d in lengths[u].items() if d > 0
    )


def gram(graphs: list[Architecture]) -> np.ndarray:
    decoder = ListDecoder(graphs)
    kernel = ShortestPathKernel(decoder, normalize=False).double()
    kernel.weights = 1.0
    with torch.no_grad():
        result: np.ndarray = kernel(decoder.rows).to_dense().numpy()
    return result


@settings(max_examples=40)
@given(st.lists(architectures(edge_labels=["", "a"], max_nodes=6), min_size=2, max_size=4))
def test_covariance_is_the_product_of_counts_of_triples(graphs: list[Architecture]) -> None:
    counts = [triples(graph) for graph in graphs]
    expected = [[sum(a[key] * b[key] for key in a) for b in counts] for a in counts]
    np.testing.assert_allclose(gram(graphs), expected, rtol=1e-6)


def test_distances_by_hand() -> None:
    chain = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    skip = Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3), (0, 3)])
    back = Architecture([INPUT, "b", "a", OUTPUT], [(0, 1), (1, 2), (2, 3)])
    # Six pairs each; the skip shortens one; the turn keeps the pair of the ends only, since
    # even input-a and b-output are at other distances, and a-b has the other direction.
    np.testing.assert_allclose(gram([chain, skip, back])[0], [6, 5, 1])
