"""A prediction made in advance as the prior mean."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from graphbo.acquisition import ACQUISITIONS, score
from graphbo.architecture import Architecture
from graphbo.kernels import WLRBFKernel
from graphbo.spaces import CellSpace, Design
from graphbo.surrogates import (
    GraphGP,
    GraphSurrogate,
    MostLikely,
    RowPredictor,
    explain,
    feature_effects,
    fit,
    log_likelihood,
    log_posterior,
)
from graphbo.surrogates.defaults import weisfeiler_lehman
from graphbo.surrogates.prior import factors

SPACE = CellSpace(4, ["a", "b"], on="edges")
DESIGNS = SPACE.enumerate()
ROWS = torch.tensor([design.row for design in DESIGNS], dtype=torch.float64)
TRAIN = torch.arange(0, len(ROWS), 11)


def count(architecture: Architecture, operation: str) -> int:
    return sum(label == operation for *_, label in architecture.edges)


def predictor(architectures: Sequence[Architecture]) -> Tensor:
    return torch.tensor([1.5 - count(a, "a") for a in architectures], dtype=torch.float64)


def target(design: Design) -> float:
    return 2.0 * (1.5 - count(design.architecture, "a")) + 0.6 * count(design.architecture, "b")


TARGETS = torch.tensor([[target(design)] for design in DESIGNS], dtype=torch.float64)
TARGETS = (TARGETS - TARGETS.mean()) / TARGETS.std()
PRIOR = RowPredictor(SPACE.decode, predictor)
POOL = ROWS[3:60:4]


def process(n: int | None = None, train: Tensor = TRAIN) -> GraphGP:
    chosen = train[:n]
    return GraphGP(ROWS[chosen], TARGETS[chosen], WLRBFKernel(SPACE.decode), PRIOR)


def closed_form(model: GraphGP, X: Tensor) -> tuple[np.ndarray, np.ndarray, float]:
    """The joint posterior and the marginal likelihood by the formulas, a and b as coefficients."""
    train, y = model.train_inputs[0], model.train_targets.numpy()
    both = torch.cat([train, X])
    scaled = model.covar_module.kernels[0]
    with torch.no_grad():
        f = scaled(both).to_dense().numpy()
    p = PRIOR(both).numpy()
    basis = np.stack([np.ones_like(p), p], axis=1)
    covariance = f + basis @ np.diag([1.0, 0.25]) @ basis.T
    mean, n = basis @ np.array([0.0, 0.5]), len(y)
    gram = covariance[:n, :n] + model.likelihood.noise.item() * np.eye(n)
    solved = np.linalg.solve(gram, np.column_stack([y - mean[:n], covariance[:n, n:]]))
    density = -0.5 * (y - mean[:n]) @ solved[:, 0] - 0.5 * np.linalg.slogdet(2 * np.pi * gram)[1]
    cross = covariance[n:, :n]
    return mean[n:] + cross @ solved[:, 0], covariance[n:, n:] - cross @ solved[:, 1:], density


def test_the_marginal_likelihood_is_the_closed_form_and_that_of_gpytorch() -> None:
    model = process()
    _, _, expected = closed_form(model, POOL)
    assert log_likelihood(model).item() == pytest.approx(expected)
    model.train()
    objective = ExactMarginalLogLikelihood(model.likelihood, model)
    theirs = len(TRAIN) * objective(model(*model.train_inputs), model.train_targets)
    torch.testing.assert_close(log_posterior(model), theirs, rtol=1e-6, atol=1e-6)


def test_moments_and_posteriors_are_the_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(process())
    mean, covariance, _ = closed_form(model, POOL)
    for chunk in (4_000_000, 3 * len(TRAIN)):
        monkeypatch.setattr("graphbo.surrogates.graph_gp._CHUNK", chunk)
        for kept in (0, 20_000_000):  # anew, and by a `Reduction`
            monkeypatch.setattr("graphbo.surrogates.graph_gp._KEPT", kept)
            ours = model.moments(POOL)
            np.testing.assert_allclose(ours[0], mean, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(ours[1], covariance.diagonal(), rtol=1e-5, atol=1e-8)
        pairs = model.posterior(POOL[:-1].reshape(-1, 2, POOL.shape[1]))
        np.testing.assert_allclose(pairs.mean.flatten(), mean[:-1], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(
            pairs.distribution.covariance_matrix[1], covariance[2:4, 2:4], rtol=1e-5, atol=1e-8
        )
    with torch.no_grad():
        joint = model.posterior(POOL)
        np.testing.assert_allclose(joint.mean.squeeze(-1), mean, rtol=1e-5, atol=1e-6)


def test_moments_with_a_few_points_are_the_closed_form() -> None:
    model = fit(process())
    mean, covariance, _ = closed_form(model, POOL)
    n = len(POOL) - 3
    close = {"rtol": 1e-5, "atol": 1e-8}
    for some in (None, torch.arange(n)):  # anew, and by a `Reduction`
        parts = model.moments_with(POOL[:n], POOL[n:], some)
        ours = [part.detach().numpy() for part in parts]
        np.testing.assert_allclose(ours[0], mean[:n], **close)
        np.testing.assert_allclose(ours[1], covariance.diagonal()[:n], **close)
        np.testing.assert_allclose(ours[2], mean[n:], **close)
        np.testing.assert_allclose(ours[3], covariance[n:, n:], **close)
        np.testing.assert_allclose(ours[4], covariance[:n, n:], **close)


def test_growing_equals_computing_anew() -> None:
    model = fit(process(8))
    for n in (8, 9, 13, 20):
        model.observe(ROWS[TRAIN[:n]], TARGETS[TRAIN[:n]])
        mean, covariance, _ = closed_form(model, POOL)
        ours = model.moments(POOL)
        np.testing.assert_allclose(ours[0], mean, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(ours[1], covariance.diagonal(), rtol=1e-5, atol=1e-8)


def test_many_observations_that_all_induce_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(process())
    mean, covariance, _ = closed_form(model, POOL)
    monkeypatch.setattr("graphbo.surrogates.graph_gp._LARGEST_EXACT", 5)
    monkeypatch.setattr("graphbo.surrogates.graph_gp._INDUCING", len(TRAIN))
    low_rank = [model.moments(POOL), model.moments_with(POOL, POOL[:3])]
    for ours in low_rank:
        np.testing.assert_allclose(ours[0].detach(), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours[1].detach(), covariance.diagonal(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(low_rank[1][2].detach(), mean[:3], rtol=1e-4, atol=1e-5)


def test_the_factor_and_the_offset_are_integrated_over_not_fitted() -> None:
    plain = GraphGP(ROWS[TRAIN], TARGETS[TRAIN], WLRBFKernel(SPACE.decode))
    names = {name.replace(".kernels.0.", ".") for name, _ in process().named_parameters()}
    assert names == {name for name, _ in plain.named_parameters()}


def test_the_posterior_of_factor_and_offset_is_that_of_linear_regression() -> None:
    p, y = torch.randn(2, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = 0.3 + 1.2 * p + 0.1 * y
    mean, covariance = factors(p, y, 0.01)
    basis = np.stack([np.ones(30), p.numpy()], axis=1)
    precision = np.diag([1.0, 4.0]) + basis.T @ basis / 0.01
    np.testing.assert_allclose(covariance, np.linalg.inv(precision))
    expected = np.linalg.solve(precision, basis.T @ y.numpy() / 0.01 + [0.0, 2.0])
    np.testing.assert_allclose(mean, expected)


def test_offsets_of_the_targets_hardly_change_the_order_of_predictions() -> None:
    """As an absolute prior mean would: all but the first observation would look bad."""
    model = fit(process(6))
    before = model.moments(POOL)[0]
    model.observe(ROWS[TRAIN[:6]], TARGETS[TRAIN[:6]] + 1.0)
    after = model.moments(POOL)[0]
    torch.testing.assert_close(after - before, torch.ones_like(before), atol=0.35, rtol=0)


def test_a_good_prior_predicts_better_from_few_observations() -> None:
    designs = [DESIGNS[int(i)] for i in TRAIN[:6]]
    values = [target(design) for design in designs]
    kernels = [WLRBFKernel(SPACE.decode)]
    truth = np.array([target(design) for design in DESIGNS])
    means = [
        GraphSurrogate(SPACE, kernels, prior=prior).fit(designs, values).predict(DESIGNS)[0]
        for prior in (None, predictor)
    ]
    without, with_prior = (np.corrcoef(mean, truth)[0, 1] for mean in means)
    assert with_prior > max(without, 0.9)


def test_models_survive_pickling_and_copying() -> None:
    model = fit(process())
    expected = model.moments(POOL)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        for theirs, ours in zip(other.moments(POOL), expected, strict=True):
            torch.testing.assert_close(theirs, ours, rtol=0, atol=0)


@pytest.mark.parametrize("kernel", [None, MostLikely([weisfeiler_lehman(SPACE, 1)])])
def test_one_observation_is_enough_with_a_prior(kernel: MostLikely | None) -> None:
    surrogate = GraphSurrogate(SPACE, kernel and [kernel], prior=predictor).fit([DESIGNS[40]], [3])
    mean, deviation = surrogate.predict(DESIGNS)
    assert (deviation > 0).all()
    assert np.corrcoef(mean, predictor([d.architecture for d in DESIGNS]))[0, 1] > 0.8


def test_length_scales_start_where_the_space_says_not_what_is_observed_first() -> None:
    """What a prediction likes best is alike, and would say that everything else is far away."""
    first, *others = sorted(DESIGNS, key=lambda design: predictor([design.architecture]).item())
    factory = weisfeiler_lehman(SPACE)
    starts = [
        GraphSurrogate(SPACE, [factory], prior=predictor).fit([design], [1.0]).models[0]
        for design in (first, others[-1])
    ]
    scales = [model.covar_module.kernels[0].base_kernel.lengthscale for model in starts]
    torch.testing.assert_close(scales[0], scales[1], rtol=0, atol=0)
    of_the_space = factory([]).typical_lengthscale(ROWS)
    assert (scales[0] / of_the_space - 1).abs().max() < 0.25


def test_designs_are_ranked_without_any_observation() -> None:
    surrogate = GraphSurrogate(SPACE, prior=predictor)
    scores = surrogate.prior_scores(DESIGNS)
    assert surrogate.has_prior
    assert not GraphSurrogate(SPACE).has_prior
    np.testing.assert_allclose(scores, predictor([design.architecture for design in DESIGNS]))
    with pytest.raises(ValueError, match="no prior"):
        GraphSurrogate(SPACE).prior_scores(DESIGNS)


def test_effects_of_features_leave_the_prior_where_it_is() -> None:
    """What a feature adds is told with the prediction in advance held fixed."""
    surrogate = GraphSurrogate(SPACE, [weisfeiler_lehman(SPACE, 0)], prior=predictor)
    designs = [DESIGNS[int(i)] for i in TRAIN]
    surrogate.fit(designs, [target(design) for design in designs])
    effects = {effect.name: effect.effect for effect in feature_effects(surrogate)}
    assert effects["b"] > 0, "the prior does not know of it"
    assert abs(effects["a"]) < 0.2 * effects["b"], "the prior accounts for it"
    design = designs[5]
    explanation = explain(surrogate, design)
    assert explanation.prediction == pytest.approx(surrogate.predict([design])[0][0], rel=1e-5)


def test_a_predictor_gives_one_value_for_each_architecture() -> None:
    wrong = RowPredictor(SPACE.decode, lambda architectures: torch.ones(len(architectures), 2))
    with pytest.raises(ValueError, match="one value for each architecture; this one gives 2"):
        wrong(ROWS)


@pytest.mark.parametrize("kind", ACQUISITIONS)
def test_acquisition_functions_score_with_a_prior(kind: str) -> None:
    model = process(8).eval()  # the fitted one is sure of everything
    alone = score([model], POOL, kind)
    best = int(alone.argmax())
    waiting = score([model], POOL, kind, POOL[[best]])
    assert alone.isfinite().all()
    assert waiting.isfinite().all()
    assert int(waiting.argmax()) != best, "a point that is pending has little to add"
