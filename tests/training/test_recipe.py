from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from graphbo.errors import InputError
from graphbo.training.hyperparameters import tuned
from graphbo.training.recipe import Recipe, generators


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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 2.0}, "epochs must be a whole number; got 2.0"),
        ({"batch_size": "32"}, "batch_size must be a whole number; got '32'"),
        ({"crop": 1.5}, "crop must be a whole number"),
        ({"flip": "no"}, "flip must be true or false; got 'no'"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number; got inf"),
    ],
)
def test_settings_of_another_kind_are_named(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe(**setting)


def test_numbers_of_numpy_are_those_of_python() -> None:
    recipe = Recipe(batch_size=np.int64(16), learning_rate=np.float64(0.1), flip=np.bool_(True))
    assert recipe == Recipe(batch_size=16, learning_rate=0.1, flip=True)
    assert json.loads(json.dumps(recipe.describe())) == recipe.describe()
    assert tuned(Recipe(), {"learning_rate": np.float64(0.5)}).learning_rate == 0.5
