"""The memory of networks, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn import functional

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import (
    ChainNetwork,
    DARTSNetwork,
    NASBench101Network,
    NASBench201Network,
    activation_memory,
    flash_size,
)
from graphbo.networks.flops import parameters
from graphbo.spaces import DARTSSpace, NASBench201Space
from graphbo.testing.strategies import architectures

SPACE = NASBench201Space()
PIXELS = 8 * 8


class Residual(nn.Module):
    """A convolution to four times the channels and back, around which its input goes."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(4, 16, 1), nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = x + self.narrow(functional.relu(self.wide(x)))
        return total


def conv(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=False)


@pytest.mark.parametrize(
    ("network", "channels", "elements"),
    [
        (nn.Identity(), 3, 3),
        (nn.Sequential(conv(3, 8), conv(8, 16), conv(16, 4)), 3, 8 + 16),
        # A normalisation and an activation take the place of what they change.
        (nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.Hardswish()), 3, 3 + 8),
        (nn.Sequential(conv(3, 8), nn.ReLU(inplace=True)), 3, 3 + 8),
        (nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)), 5, 5 + 5),
        # The input stays beside the wide tensor, and beside the two on the way back.
        (Residual(), 4, 4 + 16 + 4),
    ],
)
def test_the_largest_set_of_tensors_by_hand(
    network: nn.Module, channels: int, elements: int
) -> None:
    assert activation_memory(network, (channels, 8, 8)) == 4 * elements * PIXELS
    assert activation_memory(network, (channels, 8, 8), bits=8) == elements * PIXELS


def peak_of_cell(edges: list[tuple[int, int, str]]) -> float:
    """The peak of a network of one cell of 16 channels, in tensors of the cell's size."""
    architecture = Architecture(
        ["input", *[""] * (max(v for _, v, _ in edges) - 1), "output"], edges
    )
    network = NASBench201Network(architecture, channels=16, cells=1, stages=1, in_channels=1)
    return activation_memory(network, (1, 8, 8), bits=8) / (16 * PIXELS)


@pytest.mark.parametrize(
    ("edges", "tensors"),
    [
        ([(0, 1, "skip_connect")], 17 / 16),  # of the stem: its image and its result
        ([(0, 1, "nor_conv_3x3")], 2),
        # The input stays for the skip connection: it, its rectified copy, and the convolution's.
        ([(0, 1, "nor_conv_3x3"), (0, 2, "skip_connect"), (1, 2, "skip_connect")], 3),
        # Two branches that a third waits for: the rectified input is made once.
        ([(0, 1, "nor_conv_3x3"), (0, 2, "nor_conv_1x1"), (1, 2, "nor_conv_3x3")], 3),
        # At the 1x1 convolution: both nodes before, a rectified copy, what waits, and the result.
        (
            [
                *[(0, 1, "nor_conv_3x3"), (0, 2, "avg_pool_3x3"), (0, 3, "skip_connect")],
                *[(1, 2, "nor_conv_1x1"), (1, 3, "skip_connect"), (2, 3, "nor_conv_3x3")],
            ],
            5,
        ),
    ],
)
def test_a_cell_with_several_branches(edges: list[tuple[int, int, str]], tensors: float) -> None:
    assert peak_of_cell(edges) == tensors


class Repeated(nn.Module):
    """The same activation of the same tensor, twice."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x.relu(), 2) + functional.max_pool2d(x.relu(), 2) + x.mean()


def test_what_is_done_twice_counts_once() -> None:
    # The image, which is read again, the rectified one, and two of a quarter.
    assert activation_memory(Repeated(), (1, 8, 8), bits=8) == 64 + 64 + 16 + 16


class Views(nn.Module):
    """Reads half of a tensor, which all stays in memory until then."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(2, 8, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.narrow(self.wide(x)[:, :4])
        return result


def test_a_view_keeps_what_it_views() -> None:
    assert activation_memory(Views(), (2, 8, 8), bits=8) == (8 + 3) * PIXELS


