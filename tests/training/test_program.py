from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from graphbo.errors import InputError
from graphbo.training.graph import UntraceableError
from graphbo.training.program import Program

SHAPE = (2, 5, 7)


def images(networks: int, batch: int = 6, shape: tuple[int, ...] = SHAPE) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, networks, *shape, generator=generator).double()


def assert_equal_alone(networks: list[nn.Module], shape: tuple[int, ...] = SHAPE) -> None:
    """Compare logits, gradients and running statistics with those of autograd."""
    program = Program(networks, shape, dtype=torch.float64)
    x = images(len(networks), shape=shape)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):  # the second pass finds the running statistics of the first
        logits = program.forward(x, training=True)
        weight = torch.randn(logits.shape, generator=generator).double()
        by_image = program.backward(weight, images=True)
        for k, network in enumerate(networks):
            network.train()
            network.zero_grad()
            own = x[:, k].clone().requires_grad_()
            expected = network(own)
            (expected * weight[:, k]).sum().backward()
            close(logits[:, k], expected)
            if own.grad is not None:
                assert by_image is not None
                close(by_image[:, k], own.grad)
            gradients = program.views(k, program.gradients)
            for name, parameter in network.named_parameters():
                if parameter.grad is not None:
                    close(gradients[name], parameter.grad)
    logits = program.forward(x)
    for k, network in enumerate(networks):
        network.eval()
        close(logits[:, k], network(x[:, k]))
        alone, state = network.state_dict(), program.state(k)
        assert alone.keys() == state.keys()
        for name in program.views(k, program.gradients):
            prefix = name.rpartition(".")[0]
            for buffer in ("running_mean", "running_var", "num_batches_tracked"):
                if f"{prefix}.{buffer}" in alone:
                    close(state[f"{prefix}.{buffer}"], alone[f"{prefix}.{buffer}"])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=15)
@given(st.data())
def test_networks_compute_together_what_each_computes_alone(
    networks: st.SearchStrategy[nn.Module], data: st.DataObject
) -> None:
    assert_equal_alone(data.draw(st.lists(networks, min_size=1, max_size=4)))


class Everything(nn.Module):
    """One of each: biases, groups, dilation, joined and narrowed channels, functions, repeats."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, width, (3, 1), stride=(2, 1), padding=(1, 0))
        self.biased = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width))
        self.grouped = nn.Conv2d(width, width, 3, 1, 2, dilation=2, groups=width, bias=False)
        self.norm = nn.BatchNorm2d(width, eps=1e-3, momentum=0.3)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.average = nn.AvgPool2d((3, 3), stride=2, padding=1, count_include_pad=False)
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())
        self.hidden = nn.Linear(3 * width, 5, bias=False)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.add(self.biased(x), self.grouped(functional.relu(x))) + x.relu()
        norm = self.norm(x)
        whole = torch.cat([self.pool(norm), self.average(x), self.average(x)[:, :1]], dim=1)
        whole = torch.cat([whole[:, 1:], self.pool(x)], 1)
        logits: Tensor = self.head(self.hidden(self.mean(whole)))
        return logits


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 9, 9), (2, 20, 18), (2, 2, 3)])
def test_each_kind_of_operation_computes_what_torch_does(
    width: int, shape: tuple[int, int, int]
) -> None:
    assert_equal_alone([everything(width, seed) for seed in range(3)], shape)


def everything(width: int, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Everything(width).double()


@pytest.mark.parametrize("channels", [1, 3, 4, 8])
def test_convolutions_of_few_pixels_are_convolutions(
    edge_network: Callable[..., nn.Module], channels: int
) -> None:
    # Images of 4 x 4, 2 x 2 and 1 x 1 pixels are computed in another way than larger ones.
    rows = [(3, 2, 1, 3, 2, 4), (3, 3, 3, 3, 3, 3)]
    for size in (1, 2, 3, 4):
        networks = [edge_network(row, channels, seed) for seed, row in enumerate(rows)]
        assert_equal_alone(networks, (2, size, size))


def test_states_are_those_of_the_networks(edge_network: Callable[..., nn.Module]) -> None:
    networks = [edge_network((3, 2, 1, 3, 2, 4), seed=seed) for seed in range(3)]
    program = Program(networks[:2], SHAPE, dtype=torch.float64)
    for k in range(2):
        for name, tensor in networks[k].state_dict().items():
            assert torch.equal(program.state(k)[name], tensor), name
    program.load(1, networks[2].state_dict())
    x = images(2)
    networks[2].eval()
    close(program.forward(x)[:, 1], networks[2](x[:, 1]))
    state = program.state(1)
    program.weights.zero_()
    assert torch.equal(state["stem.0.weight"], networks[2].state_dict()["stem.0.weight"])


def test_networks_are_left_as_they_were(edge_network: Callable[..., nn.Module]) -> None:
    network = edge_network((3, 2, 1, 3, 2, 4))
    before = deepcopy(network.state_dict())
    program = Program([network], SHAPE, dtype=torch.float64)
    program.forward(images(1), training=True)
    program.weights.fill_(7)
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_watch_sees_every_result(edge_network: Callable[..., nn.Module]) -> None:
    program = Program([edge_network((3, 2, 1, 3, 2, 4))], SHAPE, dtype=torch.float64)
    seen = []
    logits = program.forward(images(1), watch=lambda group, result: seen.append((group, result)))
    assert [group for group, _ in seen] == program.groups
    assert seen[-1][1] is logits
    for group, result in seen:
        features, *pixels = group.shape
        assert result.shape == (6, *pixels, len(group.members), features)


@pytest.mark.parametrize("bad", [float("nan"), 1e38])
@pytest.mark.parametrize("channels", [1, 3, 4, 8, 16])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_what_one_network_is_has_no_effect_on_the_others(
    edge_network: Callable[..., nn.Module], channels: int, dtype: torch.dtype, bad: float
) -> None:
    rows = [(3, 2, 1, 3, 2, 4)] * 3 + [(3, 3, 3, 3, 3, 3)] * 2
    networks = [edge_network(row, channels, seed) for seed, row in enumerate(rows)]
    weights = torch.float32 if dtype is torch.bfloat16 else dtype
    x = images(len(rows)).to(dtype)

    def run(spoilt: tuple[int, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        program = Program(networks, SHAPE, dtype=weights)
        for k in spoilt:
            for tensor in program.views(k, program.weights).values():
                tensor.fill_(bad)
        logits = program.forward(x, training=True)
        gradient = torch.ones_like(logits)
        gradient[:, spoilt] = bad
        program.backward(gradient)
        evaluated = program.forward(x)
        others = [k for k in range(len(rows)) if k not in (1, 3)]
        gradients = [
            gradient.clone()
            for k in others
            for gradient in program.views(k, program.gradients).values()
        ]
        return logits[:, others], evaluated[:, others], gradients

    calm, beside = run(()), run((1, 3))
    assert torch.equal(beside[0], calm[0])
    assert torch.equal(beside[1], calm[1])
    assert all(map(torch.equal, beside[2], calm[2]))


def test_networks_of_other_numbers_of_classes_are_refused() -> None:
    networks = [
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, n)) for n in (3, 4)
    ]
    with pytest.raises(InputError, match="the same number of classes"):
        Program(networks, SHAPE)


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    with pytest.raises(UntraceableError, match="Dropout"):
        Program([nn.Sequential(nn.Dropout(0.5), nn.Flatten())], SHAPE)
