"""Evaluators: table look-up, real training, plain functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from graphbo.evaluators.base import Evaluator, FunctionEvaluator, Report

if TYPE_CHECKING:
    from graphbo.evaluators.table import TableEvaluator
    from graphbo.evaluators.training import TrainingEvaluator

__all__ = ["Evaluator", "FunctionEvaluator", "Report", "TableEvaluator", "TrainingEvaluator"]

# Imported on first use: training needs torch.
_MODULES = {"TableEvaluator": "table", "TrainingEvaluator": "training"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"graphbo.evaluators.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'graphbo.evaluators' has no attribute {name!r}")
