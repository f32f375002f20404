"""The kernel over architectures and fidelities."""

from __future__ import annotations

import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.kernels import FidelityKernel, ListDecoder, WLRBFKernel
from graphbo.kernels.testing import check_kernel, example_architectures


def both(decoder: ListDecoder, rungs: list[float]) -> torch.Tensor:
    return torch.cat([decoder.rows, torch.tensor(rungs).double().unsqueeze(-1)], dim=-1)


def test_it_is_a_product_with_an_exponential_of_the_distance() -> None:
    cells = example_architectures()[:3]
    decoder = ListDecoder(cells)
    base = WLRBFKernel(decoder).double()
    kernel = FidelityKernel(base).double()
    kernel.lengthscale = 2.0
    rows = both(decoder, [0, 1, 3])
    apart = torch.tensor([[0, 1, 3], [1, 0, 2], [3, 2, 0]]).double()
    expected = base(decoder.rows).to_dense() * (-apart / 2).exp()
    torch.testing.assert_close(kernel(rows).to_dense(), expected)
    torch.testing.assert_close(kernel(rows, diag=True), torch.ones(3).double())


def test_a_fidelity_between_two_others_separates_them() -> None:
    """Once the middle is known, the lowest says nothing more of the highest."""
    decoder = ListDecoder(example_architectures()[:1] * 3)
    kernel = FidelityKernel(WLRBFKernel(decoder)).double()
    k = kernel(both(decoder, [0, 1, 2])).to_dense()
    assert (k[0, 2] - k[0, 1] * k[1, 2] / k[1, 1]).item() == pytest.approx(0, abs=1e-12)


def test_it_keeps_the_promises_of_a_kernel() -> None:
    def encode(architecture: Architecture) -> list[int]:
        cells = example_architectures()
        number = cells.index(architecture)
        return [number, number % 3]

    def make(decoder: object) -> FidelityKernel:
        return FidelityKernel(WLRBFKernel(_Numbers()))

    check_kernel(make, encode=encode)


class _Numbers:
    """Decodes the number of an example."""

    def __call__(self, row: tuple[int, ...]) -> Architecture:
        return example_architectures()[row[0]]
