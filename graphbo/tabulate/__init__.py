"""Tabular benchmarks made by this package: every cell of a space trained, once for all."""

from graphbo.tabulate.build import build
from graphbo.tabulate.protocol import Protocol

__all__ = ["Protocol", "build"]
