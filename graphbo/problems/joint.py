"""Architectures and hyperparameters together, trained for real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphbo.datasets import get_dataset
from graphbo.problems.base import Problem
from graphbo.problems.training import problem_from_images
from graphbo.spaces.joint import JointSpace
from graphbo.spaces.nasbench201 import NASBench201Space

if TYPE_CHECKING:
    from graphbo.training.recipe import Recipe

NAME = "cells-digits"
DESCRIPTION = "cells of NAS-Bench-201 with the hyperparameters of their training, on noisy digits"
EPOCHS = 9
DATASET: Mapping[str, Any] = {"name": "digits", "copies": 3, "noise": 0.2}
SKELETON: Mapping[str, Any] = {"stages": 1, "stem_stride": 2}
HYPERPARAMETERS: Mapping[str, Any] = {
    "learning_rate": {"low": 1e-3, "high": 1.0, "log": True, "default": 0.1},
    "weight_decay": {"low": 1e-5, "high": 3e-2, "log": True, "default": 5e-4},
    "channels": {"low": 4, "high": 16, "log": True, "default": 8},
    "cells": {"low": 1, "high": 3, "default": 1},
    "augmentation": ["none", "crop", "cutout"],
    "crop": {"low": 1, "high": 4, "when": {"augmentation": "crop"}},
    "cutout": {"low": 2, "high": 8, "when": {"augmentation": "cutout"}},
}
"""What can be chosen, as `hyperparameters_from_settings` reads it."""


def recipe() -> Recipe:
    """Return how the networks are trained but for the hyperparameters."""
    from graphbo.training.recipe import Recipe

    return Recipe(epochs=EPOCHS, batch_size=32)


def joint_problem() -> Problem:
    """Return the problem ``cells-digits``.

    A cell of NAS-Bench-201; the learning rate and the weight decay; the width (``channels``) and
    depth (``cells``) of the network around the cell; and how images are augmented, with the
    strength of what is done. The network has one stage and sees 2,700 images of scikit-learn's
    digits, displaced and under noise. A training of nine epochs takes a second or two on one core
    of a CPU; shorter ones are its beginning.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings

    space = JointSpace(NASBench201Space(), hyperparameters_from_settings(HYPERPARAMETERS), NAME)
    return problem_from_images(
        get_dataset(**DATASET),
        space,
        recipe=recipe(),
        name=NAME,
        description=DESCRIPTION,
        trials=60,
        **SKELETON,
    )
