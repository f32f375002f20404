"""Networks that are trained side by side."""

from __future__ import annotations

import pytest
import torch

from graphbo.surrogates.stacked import train_networks

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(60, 4, generator=GENERATOR, dtype=torch.float64)
SMOOTH = (INPUTS[:, 0] + INPUTS[:, 1].tanh()) / 1.3
SETTINGS = {"width": 16, "depth": 2, "seed": 3, "steps": 200}


def test_they_learn_a_smooth_function() -> None:
    networks = train_networks(INPUTS[:40], SMOOTH[:40].expand(3, -1), **SETTINGS)
    error = (networks(INPUTS[40:]).mean(0) - SMOOTH[40:]).square().mean()
    assert error < 0.15 * SMOOTH[40:].var()


def test_members_are_what_each_would_be_alone() -> None:
    """Training is one program, but no member knows of the others."""
    targets = torch.stack([SMOOTH, -SMOOTH, SMOOTH.square()])
    together = train_networks(INPUTS, targets, **SETTINGS)
    changed = train_networks(INPUTS, targets * torch.tensor([[1.0], [5.0], [1.0]]), **SETTINGS)
    for member in (0, 2):
        torch.testing.assert_close(together(INPUTS)[member], changed(INPUTS)[member])
    assert not torch.allclose(together(INPUTS)[1], changed(INPUTS)[1])


def test_members_differ_where_there_is_no_data() -> None:
    networks = train_networks(INPUTS, SMOOTH.expand(4, -1), **SETTINGS)
    assert networks(3 * INPUTS).var(0).mean() > 5 * networks(INPUTS).var(0).mean()


def test_the_output_is_linear_in_the_last_hidden_layer() -> None:
    networks = train_networks(INPUTS, SMOOTH.expand(2, -1), **SETTINGS)
    hidden = networks.hidden(INPUTS)
    assert hidden.shape == (2, 60, 16)
    expected = torch.einsum("mnw,mwo->mn", hidden, networks.weights[-1])
    torch.testing.assert_close(networks(INPUTS), expected + networks.biases[-1].squeeze(-1))


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_the_scale_of_the_inputs_does_not_matter(scale: float) -> None:
    expected = train_networks(INPUTS, SMOOTH.unsqueeze(0), **SETTINGS)(INPUTS)
    shifted = scale * (INPUTS + 2)
    networks = train_networks(shifted, SMOOTH.unsqueeze(0), **SETTINGS)
    torch.testing.assert_close(networks(shifted), expected, rtol=1e-3, atol=1e-3)


def test_one_observation_and_constant_inputs_are_fine() -> None:
    alike = torch.ones(5, 3, dtype=torch.float64)
    for inputs, targets in ((INPUTS[:1], SMOOTH[:1]), (alike, SMOOTH[:5])):
        networks = train_networks(inputs, targets.unsqueeze(0), **SETTINGS)
        assert networks(INPUTS[:, : inputs.shape[1]]).isfinite().all()
        assert (networks(inputs)[0] - targets.mean()).abs().max() < 0.05


def test_the_seed_decides_and_nothing_else() -> None:
    first = train_networks(INPUTS, SMOOTH.unsqueeze(0), **SETTINGS)(INPUTS)
    torch.manual_seed(1)
    assert train_networks(INPUTS, SMOOTH.unsqueeze(0), **SETTINGS)(INPUTS).equal(first)
    other = train_networks(INPUTS, SMOOTH.unsqueeze(0), **{**SETTINGS, "seed": 4})(INPUTS)
    assert not torch.allclose(other, first)
