"""Acquisition functions and how they are maximised over discrete spaces."""

from graphbo.acquisition.expected_improvement import ACQUISITIONS, score
from graphbo.acquisition.pool import candidates

__all__ = ["ACQUISITIONS", "candidates", "score"]
