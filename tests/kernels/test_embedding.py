"""Kernels on vectors of architectures."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import gpytorch
import pytest
import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import (
    EmbeddingKernel,
    EmbeddingStore,
    LinearEmbeddingKernel,
    ListDecoder,
    MaternEmbeddingKernel,
)
from graphbo.kernels.testing import check_kernel, example_architectures

EXAMPLES = example_architectures()
DECODER = ListDecoder(EXAMPLES)


def sizes(architectures: Sequence[Architecture]) -> Tensor:
    """Nodes, edges, and operations of one kind."""
    return torch.tensor(
        [
            [len(a), len(a.edges), [*a.nodes, *(label for *_, label in a.edges)].count("conv1x1")]
            for a in architectures
        ],
        dtype=torch.float64,
    )


class Counting:
    """Counts how many architectures it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        self.asked += len(architectures)
        return sizes(architectures)


@pytest.mark.parametrize("num_lengthscales", [1, 3], ids=["shared", "ard"])
def test_squared_exponentials_conform(num_lengthscales: int) -> None:
    check_kernel(lambda decoder: EmbeddingKernel(EmbeddingStore(decoder, sizes), num_lengthscales))


@pytest.mark.parametrize("num_lengthscales", [1, 3], ids=["shared", "ard"])
def test_matern_kernels_conform(num_lengthscales: int) -> None:
    def make(decoder: ListDecoder) -> MaternEmbeddingKernel:
        return MaternEmbeddingKernel(EmbeddingStore(decoder, sizes), num_lengthscales)

    check_kernel(make)


def test_matern_covariances_are_those_of_gpytorch() -> None:
    kernel = MaternEmbeddingKernel(EmbeddingStore(DECODER, sizes), 3).double()
    reference = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=3).double()
    kernel.lengthscale = reference.lengthscale = torch.tensor([[1.0, 2.0, 3.0]])
    expected = reference(sizes(EXAMPLES)).to_dense()
    torch.testing.assert_close(kernel(DECODER.rows).to_dense(), expected)


def test_linear_kernels_conform() -> None:
    check_kernel(lambda decoder: LinearEmbeddingKernel(EmbeddingStore(decoder, sizes)))


def test_the_covariances_are_the_closed_forms() -> None:
    store = EmbeddingStore(DECODER, sizes)
    z, x = sizes(EXAMPLES), DECODER.rows
    shared, ard = EmbeddingKernel(store).double(), EmbeddingKernel(store, 3).double()
    shared.lengthscale = 2.5
    ard.lengthscale = torch.tensor([[1.0, 2.0, 3.0]])
    differences = z[:, None] - z[None]
    expected = (-0.5 * (differences / 2.5).square().sum(-1)).exp()
    torch.testing.assert_close(shared(x).to_dense(), expected)
    expected = (-0.5 * (differences / torch.tensor([1.0, 2.0, 3.0])).square().sum(-1)).exp()
    torch.testing.assert_close(ard(x).to_dense(), expected)
    linear = LinearEmbeddingKernel(store)(x).to_dense()
    torch.testing.assert_close(linear, 1 + z @ z.mT / 3)


@pytest.mark.parametrize("num_lengthscales", [1, 3])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_typical_lengthscales_follow_the_scale_of_the_vectors(
    num_lengthscales: int, scale: float
) -> None:
    store = EmbeddingStore(DECODER, lambda architectures: scale * sizes(architectures))
    kernel = EmbeddingKernel(store, num_lengthscales).double()
    typical = kernel.typical_lengthscale(DECODER.rows)
    assert typical.shape == kernel.lengthscale.shape
    kernel.lengthscale = typical
    exponents = -kernel(DECODER.rows).to_dense().clamp_min(1e-300).log()
    assert exponents.mean().item() == pytest.approx(0.5, rel=1e-3)


def test_rows_that_are_all_alike_have_a_typical_lengthscale() -> None:
    store = EmbeddingStore(DECODER, lambda architectures: torch.ones(len(architectures), 2))
    assert EmbeddingKernel(store).typical_lengthscale(DECODER.rows).item() == 1.0


def test_an_architecture_is_embedded_once() -> None:
    embedding = Counting()
    store = EmbeddingStore(DECODER, embedding)
    for rows in (DECODER.rows[:4], DECODER.rows, DECODER.rows.flip(0), DECODER.rows.clone()):
        store(rows)
    kernel = EmbeddingKernel(store).double()
    kernel(DECODER.rows, DECODER.rows[:3]).to_dense()
    copy.deepcopy(kernel)(DECODER.rows).to_dense()
    assert embedding.asked == len(EXAMPLES)


def test_a_pickle_leaves_the_vectors_behind() -> None:
    store = EmbeddingStore(DECODER, sizes)
    before = len(pickle.dumps(store))
    vectors = store(DECODER.rows)
    assert len(pickle.dumps(store)) == before
    assert pickle.loads(pickle.dumps(store))(DECODER.rows).equal(vectors)


def test_a_full_store_starts_afresh() -> None:
    embedding = Counting()
    store = EmbeddingStore(DECODER, embedding, max_rows=6)
    store(DECODER.rows[:4])
    assert store(DECODER.rows[3:9]).equal(sizes(EXAMPLES[3:9]))
    assert store(DECODER.rows[:4]).equal(sizes(EXAMPLES[:4]))
    assert embedding.asked == 4 + 6 + 4


def test_gradients_do_not_reach_the_embedding() -> None:
    weight = torch.ones(3, requires_grad=True)
    store = EmbeddingStore(DECODER, lambda architectures: sizes(architectures).float() * weight)
    assert not store(DECODER.rows).requires_grad


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (lambda architectures: torch.ones(len(architectures) + 1, 2), "for 10 .* shape .11, 2."),
        (lambda architectures: torch.full((len(architectures), 1), torch.nan), "not all of them"),
        (lambda architectures: torch.ones(len(architectures), 2, 2), "shape .10, 2, 2."),
    ],
    ids=["too many", "not finite", "not vectors"],
)
def test_embeddings_that_are_none_are_refused(embedding, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        EmbeddingStore(DECODER, embedding)(DECODER.rows)


def test_vectors_of_several_lengths_are_refused() -> None:
    store = EmbeddingStore(DECODER, lambda architectures: torch.ones(len(architectures), 1))
    store(DECODER.rows[:2])
    store.embedding = sizes
    with pytest.raises(ValueError, match=r"one length; got \[1, 3\]"):
        store(DECODER.rows)


def test_sums_and_products_are_those_of_gpytorch() -> None:
    kernel = EmbeddingKernel(EmbeddingStore(DECODER, sizes)).double()
    linear = LinearEmbeddingKernel(EmbeddingStore(DECODER, sizes)).double()
    x = DECODER.rows
    assert isinstance(kernel * linear, gpytorch.kernels.ProductKernel)
    a, b = kernel(x).to_dense(), linear(x).to_dense()
    torch.testing.assert_close((kernel * linear)(x).to_dense(), a * b)
    torch.testing.assert_close((kernel + linear)(x).to_dense(), a + b)
