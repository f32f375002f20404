"""Relevance determination over positions and over paths, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels import (
    FeatureStore,
    ListDecoder,
    OneHotKernel,
    PathKernel,
    PathMap,
    WeisfeilerLehmanMap,
    path_vocabulary,
)

ROWS = torch.tensor([[0.0, 1.0], [2.0, 1.0], [2.0, -1.0]], dtype=torch.float64)


def test_one_hot_code_by_hand() -> None:
    kernel = OneHotKernel([3, 2])
    expected = [[1, 0, 0, 0, 1], [0, 0, 1, 0, 1], [0, 0, 1, 0, 0]]
    torch.testing.assert_close(kernel.features(ROWS), torch.tensor(expected).double())


def test_one_hot_covariances_by_hand() -> None:
    kernel = OneHotKernel([3, 2]).double()
    lengthscale = torch.tensor([1.0, 2.0, 4.0, 0.5, 0.25])
    kernel.lengthscale = lengthscale
    with torch.no_grad():
        gram = kernel(ROWS).to_dense()
    first, second = 1 / 1**2 + 1 / 4**2, 1 / 0.25**2
    assert gram[0, 1].item() == pytest.approx(math.exp(-0.5 * first), rel=1e-6)
    assert gram[1, 2].item() == pytest.approx(math.exp(-0.5 * second), rel=1e-6)
    assert gram[0, 2].item() == pytest.approx(math.exp(-0.5 * (first + second)), rel=1e-6)
    torch.testing.assert_close(gram.diagonal(), torch.ones(3).double())


def test_one_hot_kernel_reads_rows_of_any_batch_shape() -> None:
    kernel = OneHotKernel([3, 2]).double()
    assert kernel.features(ROWS[:, None]).shape == (3, 1, 5)
    assert kernel(ROWS[:, None], ROWS[:, None]).to_dense().shape == (3, 1, 1)


def graphs() -> list[Architecture]:
    return [
        Architecture([INPUT, "a", "a", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)]),
        Architecture([INPUT, "a", "b", OUTPUT], [(0, 1), (1, 2), (2, 3)]),
        Architecture([INPUT, OUTPUT], []),
    ]


def test_path_features_by_hand() -> None:
    decoder = ListDecoder(graphs())
    kernel = PathKernel(decoder, ["/b", "/a", "/a"])
    assert kernel.paths == ("/a", "/b")
    expected = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).double()
    torch.testing.assert_close(kernel.features(decoder.rows), expected)


def test_path_covariances_by_hand() -> None:
    decoder = ListDecoder(graphs())
    kernel = PathKernel(decoder, ["/a"]).double()
    kernel.lengthscale = torch.tensor([2.0, 0.5])
    with torch.no_grad():
        gram = kernel(decoder.rows).to_dense()
    assert gram[0, 1].item() == pytest.approx(math.exp(-0.5 * (2 / 2) ** 2), rel=1e-6)
    assert gram[1, 2].item() == pytest.approx(math.exp(-0.5 * (1 / 0.5) ** 2), rel=1e-6)


def test_path_kernels_with_different_paths_may_share_a_store() -> None:
    decoder = ListDecoder(graphs())
    store = FeatureStore(decoder, PathMap())
    for paths in (["/a"], ["", "/a/b"], [], ["/a"]):
        shared = PathKernel(store, paths).features(decoder.rows)
        torch.testing.assert_close(shared, PathKernel(decoder, paths).features(decoder.rows))


def test_the_vocabulary_of_paths_is_sorted_and_without_repetition() -> None:
    on_edges = Architecture([INPUT, "", OUTPUT], [(0, 1, "c"), (1, 2, "a")])
    assert path_vocabulary([*graphs(), on_edges]) == ["", "/a", "/a/b", "/c/a"]


def test_typical_lengthscale_is_that_of_the_total_variance() -> None:
    kernel = OneHotKernel([3, 2]).double()
    features = kernel.features(ROWS)
    distances = torch.cdist(features, features).square().mean()
    typical = kernel.typical_lengthscale(ROWS)
    assert typical.shape == (1, 5)
    torch.testing.assert_close(typical, distances.sqrt().expand(1, 5))
    kernel.lengthscale = typical
    assert kernel(ROWS).to_dense().log().mean().item() == pytest.approx(-0.5, rel=1e-5)
    assert (kernel.typical_lengthscale(ROWS[:1]) > 0).all()


def test_a_batch_of_one_hot_kernels_can_be_indexed() -> None:
    kernel = OneHotKernel([2, 3], batch_shape=torch.Size([2]))
    kernel.initialize(lengthscale=torch.tensor([1.0, 2.0]).reshape(2, 1, 1))
    x = torch.tensor([[0.0, 1.0], [1.0, 2.0]])
    torch.testing.assert_close(kernel[1](x).to_dense(), kernel(x).to_dense()[1])


@pytest.mark.parametrize(
    ("store", "name"),
    [
        (FeatureStore(ListDecoder([]), WeisfeilerLehmanMap()), "WeisfeilerLehmanMap"),
        (FeatureStore(ListDecoder([]), PathMap(), unary=True), "PathMap in unary code"),
    ],
)
def test_paths_are_not_read_from_other_features(store: FeatureStore, name: str) -> None:
    with pytest.raises(ValueError, match=f"plain counts of a PathMap; got one of a {name}"):
        PathKernel(store, ["/a"])
