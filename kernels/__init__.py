"""GPyTorch kernels on labelled directed acyclic graphs.

A kernel sees rows of numbers. It is given a decoder that turns a row into its architecture;
`ListDecoder` makes one from a list of architectures or networkx graphs.
"""

from graphbo.kernels.ard import ARDKernel, OneHotKernel, PathKernel, path_vocabulary
from graphbo.kernels.base import LengthscaleKernel, LinearFeatureKernel, RBFFeatureKernel
from graphbo.kernels.counts import Counts, hash_texts
from graphbo.kernels.feature_maps import (
    FeatureMap,
    PathMap,
    WeisfeilerLehmanMap,
    operation_paths,
)
from graphbo.kernels.store import Decoder, FeatureStore, ListDecoder
from graphbo.kernels.weisfeiler_lehman import WLKernel, WLOptimalAssignmentKernel, WLRBFKernel

__all__ = [
    "ARDKernel",
    "Counts",
    "Decoder",
    "FeatureMap",
    "FeatureStore",
    "LengthscaleKernel",
    "LinearFeatureKernel",
    "ListDecoder",
    "OneHotKernel",
    "PathKernel",
    "PathMap",
    "RBFFeatureKernel",
    "WLKernel",
    "WLOptimalAssignmentKernel",
    "WLRBFKernel",
    "WeisfeilerLehmanMap",
    "hash_texts",
    "operation_paths",
    "path_vocabulary",
]
