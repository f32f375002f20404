"""Hyperparameters of a design as settings of its training."""

from __future__ import annotations

import pytest

from graphbo.errors import InputError
from graphbo.training.hyperparameters import changes_named, tuned
from graphbo.training.recipe import Recipe

RECIPE = Recipe(epochs=4, crop=2, flip=True)


def test_a_hyperparameter_takes_the_place_of_the_attribute_of_its_name() -> None:
    found = tuned(RECIPE, {"learning_rate": 0.3, "batch_size": 8, "flip": False, "channels": 4})
    assert found == Recipe(epochs=4, crop=2, learning_rate=0.3, batch_size=8)
    assert tuned(RECIPE, {"channels": 4}) is RECIPE


@pytest.mark.parametrize(
    ("hyperparameters", "changes"),
    [
        ({"augmentation": "none"}, (False, 0, 0)),
        ({"augmentation": "none", "crop": 3}, (False, 0, 0)),
        ({"augmentation": "flip"}, (True, 0, 0)),
        ({"augmentation": "crop"}, (False, 2, 0)),
        ({"augmentation": "crop", "crop": 3}, (False, 3, 0)),
        ({"augmentation": "cutout+flip", "cutout": 5}, (True, 0, 5)),
    ],
)
def test_augmentation_switches_and_the_others_say_how_much(
    hyperparameters: dict[str, str | int], changes: tuple[bool, int, int]
) -> None:
    found = tuned(RECIPE, hyperparameters)
    assert (found.flip, found.crop, found.cutout) == changes


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be positive; got 0.0"),
        ({"batch_size": 8.5}, "batch_size must be a whole number; got 8.5"),
        ({"momentum": "high"}, "momentum must be a number; got 'high'"),
        ({"augmentation": "crop+mixup"}, "augmentation must be 'none' or some of flip, crop, cut"),
        ({"augmentation": "cutout"}, "augmentation 'cutout' needs a positive cutout"),
    ],
)
def test_what_a_recipe_cannot_be_is_said(
    hyperparameters: dict[str, str | float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        tuned(RECIPE, hyperparameters)


def test_changes_are_named_with_a_plus_between_them() -> None:
    assert changes_named("none") == ()
    assert changes_named("flip+crop") == ("flip", "crop")
