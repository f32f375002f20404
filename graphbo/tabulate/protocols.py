"""The protocols of the tables that come with the package."""

from __future__ import annotations

from collections.abc import Mapping

from graphbo.errors import InputError
from graphbo.problems import joint
from graphbo.tabulate.protocol import Protocol
from graphbo.training.recipe import Recipe

PROTOCOLS: Mapping[str, Protocol] = {
    "digits-table": Protocol(
        "digits-table",
        dataset={"name": "digits", "copies": 5, "noise": 0.2, "clutter": 1},
        skeleton={"channels": 16, "cells": 1, "stages": 1, "stem_stride": 2},
        recipe=Recipe(epochs=9, batch_size=32, learning_rate=0.05),
        seeds=(0, 1),
    ),
    "cells-digits-table": Protocol(
        "cells-digits-table",
        dataset=joint.DATASET,
        skeleton=joint.SKELETON,
        recipe=joint.recipe(),
        seeds=(0,),
        hyperparameters=joint.HYPERPARAMETERS,
        sample=1500,
    ),
}


def get_protocol(name: str) -> Protocol:
    """Return the protocol of a table.

    Raises:
        InputError: If there is none of this name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}; the protocols are {list(PROTOCOLS)}")
    return PROTOCOLS[name]
