"""The rectified networks of BANANAS."""

from __future__ import annotations

import torch

from graphbo.surrogates.feed_forward import FeedForwardEnsemble


def data(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Bits, and the difference of how many are set among the first and the next five."""
    generator = torch.Generator().manual_seed(seed)
    bits = (torch.rand(n, 12, generator=generator) < 0.4).double()
    return bits, bits[:, :5].sum(1) - bits[:, 5:10].sum(1)


def test_the_members_learn_and_agree_where_there_are_data() -> None:
    x, y = data(80)
    ensemble = FeedForwardEnsemble(x, y, seed=1, epochs=100)
    new, truth = data(200, seed=1)
    assert ensemble(new).shape == (5, 200)
    assert torch.corrcoef(torch.stack([ensemble(new).mean(0), truth]))[0, 1] > 0.8
    assert ensemble(x).std(0).mean() < ensemble(new).std(0).mean()


def test_the_weights_are_those_of_the_seed() -> None:
    x, y = data(10)
    state = torch.get_rng_state()
    one, same, other = (FeedForwardEnsemble(x, y, seed=s, epochs=3)(x) for s in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_error_is_absolute() -> None:
    """One value far off leaves the prediction of equal inputs at their median, not their mean."""
    x = torch.zeros(7, 2).double()
    y = torch.tensor([1.0] * 6 + [50.0]).double()
    ensemble = FeedForwardEnsemble(x, y, seed=0, depth=1, epochs=600)
    torch.testing.assert_close(ensemble(x[:1]), torch.ones(5, 1).double(), atol=0.1, rtol=0)
