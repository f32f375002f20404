"""An ensemble of small networks as a model."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from graphbo.acquisition import ACQUISITIONS, score
from graphbo.architecture import Architecture
from graphbo.spaces import CellSpace
from graphbo.surrogates import (
    DeepEnsemble,
    EnsembleModel,
    GraphSurrogate,
    ModelFactory,
    PathEncoding,
    RowPredictor,
    SurrogateModel,
    feature_effects,
)

SPACE = CellSpace(4, ["a", "b"], on="edges")
DESIGNS = SPACE.enumerate()
ROWS = torch.tensor([design.row for design in DESIGNS], dtype=torch.float64)
TRAIN = list(range(0, len(ROWS), 7))
ARCHITECTURES = [DESIGNS[i].architecture for i in TRAIN]
X = ROWS[TRAIN]
FEW = ROWS[[3, 50, 3]]


def counts(architectures: Sequence[Architecture]) -> Tensor:
    labels = [[label for *_, label in a.edges] for a in architectures]
    return torch.tensor([[x.count("a"), x.count("b")] for x in labels], dtype=torch.float64)


TRUTH = counts([design.architecture for design in DESIGNS]) @ torch.tensor([1.0, -2.0]).double()
TRUTH = (TRUTH - TRUTH.mean()) / TRUTH.std()
Y = TRUTH[TRAIN].unsqueeze(-1)


def fewer_b(architectures: Sequence[Architecture]) -> Tensor:
    return 1.0 - counts(architectures)[:, 1]


PRIOR = RowPredictor(SPACE.decode, fewer_b)


def fitted(prior: RowPredictor | None = None, members: int = 5) -> EnsembleModel:
    return DeepEnsemble(SPACE, counts, members=members).fitted(X, Y, ARCHITECTURES, prior)


def test_it_is_a_model_and_its_maker_a_factory() -> None:
    assert isinstance(DeepEnsemble(SPACE, counts), ModelFactory)
    model = fitted()
    assert isinstance(model, SurrogateModel)
    assert model.num_outputs == 1
    assert model.train_inputs[0].equal(X)
    assert model.train_targets.equal(Y.squeeze(-1))


@pytest.mark.parametrize("prior", [None, PRIOR])
def test_moments_are_those_of_the_members(prior: RowPredictor | None) -> None:
    model = fitted(prior)
    members = model.predictions(torch.cat([ROWS, FEW])).numpy()
    assert members.shape == (5, len(ROWS) + 3)
    n, floor = len(ROWS), 1e-4
    covariance = np.cov(members.T)
    mean, variance, few_mean, few_covariance, between = model.moments_with(ROWS, FEW)
    np.testing.assert_allclose(mean, members.mean(0)[:n], atol=1e-9)
    np.testing.assert_allclose(variance, covariance.diagonal()[:n] + floor, atol=1e-9)
    np.testing.assert_allclose(few_mean, members.mean(0)[n:], atol=1e-9)
    np.testing.assert_allclose(few_covariance, covariance[n:, n:] + floor * np.eye(3), atol=1e-9)
    np.testing.assert_allclose(between, covariance[:n, n:], atol=1e-9)
    for ours, theirs in zip(model.moments(ROWS), (mean, variance), strict=True):
        torch.testing.assert_close(ours, theirs)
    some = torch.tensor([4, 1])
    for ours, theirs in zip(
        model.moments_with(ROWS, FEW, some), model.moments_with(ROWS[some], FEW), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_posteriors_agree_with_the_moments() -> None:
    model = fitted()
    batch = torch.stack([FEW, FEW.flip(0), ROWS[:3]])
    posterior = model.posterior(batch)
    assert posterior.mean.shape == (3, 3, 1)
    _, _, mean, covariance, _ = model.moments_with(ROWS, FEW)
    torch.testing.assert_close(posterior.mean[0, :, 0], mean)
    torch.testing.assert_close(posterior.distribution.covariance_matrix[0], covariance)
    assert posterior.rsample(torch.Size([4])).shape == (4, 3, 3, 1)
    torch.testing.assert_close(model.posterior(FEW).mean[:, 0], mean)
    with pytest.raises(NotImplementedError, match="plain posterior"):
        model.posterior(FEW, observation_noise=True)


@pytest.mark.parametrize("prior", [None, PRIOR])
def test_it_learns_and_is_unsure_where_it_has_seen_nothing(prior: RowPredictor | None) -> None:
    mean, variance = fitted(prior).moments(ROWS)
    assert (mean - TRUTH).square().mean() < 0.1
    few = DeepEnsemble(SPACE, counts).fitted(X[:3], Y[:3], ARCHITECTURES[:3], prior)
    assert few.moments(ROWS)[1].mean() > 2 * variance.mean()


def test_it_is_trained_anew_on_what_is_observed_and_only_then() -> None:
    model = DeepEnsemble(SPACE, counts).fitted(X[:10], Y[:10], ARCHITECTURES[:10])
    model.moments(ROWS)
    networks = model._networks()
    assert model._networks() is networks
    model.observe(X, Y)
    for ours, theirs in zip(model.moments(ROWS), fitted().moments(ROWS), strict=True):
        assert ours.equal(theirs)


def test_fits_are_deterministic_and_models_can_be_pickled() -> None:
    expected = fitted(PRIOR).moments(ROWS)
    torch.manual_seed(7)
    model = fitted(PRIOR)
    for other in (model, pickle.loads(pickle.dumps(model))):
        for ours, theirs in zip(other.moments(ROWS), expected, strict=True):
            assert ours.equal(theirs)


@pytest.mark.parametrize("kind", ACQUISITIONS)
@pytest.mark.parametrize("pending", [None, FEW[:2]], ids=["none pending", "two pending"])
def test_acquisition_functions_score_with_it(kind: str, pending: Tensor | None) -> None:
    scores = score([fitted()], ROWS[:40], kind, pending)
    assert scores.shape == (40,)
    assert scores.isfinite().all()


def test_one_observation_is_enough_with_a_prior() -> None:
    model = DeepEnsemble(SPACE, counts).fitted(X[:1], 0 * Y[:1], ARCHITECTURES[:1], PRIOR)
    mean, variance = model.moments(ROWS)
    assert torch.corrcoef(torch.stack([mean, PRIOR(ROWS)]))[0, 1] > 0.5
    assert (variance > 1e-3).any()


def test_its_predictions_have_no_features_to_explain() -> None:
    designs = [DESIGNS[i] for i in TRAIN]
    surrogate = GraphSurrogate(SPACE, [DeepEnsemble(SPACE, counts)])
    surrogate.fit(designs, Y.squeeze(-1).tolist())
    with pytest.raises(ValueError, match="only Gaussian processes have features"):
        feature_effects(surrogate)


def test_training_on_a_hundred_observations_is_fast() -> None:
    factory = DeepEnsemble(SPACE, PathEncoding(SPACE.operations))
    rows, targets = ROWS[:100], TRUTH[:100].unsqueeze(-1)
    factory.fitted(rows[:10], targets[:10], ()).moments(ROWS[:1])
    start = time.process_time()
    factory.fitted(rows, targets, ()).moments(ROWS[:1])
    assert time.process_time() - start < 1, "about a fifth of a second on an idle core"


def test_an_ensemble_has_several_members() -> None:
    with pytest.raises(ValueError, match="at least 2 members; got 1"):
        fitted(members=1)
