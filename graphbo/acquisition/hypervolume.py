"""Expected improvement of the hypervolume that several objectives dominate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import torch
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.models.deterministic import DeterministicModel
from botorch.models.model import ModelList
from botorch.sampling.index_sampler import IndexSampler
from botorch.sampling.list_sampler import ListSampler
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from graphbo.acquisition.pending import log_h
from graphbo.surrogates.model import SurrogateModel

_SAMPLES = 64
_LEAST = 1e-10  # the variance of what is known


class KnownOutcome(DeterministicModel):
    """A BoTorch model of an outcome that is known at some points.

    Args:
        X: `n x d` points.
        Y: The outcome there, `n`.
    """

    def __init__(self, X: Tensor, Y: Tensor) -> None:
        super().__init__()
        self._num_outputs = 1
        self._table = dict(zip(map(tuple, X.tolist()), Y.tolist(), strict=True))

    def forward(self, X: Tensor) -> Tensor:
        """Return the outcome at `... x d` of the points, `... x 1`."""
        points = X.reshape(-1, X.shape[-1]).tolist()
        values = [self._table[tuple(point)] for point in points]
        return torch.tensor(values, dtype=X.dtype).reshape(*X.shape[:-1], 1)


def reference_point(targets: Tensor) -> Tensor:
    """Return a reference point behind the observed front, `m`.

    It is BoTorch's, a tenth of the range of the front behind its worst values. A front of one point
    has no range; then it is the worst that was observed.

    Args:
        targets: `n x m` targets to be minimised.
    """
    front = targets[is_non_dominated(-targets)]
    worst = targets.amax(0) if len(front) == 1 else front.amax(0)
    inferred: Tensor = -infer_reference_point(-front)
    return torch.maximum(inferred, worst)


def log_expected_hypervolume_improvement(
    means: Tensor, variances: Tensor, targets: Tensor, reference: Tensor
) -> Tensor:
    """Return the logarithm of the expected hypervolume improvement of many points, in closed form.

    What the observed front leaves undominated is cut into boxes; in each of them the improvement is
    a product over the objectives, which are independent.

    Reference: Yang et al., "Efficient computation of expected hypervolume improvement using box
    decomposition algorithms", Journal of Global Optimization 2019.

    Args:
        means: `n x m` posterior means of targets to be minimised.
        variances: `n x m` variances.
        targets: `k x m` observed targets.
        reference: `m`, see `reference_point`.

    Returns:
        `n` values, larger is better.
    """
    boxes = FastNondominatedPartitioning(-reference, Y=-targets)
    lower, upper = boxes.get_hypercell_bounds()  # `boxes x m` each, to be maximised
    mean, deviation = -means.unsqueeze(1), variances.clamp_min(_LEAST).sqrt().unsqueeze(1)
    # E[min(u, f) - l]_+ = E[f - l]_+ - E[f - u]_+ in each objective
    above = deviation.log() + log_h((mean - lower) / deviation)
    bounded = upper.isfinite()
    beyond = deviation.log() + log_h((mean - torch.where(bounded, upper, lower)) / deviation)
    gap = (beyond - above).clamp_max(-1e-12)
    # Twice where: an unbounded box must not bring in the logarithm of nought, nor what is nowhere
    # above, such as an outcome that is not known, the difference of two of them.
    some = bounded & above.isfinite()
    inside = torch.where(some, torch.log(-torch.expm1(gap)), torch.zeros_like(gap))
    result: Tensor = (above + inside).sum(-1).logsumexp(-1)
    return result


@torch.no_grad()
def log_noisy_expected_hypervolume_improvement(
    models: Sequence[SurrogateModel | KnownOutcome],
    X: Tensor,
    targets: Tensor,
    observed: Tensor,
    reference: Tensor,
    pending: Tensor | None = None,
) -> Tensor:
    """Return BoTorch's ``qLogNoisyExpectedHypervolumeImprovement`` of a few points.

    The noiseless values at the observed points are unknown, and sampled together with those at
    pending points. Observed points take part that are on the front as observed or as expected.

    Reference: Daulton et al., "Parallel Bayesian optimization of multiple noisy objectives with
    expected hypervolume improvement", NeurIPS 2021.

    Args:
        models: A model of each of the `m` objectives, to be minimised.
        X: `n x d` points.
        targets: `k x m` observed targets.
        observed: `k x d`, where they were observed.
        reference: `m`, see `reference_point`.
        pending: `p x d` points being evaluated.

    Returns:
        `n` values, larger is better.
    """
    expected = torch.stack(
        [
            model(observed).squeeze(-1)
            if isinstance(model, KnownOutcome)
            else model.moments_with(observed, observed[:1])[0]
            for model in models
        ],
        dim=-1,
    )
    baseline = is_non_dominated(-targets) | is_non_dominated(-expected)
    # The seeds are fixed: what is asked must be a function of the history.
    samplers = [
        IndexSampler(torch.Size([_SAMPLES]), seed=i)
        if isinstance(model, KnownOutcome)
        else SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=i)
        for i, model in enumerate(models)
    ]
    with _quietly_interpreted():
        function = logei.qLogNoisyExpectedHypervolumeImprovement(
            ModelList(*models),
            (-reference).tolist(),
            observed[baseline],
            sampler=ListSampler(*samplers),
            objective=GenericMCMultiOutputObjective(_negative),
            X_pending=pending,
            prune_baseline=False,  # its own pruning draws from the global random state
            cache_root=False,
        )
        values: Tensor = function(X.unsqueeze(-2))
    return values


def _negative(samples: Tensor, X: Tensor | None = None) -> Tensor:
    """BoTorch maximises."""
    return -samples


@contextmanager
def _quietly_interpreted() -> Iterator[None]:
    """Keep BoTorch from compiling an extension, and from warning of singular covariances.

    The extension takes minutes to compile, needs a compiler, and rounds in a way of its own, while
    a search must go on elsewhere as it would here.
    """
    with (
        patch.multiple(logei, _C=None, _load_attempted=True, create=True),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", NumericalWarning)
        yield


def mixture(logs: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the exponentials of several values of each point."""
    return torch.stack(list(logs)).logsumexp(0) - math.log(len(logs))
