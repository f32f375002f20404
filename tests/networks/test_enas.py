"""Whole networks of ENAS."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.networks import ENASMacroNetwork
from graphbo.networks.flops import parameters
from graphbo.spaces import ENASMacroSpace
from graphbo.training.graph import UntraceableError, trace

SPACE = ENASMacroSpace(6)
SAMPLE = SPACE.sample(np.random.default_rng(0)).architecture


def chain(*operations: str, skips: tuple[tuple[int, int], ...] = ()) -> Architecture:
    n = len(operations) + 1
    return Architecture([INPUT, *operations, OUTPUT], [*((i, i + 1) for i in range(n)), *skips])


@pytest.mark.parametrize("size", [8, 5, 1])
@pytest.mark.parametrize("layers", [1, 2, 3, 7])
def test_logits_have_one_column_per_class(size: int, layers: int) -> None:
    architecture = ENASMacroSpace(layers).sample(np.random.default_rng(layers)).architecture
    network = ENASMacroNetwork(architecture, channels=3, classes=7, in_channels=2)
    assert network(torch.randn(3, 2, size, size)).shape == (3, 7)


def test_after_one_and_two_thirds_the_image_is_halved_and_the_channels_are_doubled() -> None:
    network = ENASMacroNetwork(SAMPLE, channels=2, in_channels=1)
    shapes: list[tuple[int, ...]] = []
    for layer in network.layers:
        layer.register_forward_hook(lambda *args: shapes.append(tuple(args[-1].shape[1:])))
    network(torch.randn(2, 1, 12, 12))
    assert shapes == [(2, 12, 12)] * 2 + [(4, 6, 6)] * 2 + [(8, 3, 3)] * 2


def test_what_is_read_later_is_reduced_on_its_own_once_or_twice() -> None:
    network = ENASMacroNetwork(chain(*["conv3x3"] * 6, skips=((0, 6), (1, 4))), channels=2)
    first, second = network.reductions.values()
    assert [*first] == ["0", "1", "2"]
    assert [*second] == ["0", "4"]


def test_skip_connections_are_concatenated_and_projected() -> None:
    torch.manual_seed(0)
    network = ENASMacroNetwork(chain("conv3x3", "maxpool3x3", skips=((0, 2),)), 3, 5).eval()
    x = torch.randn(2, 3, 6, 6)
    stem = network.stem(x)
    reduce = network.reductions["1"]
    after = network.layers[1](reduce["1"](network.layers[0](stem)))  # type: ignore[index,operator]
    joined = torch.cat([reduce["0"](stem), after], 1)  # type: ignore[index,operator]
    torch.testing.assert_close(network(x), network.head(network.projections["2"](joined)))


def test_the_weights_of_a_small_network_by_hand() -> None:
    # Three stages of 2, 4 and 8 channels, each with a 1x1 convolution and an operation.
    plain = ENASMacroNetwork(chain("conv3x3", "sepconv3x3", "avgpool3x3"), 2, 10, 3)
    stem, head = 27 * 2 + 2 * 2, 8 * 10 + 10
    layers = (4 + 4) + (9 * 4 + 4), (16 + 8) + (9 * 4 + 16 + 8), (64 + 16)
    reductions = 2 * 4 + 2 * 4, 4 * 8 + 2 * 8
    assert parameters(plain) == stem + sum(layers) + sum(reductions) + head
    # Two more reductions of the first convolution, and a projection from 16 to 8 channels.
    skipping = ENASMacroNetwork(
        chain("conv3x3", "sepconv3x3", "avgpool3x3", skips=((0, 3),)), 2, 10, 3
    )
    assert parameters(skipping) - parameters(plain) == sum(reductions) + 16 * 8 + 2 * 8


def test_the_width_multiplies_the_channels_and_the_stem_may_halve_the_image() -> None:
    wide = ENASMacroNetwork(SAMPLE, channels=4, width=2.0)
    assert parameters(wide) == parameters(ENASMacroNetwork(SAMPLE, channels=8))
    network = ENASMacroNetwork(SAMPLE, channels=2, stem_stride=2)
    assert network.stem(torch.randn(1, 3, 7, 7)).shape == (1, 2, 4, 4)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    every = chain(*SPACE.operations, skips=tuple((u, v) for v in range(2, 7) for u in range(v - 1)))
    network = ENASMacroNetwork(every, channels=4, in_channels=1)
    network(torch.randn(8, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_population_says_that_it_cannot_train_such_networks() -> None:
    with pytest.raises(UntraceableError):
        trace(ENASMacroNetwork(SAMPLE, 2), (3, 8, 8))


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture([INPUT, "conv3x3", "conv3x3", OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 3)]),
        Architecture([INPUT, "", OUTPUT], [(0, 1, "conv3x3"), (1, 2)]),
        chain("conv3x3", skips=((0, 2),)),
    ],
)
def test_what_is_no_chain_with_skip_connections_is_refused(architecture: Architecture) -> None:
    with pytest.raises(InputError, match="a network of ENAS is a chain of operations"):
        ENASMacroNetwork(architecture)


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(ValueError, match="no module for the operation 'conv9x9'"):
        ENASMacroNetwork(chain("conv9x9"))
