"""Optimisers behind one ask/tell contract."""

from __future__ import annotations

import importlib
from typing import Any

from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.registry import OPTIMIZERS, make_optimizer

__all__ = [
    "OPTIMIZERS",
    "PNAS",
    "SMAC",
    "TPE",
    "Bananas",
    "EmbeddingBO",
    "GeneticCNN",
    "GraphBO",
    "LocalSearch",
    "OneHotGP",
    "Optimizer",
    "QLearning",
    "RandomRanking",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "make_optimizer",
]

_MODULES = {
    "Bananas": "bananas",
    "EmbeddingBO": "embedding_bo",
    "GeneticCNN": "genetic_cnn",
    "GraphBO": "graph_bo",
    "LocalSearch": "local_search",
    "OneHotGP": "one_hot_gp",
    "PNAS": "pnas",
    "QLearning": "q_learning",
    "RandomRanking": "graph_bo",
    "RandomSearch": "random_search",
    "RegularizedEvolution": "evolution",
    "Reinforce": "reinforce",
    "SMAC": "smac",
    "TPE": "tpe",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"graphbo.optimizers.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'graphbo.optimizers' has no attribute {name!r}")
