"""Scores against closed forms."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from graphbo.acquisition import ACQUISITIONS, score
from graphbo.acquisition.pending import log_h
from graphbo.kernels import OneHotKernel, WLRBFKernel
from graphbo.spaces import CellSpace
from graphbo.surrogates import GraphGP, NormalScores, fit

SPACE = CellSpace(4, ["a", "b"], on="edges")
ROWS = torch.tensor([design.row for design in SPACE.enumerate()], dtype=torch.float64)
TRAIN = ROWS[5::17]
VALUES = [float((row * torch.tensor([3, -2, 1, 4, 2, -3])).sum()) for row in TRAIN]
TARGETS = torch.as_tensor(NormalScores(VALUES).scores).unsqueeze(-1)


@pytest.fixture(scope="module")
def models() -> list[GraphGP]:
    return [
        fit(GraphGP(TRAIN, TARGETS, WLRBFKernel(SPACE.decode))),
        fit(GraphGP(TRAIN, TARGETS, OneHotKernel([3] * 6))),
    ]


def expected_improvement(model: GraphGP, X: Tensor) -> np.ndarray:
    """The textbook's closed form, for minimisation."""
    mean, variance = (moment.numpy() for moment in model.moments(X))
    deviation = np.sqrt(variance)
    z = (TARGETS.min().item() - mean) / deviation
    result: np.ndarray = deviation * (z * norm.cdf(z) + norm.pdf(z))
    return result


def test_analytic_scores_are_the_closed_form(models: list[GraphGP]) -> None:
    for model in models:
        expected = expected_improvement(model, ROWS)
        likely = expected > 1e-8
        values = score([model], ROWS).numpy()
        np.testing.assert_allclose(np.exp(values[likely]), expected[likely], rtol=1e-4)
        assert np.isfinite(values).all(), "far from all improvement the logarithm stays finite"


def test_scores_average_over_models(models: list[GraphGP]) -> None:
    expected = np.mean([expected_improvement(model, ROWS) for model in models], axis=0)
    likely = expected > 1e-8
    values = score(models, ROWS).numpy()
    np.testing.assert_allclose(np.exp(values[likely]), expected[likely], rtol=1e-4)
    torch.testing.assert_close(score(models[:1] * 3, ROWS), score(models[:1], ROWS))


def test_monte_carlo_without_pending_points_is_close_to_the_closed_form(
    models: list[GraphGP],
) -> None:
    analytic, sampled = score(models, ROWS), score(models, ROWS, "qlogei")
    top = analytic.topk(50).indices
    assert (analytic - sampled)[top].abs().max() < 0.3
    assert sampled[analytic.argmax()] > sampled.topk(5).values[-1] - 0.1


def test_without_noise_the_noisy_version_is_the_plain_one(models: list[GraphGP]) -> None:
    model = copy.deepcopy(models[1])
    model.likelihood.noise = 1e-4
    plain, noisy = score([model], ROWS, "qlogei"), score([model], ROWS, "qlognei")
    top = plain.topk(30).indices
    assert (plain - noisy)[top].abs().max() < 0.3


def test_the_sampled_kind_scores_a_point_together_with_those_pending(
    models: list[GraphGP],
) -> None:
    alone = score(models, ROWS, "qlogei")
    best = int(alone.argmax())
    together = score(models, ROWS, "qlogei", ROWS[[best]])
    # The score is the improvement of a set; the pending point and its twin are one point.
    # (BoTorch smooths the maximum, hence the tolerance.)
    assert together[best] == pytest.approx(alone[best].item(), abs=0.05)
    assert (together >= alone[best] - 0.05).all()
    assert together[best] < together.median()
    assert together.max() > alone[best] + 0.1


def test_under_noise_a_pending_point_leaves_nothing_to_its_twin(models: list[GraphGP]) -> None:
    alone = score(models, ROWS, "qlognei")
    best = int(alone.argmax())
    together = score(models, ROWS, "qlognei", ROWS[[best]])
    assert together[best] < alone[best] - 3
    assert together.argmax() != best


def test_with_pending_points_the_analytic_kind_is_what_a_point_adds_to_them(
    models: list[GraphGP],
) -> None:
    pending, best = ROWS[[3, 50]], float(models[0].train_targets.min())
    values = score(models[:1], ROWS, "logei", pending)
    for i in values.topk(5).indices.tolist():
        joint = models[0].posterior(torch.cat([pending, ROWS[[i]]]).unsqueeze(0))
        torch.manual_seed(0)
        samples = joint.rsample(torch.Size([200_000])).squeeze(-1).squeeze(1)
        incumbent = samples[:, :2].min(-1).values.clamp_max(best)
        brute_force = (incumbent - samples[:, 2]).clamp_min(0).mean().log()
        assert values[i] == pytest.approx(brute_force.item(), abs=0.05)


def test_a_pending_point_that_is_no_result_takes_nothing_from_others(
    models: list[GraphGP],
) -> None:
    # What is expected of an improvement once its value is known is what is expected now.
    alone, pending = score(models, ROWS), ROWS[score(models, ROWS).topk(3).indices]
    unfinished = torch.zeros(3, dtype=torch.bool)
    values = score(models, ROWS, pending=pending, final=unfinished)
    open_, near = ~torch.isin(torch.arange(len(ROWS)), alone.topk(3).indices), alone > -4
    torch.testing.assert_close(values[open_ & near], alone[open_ & near], rtol=0.0, atol=0.2)
    assert values[open_].argmax() == alone[open_].argmax()
    some = score(models, ROWS, pending=pending, final=torch.tensor([True, False, False]))
    assert (some <= values + 0.1)[open_ & near].all()


