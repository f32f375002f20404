"""Bayesian optimisation over neural architectures, which are labelled directed acyclic graphs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphbo.architecture import Architecture

__version__ = "0.1.0"

# Imported on first use: torch and ConfigSpace take seconds.
_EXPORTS = {
    "Architecture": "graphbo.architecture",
}

__all__ = ["Architecture", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'graphbo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
