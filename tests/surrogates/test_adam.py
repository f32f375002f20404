"""Adam against PyTorch's."""

from __future__ import annotations

import torch

from graphbo.surrogates.adam import Adam


def test_steps_are_those_of_pytorch() -> None:
    ours = [torch.tensor([1.0, -2.0]).double().requires_grad_() for _ in range(2)]
    theirs = [each.detach().clone().requires_grad_() for each in ours]
    adam = Adam(ours, 0.1, (0.8, 0.9))
    reference = torch.optim.Adam(theirs[:1], 0.1, (0.8, 0.9))
    for _ in range(4):
        adam.step((ours[0] ** 4).sum())
        reference.zero_grad()
        (theirs[0] ** 4).sum().backward()
        reference.step()
    torch.testing.assert_close(ours[0], theirs[0])
    assert ours[1].equal(theirs[1]), "what the loss does not use stays"
