"""Moments that grow with the observations."""

from __future__ import annotations

import pickle

import pytest
import torch

from graphbo.kernels import WLRBFKernel
from graphbo.spaces import CellSpace
from graphbo.surrogates import GraphGP, fit

SPACE = CellSpace(4, ["a", "b"], on="edges")
ROWS = torch.tensor([design.row for design in SPACE.enumerate()], dtype=torch.float64)
TRAIN = ROWS[3::11]
TARGETS = torch.sin(TRAIN.sum(-1, keepdim=True))


def model(n: int) -> GraphGP:
    return fit(GraphGP(TRAIN[:n], TARGETS[:n], WLRBFKernel(SPACE.decode)))


def anew(gp: GraphGP) -> tuple[torch.Tensor, torch.Tensor]:
    """The moments by another path, that of pairs of points."""
    posterior = gp.posterior(torch.stack([ROWS, ROWS.flip(0)], dim=1))
    return posterior.mean[:, 0, 0], posterior.variance[:, 0, 0]


def test_growing_equals_computing_anew() -> None:
    gp = model(6)
    for n in (6, 7, 11, 15):
        gp.observe(TRAIN[:n], TARGETS[:n])
        for grown, direct in zip(gp.moments(ROWS), anew(gp), strict=True):
            torch.testing.assert_close(grown, direct, rtol=1e-7, atol=1e-9)


def test_the_steps_do_not_matter_to_the_last_bit() -> None:
    slow, fast = model(6), model(6)
    for n in range(6, 16):
        slow.observe(TRAIN[:n], TARGETS[:n])
        slow.moments(ROWS)
    fast.observe(TRAIN[:15], TARGETS[:15])
    for one, other in zip(slow.moments(ROWS), fast.moments(ROWS), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("change", ["fewer", "order", "pool", "noise", "kernel", "targets"])
def test_what_has_changed_is_not_reused(change: str) -> None:
    gp = model(10)
    gp.moments(ROWS)
    pool = ROWS
    if change == "fewer":
        gp.observe(TRAIN[:8], TARGETS[:8])
    elif change == "order":
        gp.observe(TRAIN[:10].flip(0), TARGETS[:10].flip(0))
    elif change == "pool":
        pool = ROWS.flip(0)
    elif change == "noise":
        gp.likelihood.noise = torch.tensor([0.3])
    elif change == "kernel":
        gp.covar_module.base_kernel.lengthscale = torch.tensor([[1.0, 2.0, 3.0]])
    else:
        gp.observe(TRAIN[:10], -TARGETS[:10])
    expected = anew(gp)
    for grown, direct in zip(gp.moments(pool), expected, strict=True):
        direct = direct.flip(0) if change == "pool" else direct
        torch.testing.assert_close(grown, direct, rtol=1e-7, atol=1e-9)


def test_points_changed_in_place_are_other_points() -> None:
    gp, pool = model(10), ROWS.clone()
    gp.moments(pool)
    pool.copy_(ROWS.flip(0))
    for changed, fresh in zip(gp.moments(pool), anew(gp), strict=True):
        torch.testing.assert_close(changed, fresh.flip(0), rtol=1e-7, atol=1e-9)


def test_a_pickle_leaves_it_behind() -> None:
    gp = model(10)
    mean, variance = gp.moments(ROWS)
    size = len(pickle.dumps(gp))
    assert size < 10 * ROWS.numel() * 8
    again = pickle.loads(pickle.dumps(gp))
    torch.testing.assert_close(again.moments(ROWS), (mean, variance))
