"""BoTorch models over architectures."""

from graphbo.surrogates.defaults import KernelFactory, default_kernels
from graphbo.surrogates.fitting import fit, log_posterior
from graphbo.surrogates.graph_gp import GraphGP
from graphbo.surrogates.surrogate import GraphSurrogate
from graphbo.surrogates.transforms import NormalScores

__all__ = [
    "GraphGP",
    "GraphSurrogate",
    "KernelFactory",
    "NormalScores",
    "default_kernels",
    "fit",
    "log_posterior",
]
