"""BoTorch models over architectures."""

from graphbo.surrogates.defaults import KernelFactory, default_kernels
from graphbo.surrogates.explanation import (
    Explanation,
    FeatureEffect,
    explain,
    feature_effects,
)
from graphbo.surrogates.fitting import fit, log_likelihood, log_posterior
from graphbo.surrogates.graph_gp import GraphGP
from graphbo.surrogates.selection import MostLikely
from graphbo.surrogates.surrogate import GraphSurrogate
from graphbo.surrogates.transforms import NormalScores

__all__ = [
    "Explanation",
    "FeatureEffect",
    "GraphGP",
    "GraphSurrogate",
    "KernelFactory",
    "MostLikely",
    "NormalScores",
    "default_kernels",
    "explain",
    "feature_effects",
    "fit",
    "log_likelihood",
    "log_posterior",
]
