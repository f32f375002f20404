"""Weisfeiler-Lehman kernels against their formulas."""

from __future__ import annotations

from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import ListDecoder, WLKernel, WLOptimalAssignmentKernel, WLRBFKernel
from graphbo.kernels.testing import example_architectures
from graphbo.testing import architectures

WEIGHTS = (1.0, 0.25, 3.0)


def label_counts(graph: Architecture) -> list[Counter[Any]]:
    """Weisfeiler-Lehman labels of depths 0 to 2 by networkx-free plain dictionaries."""
    graph = graph.operations_on_nodes()
    labels = {node: str(label) for node, label in enumerate(graph.nodes)}
    counts = [Counter(labels.values())]
    for _ in range(2):
        into = {n: sorted(labels[u] for u, v, _ in graph.edges if v == n) for n in labels}
        out = {n: sorted(labels[v] for u, v, _ in graph.edges if u == n) for n in labels}
        labels = {n: repr((labels[n], into[n], out[n])) for n in labels}
        counts.append(Counter(labels.values()))
    return counts


def gram(kernel: Any, rows: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = kernel.double()(rows).to_dense().numpy()
    return result


sets = st.lists(architectures(), min_size=2, max_size=4)


@settings(max_examples=30, deadline=None)
@given(sets)
def test_subtree_kernel_is_the_weighted_sum_of_products_of_counts(
    graphs: list[Architecture],
) -> None:
    decoder = ListDecoder(graphs)
    kernel = WLKernel(decoder, normalize=False)
    kernel.weights = torch.tensor(WEIGHTS)
    counts = [label_counts(graph) for graph in graphs]
    expected = np.array(
        [
            [
                sum(w * sum(a[h][key] * b[h][key] for key in a[h]) for h, w in enumerate(WEIGHTS))
                for b in counts
            ]
            for a in counts
        ]
    )
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected, rtol=1e-6)
    kernel.normalize = True
    root = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected / np.outer(root, root), 1e-6)


@settings(max_examples=30, deadline=None)
@given(sets)
def test_optimal_assignment_is_the_weighted_sum_of_minima(graphs: list[Architecture]) -> None:
    decoder = ListDecoder(graphs)
    kernel = WLOptimalAssignmentKernel(decoder, normalize=False)
    kernel.weights = torch.tensor(WEIGHTS)
    counts = [label_counts(graph) for graph in graphs]
    expected = [
        [sum(w * (a[h] & b[h]).total() for h, w in enumerate(WEIGHTS)) for b in counts]
        for a in counts
    ]
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(sets)
def test_rbf_is_the_exponential_of_absolute_differences(graphs: list[Architecture]) -> None:
    decoder = ListDecoder(graphs)
    kernel = WLRBFKernel(decoder)
    lengthscales = np.array([0.8, 2.0, 3.5])
    kernel.lengthscale = torch.tensor(lengthscales)
    counts = [label_counts(graph) for graph in graphs]
    expected = [
        [
            np.exp(
                -0.5
                * sum(
                    ((a[h] - b[h]) + (b[h] - a[h])).total() / lengthscales[h] ** 2 for h in range(3)
                )
            )
            for b in counts
        ]
        for a in counts
    ]
    np.testing.assert_allclose(gram(kernel, decoder.rows), expected, rtol=1e-5)


def test_normalised_kernels_have_a_unit_diagonal() -> None:
    decoder = ListDecoder(example_architectures())
    for make in (WLKernel, WLOptimalAssignmentKernel, WLRBFKernel):
        kernel = make(decoder)
        np.testing.assert_allclose(np.diag(gram(kernel, decoder.rows)), 1, rtol=1e-12)
        off_diagonal = gram(kernel, decoder.rows)[~np.eye(len(decoder.rows), dtype=bool)]
        assert off_diagonal.max() < 1


def test_equal_architectures_have_covariance_one() -> None:
    graphs = [
        Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3)]),
        Architecture([OUTPUT, "b", "a", INPUT], [(3, 1), (3, 2), (1, 0), (2, 0)]),
    ]
    decoder = ListDecoder(graphs)
    np.testing.assert_allclose(gram(WLKernel(decoder), decoder.rows), 1, rtol=1e-12)


def test_graphs_of_networkx_will_do() -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from([("x", {"label": INPUT}), ("y", {"label": OUTPUT})])
    graph.add_edge("x", "y")
    decoder = ListDecoder([graph, Architecture([INPUT, OUTPUT], [(0, 1)])])
    np.testing.assert_allclose(gram(WLKernel(decoder), decoder.rows), 1, rtol=1e-12)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_there_is_a_weight_for_each_depth(depth: int) -> None:
    decoder = ListDecoder(example_architectures())
    assert WLKernel(decoder, depth).weights.shape == (depth + 1,)
    assert WLRBFKernel(decoder, depth).lengthscale.shape == (1, depth + 1)
