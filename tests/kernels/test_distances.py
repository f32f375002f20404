"""Kernels of distances to landmarks are positive semi-definite where exponentials are not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    DistanceKernel,
    DistanceMap,
    EditDistanceMap,
    FeatureStore,
    ListDecoder,
    TransportMap,
)
from graphbo.kernels.testing import example_architectures
from graphbo.spaces import CellSpace, NASBench201Space
from graphbo.testing import architectures


def cell(labels: str, *edges: tuple[int, int]) -> Architecture:
    return Architecture([INPUT, *labels, OUTPUT], edges)


class Sizes(DistanceMap):
    """The difference in the number of nodes, and ten times that."""

    blocks = ("once", "tenfold")

    def distances(self, architectures: Sequence[Architecture]) -> np.ndarray:
        sizes, others = ([len(a) for a in graphs] for graphs in (architectures, self.landmarks))
        once = np.abs(np.subtract.outer(sizes, others)).astype(float)
        return np.stack([once, 10 * once])


def kernel_of(distances: DistanceMap, graphs: Sequence[Architecture]) -> DistanceKernel:
    return DistanceKernel(FeatureStore(ListDecoder(graphs), distances)).double()


def gram(kernel: DistanceKernel, graphs: Sequence[Architecture]) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = kernel(ListDecoder(graphs).rows).to_dense()
    return result


CHAINS = [cell("a" * n, *[(i, i + 1) for i in range(n + 1)]) for n in range(4)]


def test_the_covariance_is_the_formula() -> None:
    kernel = kernel_of(Sizes([CHAINS[0], CHAINS[3]]), CHAINS)
    kernel.lengthscale = torch.tensor([[2.0, 30.0]])
    # Networks with n and m operations differ by |n - m| in either distance to a landmark.
    expected = [
        [math.exp(-0.5 * (n - m) ** 2 * (1 / 2**2 + 10**2 / 30**2)) for m in range(4)]
        for n in range(4)
    ]
    torch.testing.assert_close(gram(kernel, CHAINS), torch.tensor(expected).double())


def test_networks_with_equal_profiles_are_not_told_apart() -> None:
    kernel = kernel_of(Sizes([CHAINS[1]]), CHAINS)
    assert gram(kernel, CHAINS)[0, 2] == pytest.approx(1)  # one node less, and one more


def test_repeated_landmarks_count_once() -> None:
    renumbered = Architecture([OUTPUT, "a", INPUT], [(2, 1), (1, 0)])
    assert Sizes([CHAINS[1], CHAINS[2], renumbered]).landmarks == (CHAINS[1], CHAINS[2])


def test_there_must_be_landmarks() -> None:
    with pytest.raises(ValueError, match="at least one landmark"):
        Sizes([])


def test_landmarks_are_architectures() -> None:
    for wrong in ([CHAINS[0].to_networkx()], torch.zeros(2, 1), CHAINS[0]):
        with pytest.raises(ValueError, match="landmarks are"):
            Sizes(wrong)  # type: ignore[arg-type]


def test_typical_lengthscales_give_the_exponent_one_half_on_average() -> None:
    kernel = kernel_of(Sizes(CHAINS), CHAINS)
    rows = ListDecoder(CHAINS).rows
    kernel.lengthscale = kernel.typical_lengthscale(rows)
    assert kernel.lengthscale[0, 1].item() == pytest.approx(10 * kernel.lengthscale[0, 0].item())
    assert gram(kernel, CHAINS).log().mean().item() == pytest.approx(-0.5)


def test_typical_lengthscales_of_a_single_row_are_positive() -> None:
    kernel = kernel_of(Sizes(CHAINS), CHAINS)
    assert (kernel.typical_lengthscale(ListDecoder(CHAINS).rows[:1]) > 0).all()


# Five cells, found by search, between which the distance is not of negative type.
INDEFINITE = {
    "edit distance": [
        cell("bb", (0, 1), (0, 2), (0, 3), (1, 3), (2, 3)),
        cell("ba", (0, 1), (0, 2), (1, 2), (1, 3), (2, 3)),
        cell("ab", (0, 1), (0, 2), (1, 3), (2, 3)),
        cell("ab", (0, 1), (0, 2), (1, 2), (1, 3), (2, 3)),
        cell("bb", (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)),
    ],
    "transport": [
        cell("aa", (0, 1), (0, 3), (1, 2), (2, 3)),
        cell("ab", (0, 1), (0, 2), (0, 3), (1, 3), (2, 3)),
        cell("ab", (0, 1), (1, 2), (2, 3)),
        cell("ba", (0, 1), (0, 3), (1, 2), (2, 3)),
        cell("aa", (0, 1), (0, 2), (0, 3), (1, 3), (2, 3)),
    ],
}
MAPS = {"edit distance": EditDistanceMap, "transport": TransportMap}


@pytest.mark.parametrize("name", MAPS)
def test_the_kernel_is_positive_where_the_exponential_of_the_distance_is_not(name: str) -> None:
    graphs = INDEFINITE[name]
    [distances] = MAPS[name](graphs).distances(graphs)
    assert (distances == distances.T).all()
    assert np.linalg.eigvalsh(np.exp(-distances / 8))[0] < -0.01
    kernel = kernel_of(MAPS[name](graphs), graphs)
    for lengthscale in (0.1, 1.0, 8.0, 50.0):
        kernel.lengthscale = lengthscale
        assert torch.linalg.eigvalsh(gram(kernel, graphs))[0] >= -1e-12


@pytest.mark.parametrize("name", MAPS)
def test_the_exponential_of_the_distance_is_far_from_positive_on_a_benchmark(name: str) -> None:
    space, rng = NASBench201Space(), np.random.default_rng(0)
    drawn = (space.sample(rng).architecture for _ in range(300))
    graphs = list(dict.fromkeys(drawn))[:233]
    [distances] = MAPS[name](graphs).distances(graphs)
    assert np.linalg.eigvalsh(np.exp(-distances / distances.mean()))[0] < -0.2
    kernel = kernel_of(MAPS[name](graphs[:50]), graphs)
    kernel.lengthscale = kernel.typical_lengthscale(ListDecoder(graphs).rows)
    assert torch.linalg.eigvalsh(gram(kernel, graphs))[0] >= -1e-10


@pytest.mark.parametrize("name", MAPS)
@given(
    graphs=st.lists(architectures(("a", "b"), max_nodes=4), min_size=2, max_size=12),
    count=st.integers(1, 5),
    lengthscale=st.floats(0.05, 50),
)
@settings(max_examples=25)
def test_any_rows_have_a_positive_gram_with_any_landmarks(
    name: str, graphs: list[Architecture], count: int, lengthscale: float
) -> None:
    for landmarks in (graphs[:count], example_architectures()[-count:]):
        kernel = kernel_of(MAPS[name](landmarks), graphs)
        kernel.lengthscale = lengthscale
        covariance = gram(kernel, graphs)
        assert torch.linalg.eigvalsh(covariance)[0] >= -1e-12 * len(graphs)
        torch.testing.assert_close(covariance.diagonal(), torch.ones(len(graphs)).double())


@pytest.mark.parametrize("name", MAPS)
def test_profiles_are_no_farther_apart_than_their_networks(name: str) -> None:
    graphs = [design.architecture for design in CellSpace(4, ["a", "b"], on="nodes").enumerate()]
    store = FeatureStore(ListDecoder(graphs), MAPS[name](graphs[::3]))
    rows = ListDecoder(graphs).rows
    products, norms = store.inner_products(rows, rows)[0], store.squared_norms(rows)[0]
    apart = (norms[:, None] + norms - 2 * products).clamp_min(0).sqrt().numpy()
    [distances] = MAPS[name](graphs).distances(graphs)
    assert (apart <= distances + 1e-6).all()
    assert (apart > 0.2 * distances).mean() > 0.9
