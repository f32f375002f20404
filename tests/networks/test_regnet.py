"""Chains of X blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.networks import RegNetNetwork
from graphbo.networks.flops import flops, parameters
from graphbo.networks.regnet import XBlock
from graphbo.spaces import RegNetSpace
from graphbo.spaces.regnet import Block, block_widths, chain_of
from graphbo.training.graph import trace

SAMPLE = RegNetSpace([5], [8], [8.0], [2.0], [4], [2]).sample(np.random.default_rng(0)).architecture


def test_regnetx_200mf_has_the_published_number_of_parameters_and_flops() -> None:
    blocks = [Block.compatible(width, 8) for width in block_widths(13, 24, 36.44, 2.49)]
    network = RegNetNetwork(chain_of(blocks), classes=1000)
    assert parameters(network) == pytest.approx(2.7e6, rel=0.01)
    assert flops(network, (3, 224, 224)) == pytest.approx(200e6, rel=0.01)


@pytest.mark.parametrize(
    ("block", "before", "stride"),
    [
        (Block(24, 8), 24, 1),
        (Block(24, 8), 24, 2),
        (Block(32, 4, 2), 12, 2),
        (Block(32, 4, 2), 12, 1),
    ],
)
def test_the_parameters_of_a_block_are_those_of_its_convolutions_and_norms(
    block: Block, before: int, stride: int
) -> None:
    inner = block.width // block.bottleneck
    expected = before * inner + 9 * block.group * inner + inner * block.width
    expected += 2 * (inner + inner + block.width)
    if stride == 2 or before != block.width:
        expected += before * block.width + 2 * block.width
    module = XBlock(before, block, stride)
    assert parameters(module) == expected
    size = -(-7 // stride)
    assert module(torch.randn(2, before, 7, 7)).shape == (2, block.width, size, size)


def test_a_block_without_weights_passes_on_what_is_positive() -> None:
    block = XBlock(8, Block(8, 4)).eval()
    last = block.residual[-1]
    assert isinstance(last, torch.nn.BatchNorm2d)
    torch.nn.init.zeros_(last.weight)
    x = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(block(x), x.relu())


def test_a_stage_begins_where_the_width_changes_and_halves_the_image() -> None:
    chain = chain_of([Block(8, 4), Block(8, 4), Block(16, 4), Block(16, 8), Block(24, 8)])
    network = RegNetNetwork(chain, channels=8, in_channels=1, stem_stride=1)
    shapes: list[tuple[int, ...]] = []
    for block in network.blocks:
        block.register_forward_hook(lambda *args: shapes.append(tuple(args[-1].shape[1:])))
    network(torch.randn(2, 1, 12, 12))
    assert shapes == [(8, 6, 6), (8, 6, 6), (16, 3, 3), (16, 3, 3), (24, 2, 2)]


@pytest.mark.parametrize("size", [12, 5, 1])
def test_logits_have_one_column_per_class(size: int) -> None:
    network = RegNetNetwork(SAMPLE, 4, classes=7, in_channels=2)
    assert network(torch.randn(3, 2, size, size)).shape == (3, 7)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    network = RegNetNetwork(SAMPLE, 8, in_channels=1, stem_stride=1)
    network(torch.randn(8, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("width", [0.25, 0.7, 3.0])
def test_the_width_multiplies_the_channels_to_whole_groups(width: float) -> None:
    network = RegNetNetwork(SAMPLE, 8, in_channels=1, width=width)
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    assert (parameters(network) > parameters(RegNetNetwork(SAMPLE, 8, in_channels=1))) == (
        width > 1
    )


def test_a_population_can_train_such_networks() -> None:
    assert trace(RegNetNetwork(SAMPLE, 8, in_channels=1), (1, 12, 12))


def test_what_is_no_chain_of_blocks_is_refused() -> None:
    with pytest.raises(InputError, match="such as 'x24g8'; got 'conv3x3'"):
        RegNetNetwork(Architecture([INPUT, "conv3x3", OUTPUT], [(0, 1), (1, 2)]))
    with pytest.raises(InputError, match="no chain"):
        RegNetNetwork(Architecture([INPUT, "x8g4", OUTPUT], [(0, 1), (1, 2), (0, 2)]))
