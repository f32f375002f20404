from __future__ import annotations

import pytest
import torch

from graphbo.training.recipe import generators


@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1, 2**63, 2**64 - 1, -1])
def test_order_and_augmentation_have_random_numbers_of_their_own(seed: int) -> None:
    first, again = generators(seed), generators(seed)
    numbers = [torch.rand(100, generator=generator) for generator in first]
    # Of independent uniform numbers, few lie so close.
    assert ((numbers[0] - numbers[1]).abs() < 0.1).float().mean() < 0.5
    assert all(
        torch.equal(torch.rand(100, generator=generator), known)
        for generator, known in zip(again, numbers, strict=True)
    )