@pytest.mark.parametrize(
    ("network", "at_8_bits", "at_32_bits"),
    [
        (nn.Conv2d(3, 16, 3), 432 + 64, 4 * 432 + 64),
        (nn.Sequential(conv(3, 16), nn.BatchNorm2d(16)), 432 + 64, 4 * 432 + 64),
        (nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)), 432 + 64, 4 * 432 + 64),
        # Behind a pooling or before the convolution it keeps a scale and a shift.
        (nn.Sequential(nn.BatchNorm2d(3), conv(3, 16)), 24 + 432, 24 + 4 * 432),
        (nn.Sequential(conv(3, 4), nn.ReLU(), nn.BatchNorm2d(4)), 108 + 32, 432 + 32),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5)), 960 + 20, 3860),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 5, bias=False)), 960, 3840),
        (nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), 0, 0),
    ],
)
def test_the_size_of_the_weights_by_hand(
    network: nn.Module, at_8_bits: int, at_32_bits: int
) -> None:
    assert flash_size(network, (3, 8, 8), bits=8) == at_8_bits
    assert flash_size(network, (3, 8, 8)) == at_32_bits


class Odd(nn.Module):
    """Shares a convolution, and has a layer that inference leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.left_out = conv(3, 3), conv(3, 64)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = self.left_out(x)
        result: Tensor = self.second(self.shared(self.first(self.shared(x))))
        return result


def test_what_is_shared_is_stored_once_and_what_is_not_read_is_not_stored() -> None:
    # A convolution that two normalisations follow takes neither up.
    assert flash_size(Odd(), (3, 8, 8), bits=8) == 81 + 2 * (12 + 12)


def test_a_normalisation_of_concatenated_convolutions_is_folded_into_both() -> None:
    from graphbo.networks.darts import FactorizedReduction

    assert flash_size(FactorizedReduction(4, 6), (4, 8, 8), bits=8) == 4 * 6 + 4 * 6


def test_a_normalisation_by_the_image_itself_is_not_folded() -> None:
    network = nn.Sequential(conv(3, 16), nn.InstanceNorm2d(16))
    assert flash_size(network, (3, 8, 8), bits=8) == 432


NETWORKS = {
    "chain": lambda: ChainNetwork(
        Architecture(["input", "conv3x3-8", "maxpool2", "output"], [(0, 1), (1, 2), (2, 3)])
    ),
    "nasbench101": lambda: NASBench101Network(
        Architecture(
            ["input", "conv3x3", "conv1x1", "maxpool3x3", "output"],
            [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)],
        ),
        channels=8,
        cells=1,
    ),
    "nasbench201": lambda: NASBench201Network(
        SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|none~2|"),
        channels=4,
        cells=1,
    ),
    "darts": lambda: DARTSNetwork(
        DARTSSpace().sample(np.random.default_rng(0)).architecture, channels=4, cells=3
    ),
    "perceptron": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 64, 16), nn.GELU(), nn.Dropout(0.5), nn.Linear(16, 10)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_measured_and_left_as_it_was(name: str) -> None:
    network = NETWORKS[name]()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    memory, flash = activation_memory(network, (3, 8, 8)), flash_size(network, (3, 8, 8))
    assert memory >= 4 * 3 * PIXELS
    assert 4 * (parameters(network) / 2) < flash <= 4 * parameters(network), "folding saves some"
    assert network.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    with torch.device("meta"):
        abstract = NETWORKS[name]()
    assert activation_memory(abstract, (3, 8, 8)) == memory, "no numbers are needed"
    assert flash_size(abstract, (3, 8, 8)) == flash


@settings(max_examples=8, deadline=None)
@given(architectures([""], max_nodes=3, edge_labels=SPACE.operations))
def test_bounds_of_the_memory_of_any_cell(architecture: Architecture) -> None:
    network = NASBench201Network(architecture, channels=4, cells=1, stages=1)
    memory = activation_memory(network, (3, 8, 8), bits=8)
    # The stem's image and result at least; at most every tensor between nodes and a copy or two.
    assert (3 + 4) * PIXELS <= memory <= (4 + len(architecture.edges) + 2) * 4 * PIXELS
    assert activation_memory(network, (3, 8, 8)) == 4 * memory
    assert activation_memory(network, (3, 16, 16), bits=8) >= memory
    assert flash_size(network, (3, 16, 16)) == flash_size(network, (3, 8, 8))


@pytest.mark.parametrize("bits", [0, 7, 64])
def test_other_numbers_of_bits_are_refused(bits: int) -> None:
    for measure in (activation_memory, flash_size):
        with pytest.raises(InputError, match="bits must be one of 4, 8, 16, 32; got"):
            measure(nn.ReLU(), (1, 2, 2), bits)
