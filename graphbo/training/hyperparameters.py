"""What the hyperparameters of a design say about its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphbo.errors import InputError
from graphbo.spaces.base import HyperparameterValue
from graphbo.training.recipe import KINDS, Recipe, of_kind

AUGMENTATION = "augmentation"
"""The hyperparameter that switches the changes to images on and off."""
_CHANGES: Mapping[str, int | bool] = {"flip": False, "crop": 0, "cutout": 0}
"""The settings of a recipe that change images, and their values when they do not."""
# The epochs are the horizon of the schedule, and a fidelity.
RECIPE_NAMES = (*(name for name in KINDS if name != "epochs"), AUGMENTATION)
"""The names of the hyperparameters that set a recipe."""


def tuned(recipe: Recipe, hyperparameters: Mapping[str, HyperparameterValue]) -> Recipe:
    """Return a recipe with the hyperparameters that are settings of one.

    Each has the name of the attribute that it sets. ``augmentation`` says which changes are made
    to images: ``"none"``, or some of ``flip``, ``crop`` and ``cutout`` with ``+`` between them. The
    others are left out; how strong those are that it names is said by hyperparameters of these
    names, or else by the recipe.

    Args:
        recipe: The recipe.
        hyperparameters: Values by name; others than `RECIPE_NAMES` are passed over.

    Raises:
        InputError: If a value is of another kind than the setting or out of its range, or a change
            has no strength.

    Example:
        >>> tuned(Recipe(crop=2), {"learning_rate": 0.3, "augmentation": "flip"}).crop
        0
    """
    given = {
        name: of_kind(name, KINDS[name], value)
        for name, value in hyperparameters.items()
        if name in RECIPE_NAMES and name != AUGMENTATION
    }
    if AUGMENTATION not in hyperparameters:
        return replace(recipe, **given) if given else recipe
    chosen = changes_named(hyperparameters[AUGMENTATION])
    given |= {name: off for name, off in _CHANGES.items() if name not in chosen}
    if "flip" in chosen:
        given["flip"] = True
    result = replace(recipe, **given)
    weak = next((name for name in chosen if not getattr(result, name)), None)
    if weak is not None:
        raise InputError(
            f"augmentation {hyperparameters[AUGMENTATION]!r} needs a positive {weak}, of the "
            "recipe or as a hyperparameter"
        )
    return result


def changes_named(augmentation: HyperparameterValue) -> tuple[str, ...]:
    """Return the changes to images that a value of ``augmentation`` names.

    Raises:
        InputError: If it names another.
    """
    names = () if augmentation == "none" else tuple(str(augmentation).split("+"))
    if any(name not in _CHANGES for name in names):
        raise InputError(
            f"augmentation must be 'none' or some of {', '.join(_CHANGES)} with + between them; "
            f"got {augmentation!r}"
        )
    return names
