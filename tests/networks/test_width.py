from __future__ import annotations

import pytest
import torch
from torch import nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import ChainNetwork, NASBench101Network, NASBench201Network

ON_EDGES = Architecture(["input", "output"], [(0, 1, "nor_conv_3x3")])
ON_NODES = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(("width", "channels"), [(0.5, 8), (1.0, 16), (1.5, 24), (0.01, 1)])
def test_width_multiplies_the_channels_of_cells(width: float, channels: int) -> None:
    for make in (
        lambda **k: NASBench201Network(ON_EDGES, cells=1, **k),
        lambda **k: NASBench101Network(ON_NODES, cells=1, **k),
    ):
        assert shapes(make(channels=16, width=width)) == shapes(make(channels=channels))


def test_width_multiplies_the_channels_that_a_chain_names() -> None:
    def chain(*layers: str) -> Architecture:
        labels = ("input", *layers, "output")
        return Architecture(labels, [(i, i + 1) for i in range(len(labels) - 1)])

    half = ChainNetwork(chain("maxpool2", "conv3x3-8", "maxpool2", "conv1x1-5"), width=0.5)
    assert shapes(half) == shapes(
        ChainNetwork(chain("maxpool2", "conv3x3-4", "maxpool2", "conv1x1-2"))
    )
    assert half(torch.rand(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_a_width_that_is_not_positive_is_refused(width: float) -> None:
    with pytest.raises(InputError, match="the width multiplies channels and must be positive"):
        NASBench201Network(ON_EDGES, width=width)
