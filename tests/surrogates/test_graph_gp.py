"""The Gaussian process is BoTorch's, only faster over pools."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, RBFKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior
from torch import Tensor

from graphbo.kernels import OneHotKernel, PathKernel, WLKernel, WLRBFKernel
from graphbo.spaces import CellSpace
from graphbo.surrogates import GraphGP, fit, log_posterior
from graphbo.surrogates.defaults import default_kernels

SPACE = CellSpace(4, ["a", "b"], on="edges")
DESIGNS = SPACE.enumerate()
ROWS = torch.tensor([design.row for design in DESIGNS], dtype=torch.float64)
TARGETS = torch.tensor(
    [
        2.0 * sum(label == "a" for *_, label in design.architecture.edges)
        - len(design.architecture)
        for design in DESIGNS
    ],
    dtype=torch.float64,
)
TARGETS = ((TARGETS - TARGETS.mean()) / TARGETS.std()).unsqueeze(-1)
TRAIN = torch.arange(0, len(ROWS), 11)
POOL = ROWS[3:40:4]


def kernels() -> dict[str, Kernel]:
    architectures = [DESIGNS[int(i)].architecture for i in TRAIN]
    first, *_, last = (make(architectures) for make in default_kernels(SPACE))
    return {"default": first, "aligned": last, "linear": WLKernel(SPACE.decode)}


def model_of(name: str = "default", n: int | None = None) -> GraphGP:
    return GraphGP(ROWS[TRAIN[:n]], TARGETS[TRAIN[:n]], kernels()[name])


@pytest.mark.parametrize("name", ["default", "aligned", "linear"])
def test_log_posterior_is_n_times_that_of_gpytorch(name: str) -> None:
    model = model_of(name)
    model.train()
    objective = ExactMarginalLogLikelihood(model.likelihood, model)
    with torch.no_grad():
        for step in range(3):
            expected = len(TRAIN) * objective(model(*model.train_inputs), model.train_targets)
            torch.testing.assert_close(log_posterior(model), expected, rtol=1e-6, atol=1e-6)
            for parameter in model.parameters():
                parameter += 0.3 * (-1) ** step * torch.rand_like(parameter)


def test_log_posterior_has_the_gradients_of_gpytorch() -> None:
    model = model_of("aligned")
    model.train()
    parameters = list(model.parameters())
    objective = ExactMarginalLogLikelihood(model.likelihood, model)
    expected = torch.autograd.grad(
        len(TRAIN) * objective(model(*model.train_inputs), model.train_targets), parameters
    )
    for ours, theirs in zip(
        torch.autograd.grad(log_posterior(model), parameters), expected, strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_log_posterior_heeds_the_active_columns_of_a_kernel() -> None:
    kernel = RBFKernel(active_dims=(0, 3))
    model = GraphGP(ROWS[TRAIN], TARGETS[TRAIN], kernel)
    model.train()
    objective = ExactMarginalLogLikelihood(model.likelihood, model)
    expected = len(TRAIN) * objective(model(*model.train_inputs), model.train_targets)
    torch.testing.assert_close(log_posterior(model), expected, rtol=1e-6, atol=1e-6)


def posterior_of_botorch(model: GraphGP, X: Tensor) -> tuple[Tensor, Tensor]:
    model.eval()
    with torch.no_grad():
        posterior = SingleTaskGP.posterior(model, X)
        return posterior.mean.squeeze(-1), posterior.distribution.covariance_matrix


@pytest.mark.parametrize("name", ["default", "aligned", "linear"])
def test_moments_are_those_of_botorch(name: str) -> None:
    model = fit(model_of(name))
    mean, variance = model.moments(ROWS)
    expected, covariance = posterior_of_botorch(model, ROWS)
    torch.testing.assert_close(mean, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(variance, covariance.diagonal(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("q", [1, 2, 4])
def test_posteriors_of_batches_are_those_of_botorch(q: int) -> None:
    model = fit(model_of("aligned"))
    X = torch.stack([POOL.roll(shift, 0) for shift in range(q)], dim=1)
    posterior = model.posterior(X)
    expected, covariance = posterior_of_botorch(model, X)
    assert posterior.mean.shape == (len(POOL), q, 1)
    torch.testing.assert_close(posterior.mean.squeeze(-1), expected, rtol=1e-5, atol=1e-6)
    ours = posterior.distribution.covariance_matrix
    torch.testing.assert_close(ours, covariance, rtol=1e-4, atol=1e-6)
    joint = model.posterior(POOL).mean
    torch.testing.assert_close(posterior.mean[:, 0], joint, rtol=1e-5, atol=1e-6)


def test_moments_with_a_few_points_are_those_of_the_joint_posterior() -> None:
    model = fit(model_of("aligned"))
    few = ROWS[[7, 60, 7]]
    mean, variance, few_mean, few_covariance, between = model.moments_with(POOL, few)
    expected, covariance = posterior_of_botorch(model, torch.cat([POOL, few]))
    n, close = len(POOL), {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(torch.cat([mean, few_mean]), expected, **close)
    torch.testing.assert_close(variance, covariance.diagonal()[:n], **close)
    torch.testing.assert_close(few_covariance, covariance[n:, n:], **close)
    torch.testing.assert_close(between, covariance[:n, n:], **close)


@pytest.mark.parametrize("kept", [0, 20_000_000], ids=["anew", "from what is kept"])
def test_moments_with_a_few_points_can_be_those_of_some_of_a_pool(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphbo.surrogates.graph_gp._KEPT", kept)
    model, few, some = fit(model_of("aligned")), ROWS[[7, 60, 7]], torch.tensor([3, 0, 5])
    for ours, theirs in zip(
        model.moments_with(POOL, few, some), model.moments_with(POOL[some], few), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def test_a_pool_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(model_of())
    X = torch.stack([POOL, POOL.flip(0)], dim=1)
    whole, parts = [model.moments(ROWS), model.posterior(X)], []
    monkeypatch.setattr("graphbo.surrogates.graph_gp._CHUNK", 3 * len(TRAIN))
    parts = [model.moments(ROWS), model.posterior(X)]
    torch.testing.assert_close(parts[0], whole[0])
    torch.testing.assert_close(parts[1].mean, whole[1].mean)
    torch.testing.assert_close(parts[1].variance, whole[1].variance)


def test_an_empty_pool_has_empty_moments() -> None:
    mean, variance = model_of().moments(ROWS[:0])
    assert mean.shape == variance.shape == (0,)


def test_variances_are_positive_even_at_the_training_points() -> None:
    model = model_of()
    model.likelihood.noise = 1e-4
    _, variance = model.moments(ROWS[TRAIN])
    assert (variance > 0).all()
    assert (variance < 0.01).all()


def test_observing_more_conditions_and_keeps_the_hyperparameters() -> None:
    model = fit(model_of(n=10))
    before = copy.deepcopy(model.state_dict())
    model.posterior(POOL)
    model.observe(ROWS[TRAIN], TARGETS[TRAIN])
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    fresh = model_of()
    fresh.load_state_dict({name: before[name] for name in fresh.state_dict()})
    for theirs, ours in zip(fresh.moments(POOL), model.moments(POOL), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(model.posterior(POOL).mean, fresh.posterior(POOL).mean)


def test_observation_noise_is_added_as_in_botorch() -> None:
    model = fit(model_of())
    X = POOL.unsqueeze(-2)
    latent, noisy = model.posterior(X), model.posterior(X, observation_noise=True)
    noise = model.likelihood.noise.detach()
    torch.testing.assert_close(noisy.variance, latent.variance + noise, rtol=1e-4, atol=1e-6)
    given = torch.full((len(X), 1, 1), 0.3, dtype=torch.float64)
    known = model.posterior(X, observation_noise=given)
    torch.testing.assert_close(known.variance, latent.variance + 0.3, rtol=1e-4, atol=1e-6)


def test_log_expected_improvement_of_botorch_works() -> None:
    model = fit(model_of("aligned"))
    best = model.train_targets.min()
    values = LogExpectedImprovement(model, best_f=best, maximize=False)(ROWS.unsqueeze(-2))
    mean, variance = model.moments(ROWS)
    normal = torch.distributions.Normal(0.0, 1.0)
    z = (best - mean) / variance.sqrt()
    improvement = variance.sqrt() * (normal.log_prob(z).exp() + z * normal.cdf(z))
    likely = improvement > 1e-10
    assert likely.sum() > 10
    torch.testing.assert_close(values[likely].exp(), improvement[likely], rtol=1e-4, atol=1e-9)
    chosen, _ = optimize_acqf_discrete(
        LogExpectedImprovement(model, best_f=best, maximize=False), q=1, choices=ROWS
    )
    torch.testing.assert_close(chosen[0], ROWS[values.argmax()])


def test_noisy_batch_expected_improvement_of_botorch_works() -> None:
    model = fit(model_of())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch warns of its own pruning
        function = qLogNoisyExpectedImprovement(
            model, X_baseline=ROWS[TRAIN], X_pending=POOL[:2], cache_root=False
        )
        values = function(torch.stack([POOL[2:6], POOL[3:7]], dim=1))
    assert values.shape == (4,)
    assert torch.isfinite(values).all()


def test_conditioning_on_observations_is_observing_them() -> None:
    model = fit(model_of(n=12))
    new, y = ROWS[TRAIN[12:]], TARGETS[TRAIN[12:]]
    for prepare in (lambda: None, lambda: model.posterior(POOL)):
        prepare()
        model.posterior(POOL)  # BoTorch needs a posterior first
        conditioned = model.condition_on_observations(new, y)
        expected = copy.deepcopy(model)
        expected.observe(torch.cat([ROWS[TRAIN[:12]], new]), torch.cat([TARGETS[TRAIN[:12]], y]))
        for X in (POOL, POOL.unsqueeze(-2)):
            ours, theirs = conditioned.posterior(X), expected.posterior(X)
            torch.testing.assert_close(ours.mean, theirs.mean, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(ours.variance, theirs.variance, rtol=1e-3, atol=1e-5)


def test_fantasies_at_a_point_reduce_its_variance() -> None:
    model = fit(model_of())
    X = POOL[:3].unsqueeze(-2)
    sampler = SobolQMCNormalSampler(torch.Size([4]), seed=0)
    fantasies = model.fantasize(X, sampler=sampler)
    posterior = fantasies.posterior(X)
    assert posterior.mean.shape == (4, 3, 1, 1)
    assert (posterior.variance < model.posterior(X).variance).all()
    assert model.train_inputs[0].shape == ROWS[TRAIN].shape


@pytest.mark.parametrize("name", ["default", "aligned", "linear"])
def test_models_survive_pickling_and_copying(name: str) -> None:
    model = fit(model_of(name))
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        for theirs, ours in zip(other.moments(POOL), model.moments(POOL), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        torch.testing.assert_close(log_posterior(other), log_posterior(model), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["default", "aligned", "linear"])
def test_fitting_raises_the_log_posterior_to_where_it_is_flat(name: str) -> None:
    model = model_of(name)
    before = log_posterior(model).item()
    fit(model, max_evaluations=200)
    after = log_posterior(model)
    assert after.item() > before + 1
    assert not model.training
    gradients = torch.autograd.grad(after, list(model.parameters()))
    assert max(gradient.abs().max().item() for gradient in gradients) < 0.05


def test_fitting_recovers_the_hyperparameters_of_a_sample() -> None:
    torch.manual_seed(0)
    rows = ROWS[torch.randperm(len(ROWS))[:200]]
    truth = GraphGP(rows, torch.zeros(200, 1).double(), OneHotKernel([3] * 6))
    lengthscale = torch.full((6, 3), 30.0)
    lengthscale[:2] = 0.8  # only the first two decisions matter
    truth.covar_module.base_kernel.lengthscale = lengthscale.reshape(1, -1)
    with torch.no_grad():
        gram = truth.covar_module(rows).to_dense() + 0.01 * torch.eye(200)
        y = torch.linalg.cholesky(gram) @ torch.randn(200, 1, dtype=torch.float64)
    model = fit(GraphGP(rows, y, OneHotKernel([3] * 6)), max_evaluations=150)
    fitted = model.covar_module.base_kernel.lengthscale.detach().reshape(6, 3)
    assert fitted[:2].median() < 0.4 * fitted[2:].median()
    assert 0.005 < model.likelihood.noise.item() < 0.02
    assert 0.2 < model.covar_module.outputscale.item() < 5


def test_fitting_leaves_what_is_fixed() -> None:
    model = model_of()
    model.likelihood.raw_noise.requires_grad_(False)
    before = model.likelihood.noise.item()
    fit(model)
    assert model.likelihood.noise.item() == before


def test_lengthscales_start_at_typical_distances_where_their_prior_has_its_mode() -> None:
    model = model_of()
    kernel = model.covar_module.base_kernel
    torch.testing.assert_close(kernel.lengthscale, kernel.typical_lengthscale(ROWS[TRAIN]))
    prior = kernel.lengthscale_prior
    density = [
        prior.log_prob(factor * kernel.lengthscale).sum().item() for factor in (0.9, 1.0, 1.1)
    ]
    assert density[1] > max(density[0], density[2])


def test_a_prior_of_the_users_own_stays() -> None:
    prior = GammaPrior(2.0, 1.0)
    kernel = WLRBFKernel(SPACE.decode, lengthscale_prior=prior)
    model = fit(GraphGP(ROWS[TRAIN], TARGETS[TRAIN], kernel))
    assert model.covar_module.base_kernel.lengthscale_prior is prior


@pytest.mark.parametrize(
    "kernel",
    [
        RBFKernel(active_dims=(0, 1)),
        WLKernel(SPACE.decode) * OneHotKernel([3] * 6),
        WLRBFKernel(SPACE.decode) + RBFKernel(lengthscale_constraint=GreaterThan(0.1)),
        PathKernel(SPACE.decode, ["/a", "/b"]),
    ],
    ids=["gpytorch", "product", "sum", "paths"],
)
def test_any_kernel_of_gpytorch_will_do(kernel: Kernel) -> None:
    model = GraphGP(ROWS[TRAIN], TARGETS[TRAIN], kernel)
    before = log_posterior(model).item()
    fit(model)
    assert log_posterior(model).item() >= before
    mean, _ = model.moments(ROWS)
    assert torch.corrcoef(torch.stack([mean, TARGETS.squeeze(-1)]))[0, 1] > 0.3


def test_fit_serves_the_models_of_botorch() -> None:
    x = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.sin(6 * x.sum(-1, keepdim=True))
    model = SingleTaskGP(x, y)
    before = log_posterior(model).item()
    assert log_posterior(fit(model)).item() > before + 1
    assert (
        model.likelihood.noise >= model.likelihood.noise_covar.raw_noise_constraint.lower_bound
    ).all()
