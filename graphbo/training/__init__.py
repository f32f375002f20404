"""Training networks: one alone, or many together."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphbo.training.darts import Relaxation, relax
    from graphbo.training.graph import UntraceableError
    from graphbo.training.morphism import inherit
    from graphbo.training.population import Member, PopulationTrainer
    from graphbo.training.proxies import PROXIES, proxy
    from graphbo.training.recipe import Recipe
    from graphbo.training.stopping import Patience
    from graphbo.training.supernet import Supernet, train_supernet
    from graphbo.training.trainer import Training, train

__all__ = [
    "PROXIES",
    "Member",
    "Patience",
    "PopulationTrainer",
    "Recipe",
    "Relaxation",
    "Supernet",
    "Training",
    "UntraceableError",
    "inherit",
    "proxy",
    "relax",
    "train",
    "train_supernet",
]

# Imported on first use: torch takes seconds.
_MODULES = {
    "PROXIES": "proxies",
    "Member": "population",
    "Patience": "stopping",
    "PopulationTrainer": "population",
    "Recipe": "recipe",
    "Relaxation": "darts",
    "Supernet": "supernet",
    "Training": "trainer",
    "UntraceableError": "graph",
    "inherit": "morphism",
    "proxy": "proxies",
    "relax": "darts",
    "train": "trainer",
    "train_supernet": "supernet",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"graphbo.training.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'graphbo.training' has no attribute {name!r}")
