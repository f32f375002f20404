"""The edit distance kernel on cases that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import DistanceKernel, EditDistanceKernel, EditDistanceMap, ListDecoder
from graphbo.spaces import edit_distance


def chain(*labels: str) -> Architecture:
    n = len(labels) + 2
    return Architecture([INPUT, *labels, OUTPUT], [(i, i + 1) for i in range(n - 1)])


def test_the_covariance_is_that_of_the_distances_to_the_landmarks() -> None:
    graphs = [chain("a", "b"), chain("a", "c"), chain("a")]
    decoder = ListDecoder(graphs)
    kernel = EditDistanceKernel(decoder, graphs[:2])
    assert isinstance(kernel, DistanceKernel)
    kernel.lengthscale = 3.0
    # Distances to the two landmarks: (0, 1), (1, 0) and (4, 4).
    near, far = (1 + 1) / 2, (4**2 + 3**2) / 2
    expected = torch.exp(-0.5 * torch.tensor([[0, near, far], [near, 0, far], [far, far, 0]]) / 9)
    torch.testing.assert_close(kernel(decoder.rows).to_dense().detach(), expected.double())


def test_operations_on_edges_count_as_operations_on_nodes() -> None:
    on_edge = Architecture([INPUT, "", OUTPUT], [(0, 1, "a"), (1, 2, "b")])
    landmarks = [chain("a", "b"), on_edge]
    assert EditDistanceMap(landmarks).distances([on_edge, chain("a")])[0].tolist() == [
        [0, 0],
        [4, 4],
    ]


def test_a_distance_depends_on_its_two_networks_only() -> None:
    """Large networks among the landmarks leave the distances between small ones exact."""
    small, swapped, large = chain("a", "b"), chain("b", "a"), chain(*"abcdefgh")
    alone = [[edit_distance(x, z) for z in (small, large)] for x in (small, swapped, large)]
    assert alone[1][0] == 2  # which the counts of labels and edges would not give
    together = EditDistanceMap([small, large]).distances([small, swapped, large])
    np.testing.assert_array_equal(together[0].astype(int), alone)
    only_large = EditDistanceMap([large]).distances([small, swapped])
    np.testing.assert_array_equal(only_large, together[:, :2, 1:])


def test_the_gradient_in_the_lengthscale_is_the_derivative() -> None:
    graphs = [chain("a", "b"), chain("a", "c")]
    decoder = ListDecoder(graphs)
    kernel = EditDistanceKernel(decoder, graphs).double()
    kernel.lengthscale = 2.0
    value = kernel(decoder.rows).to_dense()[0, 1]
    assert value.item() == pytest.approx(math.exp(-0.5 / 4))
    lengthscale = kernel.lengthscale
    covariance = (-0.5 / lengthscale.square()).exp()
    (expected,) = torch.autograd.grad(covariance.sum(), kernel.raw_lengthscale)
    (gradient,) = torch.autograd.grad(value, kernel.raw_lengthscale)
    torch.testing.assert_close(gradient, expected)
