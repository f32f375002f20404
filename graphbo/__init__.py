"""Bayesian optimisation over neural architectures, which are labelled directed acyclic graphs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphbo.architecture import Architecture
    from graphbo.comparison import compare
    from graphbo.errors import InputError, MissingExtraError
    from graphbo.evaluators.base import Evaluator, FunctionEvaluator
    from graphbo.functional import advise, minimize
    from graphbo.goals import Constraint, Goals
    from graphbo.optimizers import make_optimizer
    from graphbo.problems.base import Problem
    from graphbo.problems.registry import get_problem, list_problems
    from graphbo.report.drawing import draw
    from graphbo.spaces import (
        CellSpace,
        ChainSpace,
        DARTSSpace,
        ENASMacroSpace,
        HierarchicalSpace,
        HyperparameterSpace,
        JointPoolSpace,
        JointSpace,
        NASBench101Space,
        NASBench201Space,
        PoolSpace,
        ProductSpace,
        RandomlyWiredSpace,
        RegNetSpace,
    )
    from graphbo.study import Result, Study
    from graphbo.surrogates import Belief, FromTrials, OperationBelief
    from graphbo.transfer import prior_of_study
    from graphbo.trial import Evaluation, Job, Trial

__version__ = "0.1.0"

# Imported on first use: torch and ConfigSpace take seconds.
_EXPORTS = {
    "Architecture": "graphbo.architecture",
    "Belief": "graphbo.surrogates",
    "CellSpace": "graphbo.spaces",
    "ChainSpace": "graphbo.spaces",
    "Constraint": "graphbo.goals",
    "DARTSSpace": "graphbo.spaces",
    "ENASMacroSpace": "graphbo.spaces",
    "Evaluation": "graphbo.trial",
    "Evaluator": "graphbo.evaluators.base",
    "FromTrials": "graphbo.surrogates",
    "FunctionEvaluator": "graphbo.evaluators.base",
    "Goals": "graphbo.goals",
    "HierarchicalSpace": "graphbo.spaces",
    "HyperparameterSpace": "graphbo.spaces",
    "InputError": "graphbo.errors",
    "Job": "graphbo.trial",
    "JointPoolSpace": "graphbo.spaces",
    "JointSpace": "graphbo.spaces",
    "MissingExtraError": "graphbo.errors",
    "NASBench101Space": "graphbo.spaces",
    "NASBench201Space": "graphbo.spaces",
    "OperationBelief": "graphbo.surrogates",
    "PoolSpace": "graphbo.spaces",
    "Problem": "graphbo.problems.base",
    "ProductSpace": "graphbo.spaces",
    "RandomlyWiredSpace": "graphbo.spaces",
    "RegNetSpace": "graphbo.spaces",
    "Result": "graphbo.study",
    "Study": "graphbo.study",
    "Trial": "graphbo.trial",
    "advise": "graphbo.functional",
    "compare": "graphbo.comparison",
    "draw": "graphbo.report.drawing",
    "get_problem": "graphbo.problems.registry",
    "list_problems": "graphbo.problems.registry",
    "make_optimizer": "graphbo.optimizers",
    "minimize": "graphbo.functional",
    "prior_of_study": "graphbo.transfer",
}

__all__ = [
    "Architecture",
    "Belief",
    "CellSpace",
    "ChainSpace",
    "Constraint",
    "DARTSSpace",
    "ENASMacroSpace",
    "Evaluation",
    "Evaluator",
    "FromTrials",
    "FunctionEvaluator",
    "Goals",
    "HierarchicalSpace",
    "HyperparameterSpace",
    "InputError",
    "Job",
    "JointPoolSpace",
    "JointSpace",
    "MissingExtraError",
    "NASBench101Space",
    "NASBench201Space",
    "OperationBelief",
    "PoolSpace",
    "Problem",
    "ProductSpace",
    "RandomlyWiredSpace",
    "RegNetSpace",
    "Result",
    "Study",
    "Trial",
    "__version__",
    "advise",
    "compare",
    "draw",
    "get_problem",
    "list_problems",
    "make_optimizer",
    "minimize",
    "prior_of_study",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'graphbo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
