"""Posteriors of many observations, through some of them."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor

from graphbo.kernels import WLRBFKernel
from graphbo.spaces import CellSpace
from graphbo.surrogates import GraphGP
from graphbo.surrogates import graph_gp as module
from graphbo.surrogates.low_rank import LowRankPosterior, inducing_observations

SPACE = CellSpace(4, ["a", "b"], on="edges")
ROWS = torch.tensor([design.row for design in SPACE.enumerate()], dtype=torch.float64)
TRAIN, POOL = ROWS[3::5], ROWS[::3]
TARGETS = torch.sin(TRAIN.sum(-1))


def model() -> GraphGP:
    return GraphGP(TRAIN, TARGETS.unsqueeze(-1), WLRBFKernel(SPACE.decode))


def posterior(inducing: Tensor) -> LowRankPosterior:
    gp = model()
    return LowRankPosterior(gp.covar_module, gp.likelihood.noise, TRAIN, TARGETS, inducing)


@torch.no_grad()
def test_with_every_observation_it_is_the_exact_posterior() -> None:
    gp, low_rank = model(), posterior(torch.arange(len(TRAIN)))
    for part, whole in zip(low_rank.moments(POOL), gp.moments(POOL), strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-5)
    between = gp.moments_with(POOL, ROWS[:3])[-1]
    torch.testing.assert_close(low_rank.covariance(POOL, ROWS[:3]), between, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_it_is_the_formula_of_its_docstring() -> None:
    gp, chosen = model(), torch.arange(0, len(TRAIN), 3)
    Z, noise = TRAIN[chosen], gp.likelihood.noise

    def k(a: Tensor, b: Tensor) -> Tensor:
        covariance: Tensor = gp.covar_module(a, b).to_dense()
        return covariance

    # The other side of Woodbury's identity.
    inverse = torch.linalg.inv(k(Z, Z))
    Q = k(TRAIN, Z) @ inverse @ k(Z, TRAIN) + noise * torch.eye(len(TRAIN))
    cross = k(POOL, Z) @ inverse @ k(Z, TRAIN)
    mean = cross @ torch.linalg.solve(Q, TARGETS)
    covariance = k(POOL, POOL) - cross @ torch.linalg.solve(Q, cross.mT)
    low_rank = posterior(chosen)
    means, variances = low_rank.moments(POOL)
    torch.testing.assert_close(means, mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(variances, covariance.diagonal(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(low_rank.covariance(POOL, POOL), covariance, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_more_inducing_observations_come_closer_to_the_exact_posterior() -> None:
    exact = torch.cat(model().moments(POOL))
    found = [torch.cat(posterior(torch.arange(m)).moments(POOL)) for m in (5, 15, len(TRAIN))]
    errors = [float((moments - exact).abs().mean()) for moments in found]
    assert errors[0] > 1.5 * errors[1]
    assert errors[1] > 1.5 * errors[2]


@torch.no_grad()
def test_a_model_takes_it_from_some_size_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gp = model()
    exact = gp.moments(POOL)
    with_exact = gp.moments_with(POOL, ROWS[:2])
    monkeypatch.setattr(module, "_LARGEST_EXACT", len(TRAIN) - 1)
    monkeypatch.setattr(module, "_INDUCING", len(TRAIN) - 2)
    for approximate, whole in zip(gp.moments(POOL), exact, strict=True):
        assert not torch.equal(approximate, whole)
        torch.testing.assert_close(approximate, whole, rtol=0, atol=0.2)
    for approximate, whole in zip(gp.moments_with(POOL, ROWS[:2]), with_exact, strict=True):
        torch.testing.assert_close(approximate, whole, rtol=0, atol=0.2)


@torch.no_grad()
def test_joint_posteriors_agree_with_marginal_ones_and_covariances() -> None:
    low_rank = posterior(torch.arange(0, len(TRAIN), 3))
    batches = torch.stack([POOL[:3], POOL[3:6]])
    means, covariances = low_rank.joint(batches)
    for points, mean, covariance in zip(batches, means, covariances, strict=True):
        torch.testing.assert_close(mean, low_rank.moments(points)[0])
        torch.testing.assert_close(covariance, low_rank.covariance(points, points))


@torch.no_grad()
def test_a_model_of_many_observations_has_joint_posteriors_of_low_rank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gp, batches = model(), torch.stack([POOL[:3], POOL[3:6]])
    exact = gp.posterior(batches)
    monkeypatch.setattr(module, "_LARGEST_EXACT", len(TRAIN) - 1)
    monkeypatch.setattr(module, "_INDUCING", len(TRAIN))
    found = gp.posterior(batches)
    torch.testing.assert_close(found.mean, exact.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        found.distribution.covariance_matrix,
        exact.distribution.covariance_matrix,
        rtol=1e-4,
        atol=1e-5,
    )


@torch.no_grad()
def test_what_a_model_keeps_follows_its_observations_and_hyperparameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LARGEST_EXACT", 10)
    monkeypatch.setattr(module, "_INDUCING", 8)

    def fresh(gp: GraphGP) -> GraphGP:
        other = copy.deepcopy(gp)
        assert other._low_rank is None
        return other

    gp = model()
    seen = [gp.moments(POOL)]
    kept = gp._low_rank
    gp.moments_with(POOL[:5], ROWS[:2])
    assert gp._low_rank is kept
    gp.observe(TRAIN, -TARGETS.unsqueeze(-1))
    seen.append(gp.moments(POOL))
    gp.observe(TRAIN[:-3], TARGETS[:-3].unsqueeze(-1))
    seen.append(gp.moments(POOL))
    gp.covar_module.outputscale = torch.tensor(2.0)
    seen.append(gp.moments(POOL))
    gp.likelihood.noise = torch.tensor(0.3)
    seen.append(gp.moments(POOL))
    for moments, again in zip(gp.moments(POOL), fresh(gp).moments(POOL), strict=True):
        torch.testing.assert_close(moments, again)
    assert all(not torch.equal(a[0], b[0]) for a, b in itertools.pairwise(seen))


def test_the_inducing_observations_are_the_best_and_some_of_the_others() -> None:
    targets = torch.tensor([3.0, 0.0, 4.0, 1.0, 5.0, 9.0, 7.0, 8.0])
    assert inducing_observations(targets, 4).tolist() == [1, 3, 0, 7]
    assert sorted(inducing_observations(targets, 8).tolist()) == list(range(8))
