"""What a table records: which task, which networks, trained how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.spaces.base import Design, HyperparameterValue
from graphbo.spaces.declarative import space_from_settings
from graphbo.spaces.joint import JointSpace
from graphbo.training.hyperparameters import RECIPE_NAMES
from graphbo.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from graphbo.datasets.base import ImageData

_DRAWS = 100  # for each design of a sample
_SPACE = {"type": "nasbench201"}


@dataclass(frozen=True)
class Protocol:
    """How every cell of a space is trained for a table.

    Attributes:
        name: The name of the table and its problem.
        dataset: The name of a dataset in `graphbo.datasets` and the arguments it is made with.
        skeleton: Arguments of `NASBench201Network`.
        recipe: How to train.
        seeds: The seeds of the trainings of each cell: of weights, order and augmentation.
        space: The settings of the space, as `space_from_settings` reads them: one that can be
            enumerated and whose cells have their operations on the edges.
        hyperparameters: The settings of hyperparameters beside the cells, as
            `hyperparameters_from_settings` reads them: settings of the recipe and arguments of the
            network. By default there are none.
        sample: How many designs are drawn at random where there are hyperparameters; without them
            every cell is trained.
    """

    name: str
    dataset: Mapping[str, Any]
    skeleton: Mapping[str, int]
    recipe: Recipe
    seeds: tuple[int, ...] = field(default=(0, 1))
    space: Mapping[str, Any] = field(default_factory=lambda: dict(_SPACE))
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0

    def data(self) -> ImageData:
        """Return the images, in three parts."""
        from graphbo.datasets import get_dataset

        return get_dataset(**self.dataset)

    def designs(self) -> list[Design]:
        """Return what is trained: all cells of the space, or a sample with hyperparameters.

        The sample is always the same. Its numbers are such that a vector of them in single
        precision, as `CurveTable` stores it, gives them back.

        Raises:
            InputError: If there are hyperparameters, but not so many designs as are to be drawn.
        """
        space = space_from_settings(self.space)
        if not self.hyperparameters:
            return list(space.enumerate())
        from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings

        joint = JointSpace(space, hyperparameters_from_settings(self.hyperparameters))
        beside, rng = joint.hyperparameters, np.random.default_rng(0)
        found: dict[Design, None] = {}
        for _ in range(_DRAWS * self.sample):
            if len(found) == self.sample:
                break
            design = joint.sample(rng)
            vector = np.array(beside.vector(design.hyperparameters), dtype=np.float32)
            values = beside.values(tuple(vector.tolist()))
            if values is not None:
                found[replace(design, hyperparameters=values)] = None
        if not 0 < len(found) == self.sample:
            raise InputError(
                f"the sample of {self.name} must be a number of designs from 1 to those that there "
                f"are; got {self.sample}"
            )
        return list(found)

    def network(
        self,
        cell: Architecture,
        seed: int,
        data: ImageData,
        hyperparameters: Mapping[str, HyperparameterValue] = MappingProxyType({}),
    ) -> nn.Module:
        """Return the network of a cell, its weights drawn from the seed.

        Args:
            cell: The cell.
            seed: The seed of the weights.
            data: The images.
            hyperparameters: Those that are no settings of the recipe are arguments of the network.
        """
        import torch

        from graphbo.networks import NASBench201Network
        from graphbo.training.isolation import isolated

        arguments: dict[str, Any] = {
            name: value for name, value in hyperparameters.items() if name not in RECIPE_NAMES
        }
        with isolated(seed, torch.device("cpu")):
            return NASBench201Network(
                cell,
                classes=data.classes,
                in_channels=data.in_channels,
                **{**self.skeleton, **arguments},
            )

    def to_json(self) -> str:
        """Return all settings, for a record."""
        settings: dict[str, Any] = {
            "name": self.name,
            "dataset": dict(self.dataset),
            "skeleton": dict(self.skeleton),
            "recipe": self.recipe.describe(),
            "seeds": list(self.seeds),
        }
        if self.space != _SPACE:
            settings["space"] = dict(self.space)
        if self.hyperparameters:
            settings |= {"hyperparameters": dict(self.hyperparameters), "sample": self.sample}
        return json.dumps(settings, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Protocol:
        """Return the protocol that `to_json` recorded.

        Raises:
            InputError: If it is none, or of a version that has other settings.
        """
        try:
            settings = json.loads(text)
            return Protocol(
                settings["name"],
                settings["dataset"],
                settings["skeleton"],
                Recipe(**settings["recipe"]),
                tuple(settings["seeds"]),
                settings.get("space", _SPACE),
                settings.get("hyperparameters", {}),
                settings.get("sample", 0),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"this is no protocol of a table: {error}") from error

    @property
    def digest(self) -> str:
        """A short name that differs between protocols."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=4).hexdigest()
