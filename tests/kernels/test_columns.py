"""The Hamming kernel against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from graphbo.kernels import HammingKernel, WLRBFKernel
from graphbo.kernels.testing import check_kernel
from graphbo.spaces import CellSpace, ChainSpace, SearchSpace
from graphbo.surrogates.graph_gp import GraphGP

SPACES: dict[str, SearchSpace] = {
    "cell": CellSpace(4, ["a", "b"], on="edges"),
    "chain": ChainSpace(3, ["conv3x3"], ["maxpool2"], [8, 16]),
}


def rows(*values: tuple[int, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def hamming(lengthscales: list[float], cardinalities: list[int]) -> HammingKernel:
    kernel = HammingKernel(cardinalities).double()
    kernel.lengthscale = torch.tensor([lengthscales])
    return kernel


def test_every_column_that_differs_counts_by_its_lengthscale() -> None:
    kernel = hamming([1.0, 2.0, 0.5], [2, 3, 4])
    x = rows((0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 1, 3), (1, 2, 3))
    first = [1, math.exp(-0.5), math.exp(-1 / 8), math.exp(-1 / 8 - 2), math.exp(-0.5 - 1 / 8 - 2)]
    torch.testing.assert_close(kernel(x).to_dense()[0], torch.tensor(first).double())
    torch.testing.assert_close(
        kernel(x[1:], x[:1]).to_dense()[:, 0], torch.tensor(first[1:]).double()
    )


def test_all_changes_of_a_column_count_alike_and_inactive_is_a_choice() -> None:
    x = rows((-1,), (0,), (1,), (2,))
    gram = hamming([1.0], [3])(x).to_dense()
    expected = torch.full((4, 4), math.exp(-0.5)).double().fill_diagonal_(1.0)
    torch.testing.assert_close(gram, expected)


def test_the_typical_lengthscale_is_the_root_of_the_mean_distance() -> None:
    """Of the four ordered pairs of two rows that differ in three columns, two are at distance 3."""
    typical = HammingKernel([2, 2, 2, 2]).typical_lengthscale(rows((0, 0, 0, 1), (1, 1, 1, 1)))
    torch.testing.assert_close(typical, torch.full((1, 4), 1.5**0.5).double())


def test_a_batch_of_kernels() -> None:
    kernel = HammingKernel([2, 3], batch_shape=torch.Size([2])).double()
    kernel.lengthscale = torch.tensor([[[1.0, 2.0]], [[0.5, 0.7]]])
    x = rows((0, 0), (1, 2), (1, 0), (0, -1))
    for i, lengthscales in enumerate(([1.0, 2.0], [0.5, 0.7])):
        alone = hamming(lengthscales, [2, 3])
        torch.testing.assert_close(kernel(x).to_dense()[i], alone(x).to_dense())
        torch.testing.assert_close(kernel[i](x[:2], x).to_dense(), alone(x[:2], x).to_dense())


@pytest.mark.parametrize("name", SPACES)
def test_it_conforms(name: str) -> None:
    space = SPACES[name]
    architectures = [design.architecture for design in space.enumerate()[::9][:20]]
    cardinalities = [len(decision.choices) for decision in space.decisions]
    check_kernel(lambda decoder: HammingKernel(cardinalities), architectures, encode=space.encode)


def test_it_reads_its_own_columns_beside_a_graph_kernel() -> None:
    """All kernels see the same rows: here a cell, and two categorical hyperparameters."""
    space = SPACES["cell"]
    designs = space.enumerate()[::9][:20]
    n, d = len(designs), len(space.decisions)
    generator = torch.Generator().manual_seed(0)
    beside = torch.randint(0, 3, (n, 2), generator=generator).double()
    x = torch.cat([rows(*(design.row for design in designs)), beside], dim=-1)
    graph = WLRBFKernel(space.decode, active_dims=range(d))
    kernel = graph * HammingKernel([3, 3], active_dims=(d, d + 1))
    model = GraphGP(x, beside.sum(-1, keepdim=True) - 2, kernel)
    graph_scale, column_scale = (k.lengthscale for k in kernel.kernels)
    expected = WLRBFKernel(space.decode).typical_lengthscale(x[:, :d]) * 2**0.5
    torch.testing.assert_close(graph_scale, expected)
    expected = HammingKernel([3, 3]).typical_lengthscale(beside) * 2**0.5
    torch.testing.assert_close(column_scale, expected)
    means, _ = model.eval().moments(x)
    assert torch.corrcoef(torch.stack([means, beside.sum(-1)]))[0, 1] > 0.5


def test_rows_of_another_kind_are_refused() -> None:
    kernel = hamming([1.0, 1.0], [2, 3])
    for wrong in (rows((0, 0, 0)), rows((0,))):
        for diag in (False, True):
            with pytest.raises(ValueError, match="has 2 columns"):
                kernel(wrong, wrong + 0, diag=diag).sum()
    with pytest.raises(ValueError, match="column 1 has choices from -1 to 2"):
        kernel(rows((0, 3))).to_dense()
    for cardinalities in ([], [2, 0]):
        with pytest.raises(ValueError, match="at least one choice"):
            HammingKernel(cardinalities)
