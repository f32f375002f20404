"""Optimisers behind one ask/tell contract."""

from __future__ import annotations

import importlib
from typing import Any

from graphbo.optimizers.base import Optimizer
from graphbo.optimizers.registry import AUTO, OPTIMIZERS, make_optimizer

__all__ = [
    "ASHA",
    "AUTO",
    "BOHB",
    "DARTS",
    "DEHB",
    "NSGA2",
    "OPTIMIZERS",
    "PNAS",
    "SMAC",
    "TPE",
    "Bananas",
    "EmbeddingBO",
    "GeneticCNN",
    "GraphBO",
    "GraphEHVI",
    "GraphMF",
    "Hyperband",
    "LocalSearch",
    "MultiFidelityOptimizer",
    "OneHotGP",
    "Optimizer",
    "ParEGO",
    "QLearning",
    "RandomRanking",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "SuccessiveHalving",
    "make_optimizer",
]

_MODULES = {
    "ASHA": "asha",
    "BOHB": "bohb",
    "DEHB": "dehb",
    "Bananas": "bananas",
    "DARTS": "darts",
    "EmbeddingBO": "embedding_bo",
    "GeneticCNN": "genetic_cnn",
    "GraphBO": "graph_bo",
    "GraphEHVI": "graph_ehvi",
    "GraphMF": "graph_mf",
    "Hyperband": "hyperband",
    "LocalSearch": "local_search",
    "MultiFidelityOptimizer": "multi_fidelity",
    "OneHotGP": "one_hot_gp",
    "NSGA2": "nsga2",
    "PNAS": "pnas",
    "ParEGO": "parego",
    "QLearning": "q_learning",
    "RandomRanking": "graph_bo",
    "RandomSearch": "random_search",
    "RegularizedEvolution": "evolution",
    "Reinforce": "reinforce",
    "SMAC": "smac",
    "SuccessiveHalving": "hyperband",
    "TPE": "tpe",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"graphbo.optimizers.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'graphbo.optimizers' has no attribute {name!r}")
