"""Expected improvement of many points under one or more Gaussian processes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.acquisition.logei import qLogExpectedImprovement, qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.acquisition.utils import prune_inferior_points
from botorch.sampling.normal import SobolQMCNormalSampler
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from graphbo.acquisition.pending import PendingLogEI
from graphbo.surrogates.model import SurrogateModel
from graphbo.threads import limited_threads

ACQUISITIONS = ("logei", "qlogei", "qlognei")
_SAMPLES = 128
_PRUNING_SAMPLES = 2048
_MAX_COVARIANCES = 4_000_000
_FEW = 512  # points that are all scored while others are pending
_BLOCK, _LARGEST_BLOCK = 128, 1024  # of more points so many are scored first, and then at once
_FIRST_OPEN = 64  # the first block where only the best point is sought
_EXACT = 64  # so many of the best points are in their right order else
_MARGIN = 0.5  # for the sampling error of what is compared with its bound


def score(
    models: Sequence[SurrogateModel],
    X: Tensor,
    kind: str = "logei",
    pending: Tensor | None = None,
    best: Sequence[Tensor] | None = None,
    bounds: Tensor | None = None,
    log_weights: Tensor | None = None,
    blocked: Tensor | None = None,
    final: Tensor | None = None,
) -> Tensor:
    """Return the logarithm of the expected improvement at each point, averaged over models.

    ``"logei"`` is analytic and compares with the lowest observed target; with pending points it is
    `PendingLogEI`, what a point adds to them. ``"qlogei"`` is the Monte Carlo version of the point
    together with those pending, and ``"qlognei"`` compares with the unknown noiseless values at the
    observed points. Where the joint posteriors of all points would not fit in memory, these two
    score only the points with the largest analytic value; the others get minus infinity.

    What a point adds to those pending is at most what it is expected to improve without them. So
    `PendingLogEI` is evaluated in the order of that bound, until it is beyond reach of the best 64,
    or of the best one that is not blocked; the other points get the bound.

    Reference: Ament et al., "Unexpected improvements to expected improvement for Bayesian
    optimization", NeurIPS 2023.

    Args:
        models: Models of targets to be minimised.
        X: `n x d` points.
        kind: One of `ACQUISITIONS`.
        pending: `p x d` points being evaluated.
        best: What an improvement improves on, for each model; by default its lowest target. Only
            ``"logei"`` can be told.
        bounds: The `n` values without pending points, if they are known; only ``"logei"`` uses
            them.
        log_weights: `n` logarithms to add, such as those of the probability that a point keeps
            constraints; they are part of the bounds. Only ``"logei"`` can be given any.
        blocked: Which points will not be chosen, `n`. It tells that only the best other one is
            sought; the values of the blocked ones may then be bounds.
        final: Which of the pending points can be improved on, `p`; see `PendingLogEI`, the only one
            that looks at it.

    Returns:
        `n` values, larger is better.

    Raises:
        ValueError: If the kind is unknown, or another than ``"logei"`` is told the best or weights.
    """
    if kind not in ACQUISITIONS:
        raise ValueError(f"the acquisition function is one of {ACQUISITIONS}; got {kind!r}")
    if best is None:
        best = [model.train_targets.min() for model in models]
    elif kind != "logei":
        raise ValueError(f"the acquisition function {kind!r} finds out the best by itself")
    if log_weights is not None and kind != "logei":
        raise ValueError(f"the acquisition function {kind!r} takes no weights")
    weights = torch.zeros(len(X), dtype=X.dtype) if log_weights is None else log_weights
    waiting = 0 if pending is None else len(pending)
    if kind == "logei":
        alone = [_analytic(model, low) for model, low in zip(models, best, strict=True)]
        if pending is None or not waiting:
            return _average(alone, X) + weights
        joint = [
            PendingLogEI(model, low, pending, final)
            for model, low in zip(models, best, strict=True)
        ]
        if len(X) <= _FEW:
            return _average(joint, X) + weights
        if bounds is None:
            bounds = _average(alone, X) + weights
        return _up_to(bounds, joint, X, weights, blocked)
    functions = [_monte_carlo(model, kind, pending) for model in models]
    baseline = max(len(getattr(function, "X_baseline", ())) for function in functions)
    affordable = max(_MAX_COVARIANCES // (1 + waiting + baseline) ** 2, 1)
    if affordable >= len(X):
        return _average(functions, X)
    analytic = [_analytic(model, low) for model, low in zip(models, best, strict=True)]
    scored = _average(analytic, X).topk(affordable).indices
    result = torch.full((len(X),), -math.inf, dtype=X.dtype)
    result[scored] = _average(functions, X[scored])
    return result


def _up_to(
    bounds: Tensor,
    functions: Sequence[PendingLogEI],
    X: Tensor,
    weights: Tensor,
    blocked: Tensor | None,
) -> Tensor:
    """Return the weighted averages of functions below bounds; the bounds where those are low."""
    order = bounds.argsort(descending=True, stable=True)
    result = bounds.clone()
    end, block, exact = 0, _BLOCK, _EXACT
    if blocked is not None:
        order, block, exact = order[~blocked[order]], _FIRST_OPEN, 1
    while end < len(order):
        part = order[end : end + block]
        # Threads that wait for each other take longer than blocks that are so small.
        with _singular_allowed(), limited_threads(1):
            values = [function.among(X, part) for function in functions]
        result[part] = _log_mean_exp(values) + weights[part]
        end += len(part)
        last = result[order[:end]].topk(min(exact, end)).values[-1]
        within = int((bounds[order[end:]] > last - _MARGIN).sum())
        if within == 0:
            break
        block = min(within, 4 * block, _LARGEST_BLOCK)
    return result


def _analytic(model: SurrogateModel, best: Tensor) -> AcquisitionFunction:
    return LogExpectedImprovement(model, best_f=best, maximize=False)


def _monte_carlo(model: SurrogateModel, kind: str, pending: Tensor | None) -> AcquisitionFunction:
    # The seed is fixed: what is asked must be a function of the history.
    sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=0)
    objective = GenericMCObjective(_negative)
    if kind == "qlognei":
        pruning = SobolQMCNormalSampler(torch.Size([_PRUNING_SAMPLES]), seed=0)
        with _singular_allowed():
            baseline = prune_inferior_points(
                model, model.train_inputs[0], objective=objective, sampler=pruning
            )
        return qLogNoisyExpectedImprovement(
            model,
            X_baseline=baseline,
            sampler=sampler,
            objective=objective,
            X_pending=pending,
            prune_baseline=False,  # its own pruning draws from the global random state
            cache_root=False,
        )
    best = -model.train_targets.min()
    return qLogExpectedImprovement(
        model, best_f=best, sampler=sampler, objective=objective, X_pending=pending
    )


def _negative(samples: Tensor, X: Tensor | None = None) -> Tensor:
    """BoTorch maximises."""
    return -samples.squeeze(-1)


@contextmanager
def _singular_allowed() -> Iterator[None]:
    """Do not warn of singular covariances, as those of a point and its twin are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        yield


def differentiable_score(
    models: Sequence[SurrogateModel],
    X: Tensor,
    best: Sequence[Tensor],
) -> Tensor:
    """Return the analytic `score` of a few points, with its gradient in them; `n` values."""
    return _mean([_analytic(model, low) for model, low in zip(models, best, strict=True)], X)


@torch.no_grad()
def _average(functions: Sequence[AcquisitionFunction], X: Tensor) -> Tensor:
    return _mean(functions, X)


def _mean(functions: Sequence[AcquisitionFunction], X: Tensor) -> Tensor:
    """Return the logarithm of the mean of the exponentials of the functions' values."""
    with _singular_allowed():
        return _log_mean_exp([function(X.unsqueeze(-2)) for function in functions])


def _log_mean_exp(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).logsumexp(0) - math.log(len(values))
