"""Conformance suites that every part passes and users can run on their own.

`check_kernel`, `check_space`, `check_optimizer` and `check_goals`, and `architectures`, a
hypothesis strategy.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "architectures": "graphbo.testing.strategies",
    "check_goals": "graphbo.testing.optimizers",
    "check_kernel": "graphbo.kernels.testing",
    "check_optimizer": "graphbo.testing.optimizers",
    "check_space": "graphbo.testing.spaces",
}

__all__ = ["architectures", "check_goals", "check_kernel", "check_optimizer", "check_space"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'graphbo.testing' has no attribute {name!r}")