def test_a_pending_point_adds_nothing_to_itself(models: list[GraphGP]) -> None:
    alone = score(models, ROWS)
    best = int(alone.argmax())
    with_it = score(models, ROWS, "logei", ROWS[[best]])
    assert with_it[best] < alone[best] - 3
    assert with_it.argmax() != best
    assert (with_it <= alone + 0.05).all()


def test_beside_pending_points_the_best_of_a_large_pool_are_scored_and_the_rest_is_bounded(
    models: list[GraphGP], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, pending, whole = as_a_large_pool(models, monkeypatch)
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._BLOCK", 32)
    quick = score(models, ROWS, "logei", pending)
    best = whole.topk(64).indices
    torch.testing.assert_close(quick[best], whole[best])
    torch.testing.assert_close(quick.topk(64).values, whole.topk(64).values)
    bounded = quick == alone
    assert 0 < bounded.sum() < len(ROWS) - 64
    assert quick[bounded].max() < quick.topk(64).values.min()
    torch.testing.assert_close(quick, score(models, ROWS, "logei", pending, bounds=alone))


def test_where_some_points_are_blocked_the_best_of_the_others_is_found_with_less_work(
    models: list[GraphGP], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, pending, whole = as_a_large_pool(models, monkeypatch)
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._FIRST_OPEN", 8)
    blocked = torch.zeros(len(ROWS), dtype=torch.bool)
    blocked[alone.topk(20).indices] = blocked[whole.topk(5).indices] = True
    quick = score(models, ROWS, "logei", pending, blocked=blocked)
    assert torch.equal(quick[blocked], alone[blocked])
    best = int(whole.masked_fill(blocked, -math.inf).argmax())
    assert int(quick.masked_fill(blocked, -math.inf).argmax()) == best
    torch.testing.assert_close(quick[best], whole[best])
    assert (quick == alone).sum() > (score(models, ROWS, "logei", pending) == alone).sum()


def as_a_large_pool(
    models: list[GraphGP], monkeypatch: pytest.MonkeyPatch
) -> tuple[Tensor, Tensor, Tensor]:
    """Return values alone, pending rows and values beside them; later calls score but the best."""
    alone = score(models, ROWS)
    pending = ROWS[alone.topk(3).indices]
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._FEW", len(ROWS))
    whole = score(models, ROWS, "logei", pending)
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._FEW", 100)
    return alone, pending, whole


def test_no_pending_points_are_like_none(models: list[GraphGP]) -> None:
    torch.testing.assert_close(score(models, ROWS, "logei", ROWS[:0]), score(models, ROWS))


@pytest.mark.parametrize("z", [-1e5, -200.0, -30.0, -1.001, -0.999, 0.0, 3.0])
def test_the_closed_form_holds_far_out(z: float) -> None:
    from mpmath import erfc, exp, log, mp, mpf, pi, sqrt

    mp.dps = 60 if z > -1e3 else 40
    x = mpf(z)
    density = exp(-x * x / 2) / sqrt(2 * pi)
    exact = (
        log(density + x * erfc(-x / sqrt(2)) / 2)
        if z > -1e3
        else -x * x / 2 - log(2 * pi) / 2 - 2 * log(-x)
    )
    ours = log_h(torch.tensor(z, dtype=torch.float64)).item()
    assert ours == pytest.approx(float(exact), rel=1e-7)


def test_many_pending_points_on_a_large_pool_score_only_the_most_promising(
    models: list[GraphGP], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._MAX_COVARIANCES", 40 * 9)
    pending = ROWS[[3, 50]]
    values = score(models, ROWS, "qlogei", pending)
    scored = torch.isfinite(values)
    assert scored.sum() == 40
    assert set(score(models, ROWS).topk(40).indices.tolist()) == set(
        scored.nonzero().squeeze(-1).tolist()
    )
    assert (values[~scored] == -math.inf).all()
    monkeypatch.undo()
    torch.testing.assert_close(
        values[scored], score(models, ROWS, "qlogei", pending)[scored], rtol=1e-5, atol=1e-6
    )


def test_a_hundred_pending_points_on_ten_thousand_candidates_fit_in_memory(
    models: list[GraphGP],
) -> None:
    many = ROWS.repeat(10_000 // len(ROWS) + 1, 1)
    values = score(models[1:], many, "qlogei", ROWS[:100])
    assert values.shape == (len(many),)
    assert 1 <= torch.isfinite(values).sum() < 1000
    assert torch.isfinite(score(models[1:], many, "logei", ROWS[:100])).all()


@pytest.mark.parametrize("kind", ACQUISITIONS)
def test_scores_are_repeatable_and_leave_the_global_random_state_alone(
    models: list[GraphGP], kind: str
) -> None:
    state = torch.get_rng_state()
    first = score(models, ROWS, kind, ROWS[:1])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(score(models, ROWS, kind, ROWS[:1]), first)


def test_an_unknown_kind_is_refused(models: list[GraphGP]) -> None:
    with pytest.raises(ValueError, match=r"one of .*logei.*; got 'ucb'"):
        score(models, ROWS, "ucb")


def test_weights_are_part_of_what_is_compared(
    models: list[GraphGP], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, pending = -torch.arange(len(ROWS)).double() / 20, ROWS[[3, 50]]
    torch.testing.assert_close(
        score(models, ROWS, log_weights=weights), score(models, ROWS) + weights
    )
    whole = score(models, ROWS, pending=pending) + weights
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._FEW", 16)
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._BLOCK", 16)
    monkeypatch.setattr("graphbo.acquisition.expected_improvement._EXACT", 4)
    quick = score(models, ROWS, pending=pending, log_weights=weights)
    assert torch.equal(quick.topk(4).indices, whole.topk(4).indices)
    with pytest.raises(ValueError, match="takes no weights"):
        score(models, ROWS, "qlogei", log_weights=weights)
