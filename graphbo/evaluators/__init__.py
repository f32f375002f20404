"""Evaluators: table look-up, real training, cheaper estimates of it, plain functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from graphbo.evaluators.base import Evaluator, FunctionEvaluator, Report
from graphbo.evaluators.costs import NetworkCosts

if TYPE_CHECKING:
    from graphbo.evaluators.inheritance import InheritanceEvaluator
    from graphbo.evaluators.proxy import ProxyEvaluator, proxy_features
    from graphbo.evaluators.supernet import SupernetEvaluator
    from graphbo.evaluators.table import TableEvaluator
    from graphbo.evaluators.training import TrainingEvaluator

__all__ = [
    "Evaluator",
    "FunctionEvaluator",
    "InheritanceEvaluator",
    "NetworkCosts",
    "ProxyEvaluator",
    "Report",
    "SupernetEvaluator",
    "TableEvaluator",
    "TrainingEvaluator",
    "proxy_features",
]

# Imported on first use: training needs torch.
_MODULES = {
    "InheritanceEvaluator": "inheritance",
    "ProxyEvaluator": "proxy",
    "SupernetEvaluator": "supernet",
    "TableEvaluator": "table",
    "TrainingEvaluator": "training",
    "proxy_features": "proxy",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"graphbo.evaluators.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'graphbo.evaluators' has no attribute {name!r}")
