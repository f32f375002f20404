"""What the networks of a table cost, from the protocol that the table records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.costs import NetworkCosts

if TYPE_CHECKING:
    from torch import nn

    from graphbo.datasets.base import ImageData

_DRAWN = ("digits", "shapes")
"""Datasets that are made from a seed: a table must not say what is downloaded or read."""


@dataclass(frozen=True)
class RecordedNetworks:
    """Builds the networks of a table of cells as they were trained.

    Attributes:
        dataset: The name of the dataset and the arguments it is made with.
        skeleton: Arguments of `NASBench201Network`.
    """

    dataset: Mapping[str, Any]
    skeleton: Mapping[str, Any]

    def __call__(self, architecture: Architecture, **hyperparameters: Any) -> nn.Module:
        """Return the network of a cell."""
        from graphbo.networks import NASBench201Network

        images = self._images
        given = {"classes": images.classes, "in_channels": images.in_channels}
        return NASBench201Network(architecture, **{**self.skeleton, **hyperparameters, **given})

    def shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of an image."""
        return self._images.shape

    @cached_property
    def _images(self) -> ImageData:
        from graphbo.datasets import get_dataset

        try:
            return get_dataset(**self.dataset)
        except TypeError as error:
            raise InputError(f"the table names a dataset that cannot be made: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "skeleton": self.skeleton}  # the images are made anew


def recorded_costs(protocol: str | None) -> NetworkCosts | None:
    """Return the costs of the networks of a table, None if it does not say how they are built.

    Args:
        protocol: What `graphbo.tabulate.protocol.Protocol.to_json` records.
    """
    try:
        settings = json.loads(protocol or "")
        dataset, skeleton = dict(settings["dataset"]), dict(settings["skeleton"])
    except (ValueError, KeyError, TypeError):
        return None
    if dataset.get("name") not in _DRAWN:
        return None
    networks = RecordedNetworks(dataset, skeleton)
    return NetworkCosts(networks, networks.shape)
