"""Bayesian linear regression on the last hidden layer of a network."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.spaces import CellSpace
from graphbo.surrogates import BayesianLinear, GraphGP, ModelFactory, RowPredictor

SPACE = CellSpace(4, ["a", "b"], on="edges")
DESIGNS = SPACE.enumerate()
ROWS = torch.tensor([design.row for design in DESIGNS], dtype=torch.float64)
TRAIN = list(range(0, len(ROWS), 9))
ARCHITECTURES = [DESIGNS[i].architecture for i in TRAIN]
X = ROWS[TRAIN]


def counts(architectures: Sequence[Architecture]) -> Tensor:
    labels = [[label for *_, label in a.edges] for a in architectures]
    return torch.tensor(
        [[x.count("a"), x.count("b"), len(a)] for x, a in zip(labels, architectures, strict=True)],
        dtype=torch.float64,
    )


TRUTH = counts([design.architecture for design in DESIGNS]) @ torch.tensor([1.0, -2, 0.3]).double()
TRUTH = (TRUTH - TRUTH.mean()) / TRUTH.std()
Y = TRUTH[TRAIN].unsqueeze(-1)


@pytest.mark.parametrize(
    "prior", [None, RowPredictor(SPACE.decode, lambda a: 1.0 - counts(a)[:, 1])]
)
def test_the_posterior_is_that_of_linear_regression(prior: RowPredictor | None) -> None:
    """Weights with a normal prior, their posterior in closed form; no kernel anywhere."""
    factory = BayesianLinear(SPACE, counts)
    assert isinstance(factory, ModelFactory)
    model = factory.fitted(X, Y, ARCHITECTURES, prior)
    assert isinstance(model, GraphGP)
    scaled = model.covar_module if prior is None else model.covar_module.kernels[0]
    hidden = scaled.base_kernel.store(ROWS)
    basis = np.column_stack([np.ones(len(ROWS)), hidden / hidden.shape[1] ** 0.5])
    variances = np.full(basis.shape[1], scaled.outputscale.item())
    mean = np.zeros(basis.shape[1])
    if prior is not None:
        basis = np.column_stack([basis, np.ones(len(ROWS)), prior(ROWS)])
        variances, mean = np.append(variances, [1.0, 0.25]), np.append(mean, [0.0, 0.5])
    noise, train = model.likelihood.noise.item(), basis[TRAIN]
    covariance = np.linalg.inv(np.diag(1 / variances) + train.T @ train / noise)
    weights = mean + covariance @ train.T @ (Y[:, 0].numpy() - train @ mean) / noise
    ours = model.moments(ROWS)
    np.testing.assert_allclose(ours[0], basis @ weights, rtol=1e-4, atol=1e-5)
    expected = ((basis @ covariance) * basis).sum(1)
    np.testing.assert_allclose(ours[1], expected, rtol=1e-3, atol=1e-6)


def test_it_learns_a_function_of_the_embedding() -> None:
    mean, _ = BayesianLinear(SPACE, counts).fitted(X, Y, ARCHITECTURES).moments(ROWS)
    assert (mean - TRUTH).square().mean() < 0.05


def test_fits_are_deterministic_and_models_can_be_pickled() -> None:
    factory = BayesianLinear(SPACE, counts)
    model = factory.fitted(X, Y, ARCHITECTURES)
    torch.manual_seed(5)
    again = pickle.loads(pickle.dumps(factory)).fitted(X, Y, ARCHITECTURES)
    for other in (again, pickle.loads(pickle.dumps(model))):
        for ours, theirs in zip(other.moments(ROWS), model.moments(ROWS), strict=True):
            assert ours.equal(theirs)


def test_observing_more_keeps_the_network() -> None:
    model = BayesianLinear(SPACE, counts).fitted(X[:10], Y[:10], ARCHITECTURES[:10])
    before = model.covar_module.base_kernel.store(ROWS)
    model.observe(X, Y)
    assert model.covar_module.base_kernel.store(ROWS).equal(before)
    assert (model.moments(X)[0] - Y[:, 0]).abs().mean() < 0.3
