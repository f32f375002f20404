"""Expected hypervolume improvement, against BoTorch's and against what can be counted."""

from __future__ import annotations

import pytest
import torch
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.models.deterministic import GenericDeterministicModel
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.utils.multi_objective.box_decompositions import NondominatedPartitioning
from gpytorch.distributions import MultitaskMultivariateNormal
from torch import Tensor

from graphbo.acquisition.hypervolume import (
    KnownOutcome,
    log_expected_hypervolume_improvement,
    log_noisy_expected_hypervolume_improvement,
    mixture,
    reference_point,
)
from graphbo.kernels import OneHotKernel
from graphbo.surrogates import GraphGP

TARGETS = torch.tensor([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [2.5, 2.5]], dtype=torch.float64)
REFERENCE = torch.tensor([3.0, 3.0], dtype=torch.float64)


class Given(Model):
    """Gives moments that were chosen, to be maximised."""

    num_outputs = 2

    def __init__(self, means: Tensor, variances: Tensor) -> None:
        super().__init__()
        self.means, self.variances = means, variances

    def posterior(self, X: Tensor, *args: object, **kwargs: object) -> GPyTorchPosterior:
        covariance = torch.diag_embed(self.variances)
        return GPyTorchPosterior(MultitaskMultivariateNormal(-self.means.unsqueeze(-2), covariance))


@pytest.mark.parametrize("m", [2, 3])
def test_the_closed_form_is_botorchs(m: int) -> None:
    generator = torch.Generator().manual_seed(m)
    targets = torch.randn(8, m, generator=generator, dtype=torch.float64)
    means = torch.randn(30, m, generator=generator, dtype=torch.float64)
    variances = torch.rand(30, m, generator=generator, dtype=torch.float64) + 0.05
    reference = reference_point(targets)
    ours = log_expected_hypervolume_improvement(means, variances, targets, reference)
    partitioning = NondominatedPartitioning(-reference, Y=-targets)
    theirs = ExpectedHypervolumeImprovement(
        Given(means, variances), (-reference).tolist(), partitioning
    )
    expected = theirs(torch.zeros(30, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(ours.exp(), expected, rtol=1e-6, atol=1e-9)


def test_without_uncertainty_it_is_the_improvement_itself() -> None:
    means = torch.tensor([[0.0, 1.0], [0.5, 0.5], [-1.0, 2.5], [2.0, 2.0]], dtype=torch.float64)
    # Between the points of the front, before its middle, beyond its end; and behind it.
    found = log_expected_hypervolume_improvement(
        means, torch.zeros_like(means), TARGETS, REFERENCE
    ).exp()
    expected = [1.0, 0.5 * 0.5 + 2 * 0.5, 0.5, 0.0]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("m", [2, 3])
def test_what_lacks_an_outcome_improves_nothing_whichever_it_is(m: int) -> None:
    targets = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, 0.2]], dtype=torch.float64)[:, :m]
    means = torch.full((m + 1, m), -1.0, dtype=torch.float64)
    means[range(m), range(m)] = torch.inf
    variances = torch.zeros_like(means)
    found = log_expected_hypervolume_improvement(
        means, variances, targets, torch.full((m,), 2.0, dtype=torch.float64)
    )
    assert found[:-1].tolist() == [-torch.inf] * m
    assert found[-1].isfinite()


def test_what_is_far_behind_is_still_ranked() -> None:
    means = torch.tensor([[9.0, 9.0], [30.0, 30.0], [60.0, 60.0]], dtype=torch.float64)
    found = log_expected_hypervolume_improvement(
        means, torch.full_like(means, 0.01), TARGETS, REFERENCE
    )
    assert found.isfinite().all()
    assert found[0] > found[1] > found[2]


def test_the_reference_point_is_a_tenth_of_the_range_behind_the_front() -> None:
    assert reference_point(TARGETS).tolist() == pytest.approx([2.2, 2.2])
    single = torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 1.0]], dtype=torch.float64)
    assert reference_point(single).tolist() == [2.0, 3.0], "the worst, where one point is the front"


def processes(rows: Tensor, targets: Tensor) -> list[GraphGP]:
    return [GraphGP(rows, targets[:, [k]], OneHotKernel([4, 4])).eval() for k in range(2)]


ROWS = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)).double()


def noisy(observed: int = 8, pending: Tensor | None = None, known: bool = False) -> Tensor:
    targets = torch.stack([ROWS.sum(1) / 3 - 1, (ROWS[:, 0] - ROWS[:, 1]) / 2], dim=1)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    seen = order[:observed]
    models: list[GraphGP | KnownOutcome] = [*processes(ROWS[seen], targets[seen])]
    if known:
        models[1] = KnownOutcome(ROWS, targets[:, 1])
    return log_noisy_expected_hypervolume_improvement(
        models, ROWS, targets[seen], ROWS[seen], reference_point(targets[seen]), pending
    )


def test_the_noisy_one_leaves_the_random_state_alone_and_compiles_nothing() -> None:
    state, compiled = torch.get_rng_state(), (logei._C, logei._load_attempted)
    first = noisy()
    assert torch.equal(torch.get_rng_state(), state)
    assert (logei._C, logei._load_attempted) == compiled
    assert torch.equal(noisy(), first), "the same again"


def test_a_point_like_one_that_is_pending_adds_little() -> None:
    alone = noisy()
    best = int(alone.argmax())
    beside = noisy(pending=ROWS[[best]])
    assert beside[best] < alone[best] - 1
    assert int(beside.argmax()) != best


def test_a_known_outcome_takes_the_place_of_a_model() -> None:
    found = noisy(known=True)
    assert found.isfinite().all()
    assert not torch.equal(found, noisy())
    outcome = KnownOutcome(ROWS, ROWS[:, 0])
    batch = ROWS.reshape(8, 2, 2)
    assert outcome(batch).shape == (8, 2, 1)
    assert torch.equal(
        outcome.posterior(batch).mean,
        GenericDeterministicModel(lambda X: X[..., :1]).posterior(batch).mean,
    )


def test_a_mixture_averages_what_the_logarithms_are_of() -> None:
    logs = [torch.tensor([1.0, 3.0]).log(), torch.tensor([2.0, 5.0]).log()]
    torch.testing.assert_close(mixture(logs).exp(), torch.tensor([1.5, 4.0]))
