"""What a table records: which task, which networks, trained how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from graphbo.datasets.base import ImageData

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
    """

    name: str
    dataset: Mapping[str, Any]
    skeleton: Mapping[str, int]
    recipe: Recipe
    seeds: tuple[int, ...] = field(default=(0, 1))
    space: Mapping[str, Any] = field(default_factory=lambda: dict(_SPACE))

    def data(self) -> ImageData:
        """Return the images, in three parts."""
        from graphbo.datasets import get_dataset

        return get_dataset(**self.dataset)

    def network(self, cell: Architecture, seed: int, data: ImageData) -> nn.Module:
        """Return the network of a cell, its weights drawn from the seed."""
        import torch

        from graphbo.networks import NASBench201Network
        from graphbo.training.isolation import isolated

        with isolated(seed, torch.device("cpu")):
            return NASBench201Network(
                cell,
                classes=data.classes,
                in_channels=data.in_channels,
                **self.skeleton,
            )

    def to_json(self) -> str:
        """Return all settings, for a record."""
        settings = {
            "name": self.name,
            "dataset": dict(self.dataset),
            "skeleton": dict(self.skeleton),
            "recipe": self.recipe.describe(),
            "seeds": list(self.seeds),
        }
        if self.space != _SPACE:
            settings["space"] = dict(self.space)
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
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"this is no protocol of a table: {error}") from error

    @property
    def digest(self) -> str:
        """A short name that differs between protocols."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=4).hexdigest()
