"""GPyTorch kernels on labelled directed acyclic graphs.

A kernel sees rows of numbers. It is given a decoder that turns a row into its architecture;
`ListDecoder` makes one from a list of architectures or networkx graphs.
"""

from graphbo.kernels.ard import ARDKernel, JointKernel, OneHotKernel, PathKernel, path_vocabulary
from graphbo.kernels.base import LengthscaleKernel, LinearFeatureKernel, RBFFeatureKernel
from graphbo.kernels.columns import HammingKernel
from graphbo.kernels.counts import Counts, hash_texts
from graphbo.kernels.distances import DistanceKernel, DistanceMap
from graphbo.kernels.edit_distance import EditDistanceKernel, EditDistanceMap
from graphbo.kernels.embedding import (
    Embedding,
    EmbeddingKernel,
    EmbeddingStore,
    LinearEmbeddingKernel,
    RowFeatures,
)
from graphbo.kernels.feature_maps import FeatureMap, WeisfeilerLehmanMap
from graphbo.kernels.fidelity import FidelityKernel
from graphbo.kernels.graphlets import GraphletKernel, GraphletMap
from graphbo.kernels.matern import MaternEmbeddingKernel
from graphbo.kernels.naming import Feature, Occurrence
from graphbo.kernels.optimal_transport import OptimalTransportKernel, TransportMap
from graphbo.kernels.path_profile import PathProfileKernel, PathProfileMap, operations_of
from graphbo.kernels.paths import PathMap, operation_paths, path_counts
from graphbo.kernels.random_walks import RandomWalkKernel, RandomWalkMap
from graphbo.kernels.relabelled import RelabelledMap
from graphbo.kernels.shortest_paths import ShortestPathKernel, ShortestPathMap
from graphbo.kernels.store import Decoder, FeatureStore, ListDecoder
from graphbo.kernels.string_gp import StringGPKernel
from graphbo.kernels.strings import SpectrumKernel, SpectrumMap, SpectrumRBFKernel, token_string
from graphbo.kernels.subsequences import (
    SubsequenceKernel,
    SubsequenceMap,
    SubsequenceRBFKernel,
)
from graphbo.kernels.weisfeiler_lehman import WLKernel, WLOptimalAssignmentKernel, WLRBFKernel

__all__ = [
    "ARDKernel",
    "Counts",
    "Decoder",
    "DistanceKernel",
    "DistanceMap",
    "EditDistanceKernel",
    "EditDistanceMap",
    "Embedding",
    "EmbeddingKernel",
    "EmbeddingStore",
    "Feature",
    "FeatureMap",
    "FeatureStore",
    "FidelityKernel",
    "GraphletKernel",
    "GraphletMap",
    "HammingKernel",
    "JointKernel",
    "LengthscaleKernel",
    "LinearEmbeddingKernel",
    "LinearFeatureKernel",
    "ListDecoder",
    "MaternEmbeddingKernel",
    "Occurrence",
    "OneHotKernel",
    "OptimalTransportKernel",
    "PathKernel",
    "PathMap",
    "PathProfileKernel",
    "PathProfileMap",
    "RBFFeatureKernel",
    "RandomWalkKernel",
    "RandomWalkMap",
    "RelabelledMap",
    "RowFeatures",
    "ShortestPathKernel",
    "ShortestPathMap",
    "SpectrumKernel",
    "SpectrumMap",
    "SpectrumRBFKernel",
    "StringGPKernel",
    "SubsequenceKernel",
    "SubsequenceMap",
    "SubsequenceRBFKernel",
    "TransportMap",
    "WLKernel",
    "WLOptimalAssignmentKernel",
    "WLRBFKernel",
    "WeisfeilerLehmanMap",
    "hash_texts",
    "operation_paths",
    "operations_of",
    "path_counts",
    "path_vocabulary",
    "token_string",
]
