"""BoTorch models over architectures."""

from graphbo.surrogates.bayesian_linear import BayesianLinear
from graphbo.surrogates.beliefs import Belief, FromTrials, OperationBelief, Standardised
from graphbo.surrogates.calibration import LeaveOneOut, leave_one_out
from graphbo.surrogates.deep_ensemble import DeepEnsemble, EnsembleModel
from graphbo.surrogates.deep_kernel import DeepKernel
from graphbo.surrogates.defaults import (
    KernelFactory,
    default_kernels,
    embedding,
    ordered_decisions,
    path_profile,
    product_of,
    spectrum,
    sum_of,
    weisfeiler_lehman,
)
from graphbo.surrogates.embedded import (
    Frozen,
    OneHotEncoding,
    PathEncoding,
    frozen,
    name_of,
)
from graphbo.surrogates.explanation import (
    Explanation,
    FeatureEffect,
    explain,
    feature_effects,
)
from graphbo.surrogates.fitting import fit, log_likelihood, log_posterior
from graphbo.surrogates.graph_gp import GraphGP
from graphbo.surrogates.model import ModelFactory, SurrogateModel
from graphbo.surrogates.prior import RowPredictor
from graphbo.surrogates.selection import MostLikely
from graphbo.surrogates.surrogate import GraphSurrogate
from graphbo.surrogates.transforms import LogScores, NormalScores

__all__ = [
    "BayesianLinear",
    "Belief",
    "DeepEnsemble",
    "DeepKernel",
    "EnsembleModel",
    "Explanation",
    "FeatureEffect",
    "FromTrials",
    "Frozen",
    "GraphGP",
    "GraphSurrogate",
    "KernelFactory",
    "LeaveOneOut",
    "LogScores",
    "ModelFactory",
    "MostLikely",
    "NormalScores",
    "OneHotEncoding",
    "OperationBelief",
    "PathEncoding",
    "RowPredictor",
    "Standardised",
    "SurrogateModel",
    "default_kernels",
    "embedding",
    "explain",
    "feature_effects",
    "fit",
    "frozen",
    "leave_one_out",
    "log_likelihood",
    "log_posterior",
    "name_of",
    "ordered_decisions",
    "path_profile",
    "product_of",
    "spectrum",
    "sum_of",
    "weisfeiler_lehman",
]
