from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.networks import NASBench201Network
from graphbo.spaces import NASBench201Space

SPACE = NASBench201Space()
FULL = SPACE.parse(
    "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)
EMPTY = Architecture(["input", "output"], [])


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def formula(conv3: int, conv1: int, channels: int, cells: int, classes: int, inputs: int) -> int:
    """Parameters of the skeleton with so many convolutions in its cell."""
    total = 9 * inputs * channels + 2 * channels  # stem
    for stage in range(3):
        c = channels * 2**stage
        total += cells * (conv3 * (9 * c * c + 2 * c) + conv1 * (c * c + 2 * c))
        if stage:  # two 3x3 convolutions with batch norm, and the 1x1 convolution of the shortcut
            total += 9 * (c // 2) * c + 2 * c + 9 * c * c + 2 * c + (c // 2) * c
    return total + 2 * c + c * classes + classes


@pytest.mark.parametrize(
    ("channels", "cells", "classes", "inputs"), [(16, 5, 10, 3), (4, 1, 7, 1), (6, 2, 3, 2)]
)
@pytest.mark.parametrize(("cell", "conv3", "conv1"), [(FULL, 3, 1), (EMPTY, 0, 0)])
def test_parameter_count_follows_the_formula(
    cell: Architecture, conv3: int, conv1: int, channels: int, cells: int, classes: int, inputs: int
) -> None:
    network = NASBench201Network(cell, channels, cells, classes, inputs)
    assert parameters(network) == formula(conv3, conv1, channels, cells, classes, inputs)


@pytest.mark.slow
def test_parameter_count_equals_the_published_one(data_folder: Path) -> None:
    # The benchmark counts operations that pruning drops as well, so only rows that lose none are
    # compared.
    with np.load(data_folder / "nasbench201.npz", allow_pickle=False) as table:
        texts = table["arch_str"]
        published = {10: table["cifar10_params_M"], 100: table["cifar100_params_M"]}
    compared = 0
    for i in np.random.default_rng(0).permutation(len(texts)):
        cell = SPACE.parse(str(texts[i]))
        operations = Counter(part.split("~")[0] for part in texts[i].replace("+", "").split("|"))
        if len(cell.edges) < 6 - operations["none"]:
            continue
        for classes, column in published.items():
            with torch.device("meta"):
                count = parameters(NASBench201Network(cell, classes=classes))
            assert np.float32(count / 1e6) == column[i], texts[i]
        compared += 1
        if compared == 30:
            return
    pytest.fail("fewer than 30 rows could be compared")


@pytest.mark.parametrize("size", [8, 5, 1])
def test_logits_have_one_column_per_class(size: int) -> None:
    network = NASBench201Network(FULL, channels=4, cells=1, classes=7, in_channels=2)
    assert network(torch.randn(3, 2, size, size)).shape == (3, 7)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    network = NASBench201Network(FULL, channels=4, cells=2, in_channels=1)
    network(torch.randn(8, 1, 8, 8)).square().sum().backward()
    without = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert without == []


def test_cell_sums_its_paths() -> None:
    # input -> inner -> output and input -> output, all identities: the cell doubles its input.
    cell = Architecture(
        ["input", "", "output"],
        [(0, 1, "skip_connect"), (1, 2, "skip_connect"), (0, 2, "skip_connect")],
    )
    network = NASBench201Network(cell, channels=4, cells=1)
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(network.layers[0](x), 2 * x)


def test_empty_cell_passes_zeros() -> None:
    network = NASBench201Network(EMPTY, channels=4, cells=1, in_channels=1).eval()
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(network.layers[0](x), torch.zeros_like(x))
    first, second = network(torch.randn(2, 1, 8, 8))
    torch.testing.assert_close(first, second)


def test_operations_that_are_cut_off_are_not_built() -> None:
    dangling = Architecture(
        ["input", "", "output"], [(0, 1, "nor_conv_3x3"), (0, 2, "skip_connect")]
    )
    alone = Architecture(["input", "output"], [(0, 1, "skip_connect")])
    assert parameters(NASBench201Network(dangling)) == parameters(NASBench201Network(alone))


def test_operations_on_nodes_are_refused() -> None:
    cell = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
    with pytest.raises(ValueError, match="must sit on the edges; a node carries 'conv3x3'"):
        NASBench201Network(cell)


def test_unknown_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="no module for the operation 'dense'"):
        NASBench201Network(Architecture(["input", "output"], [(0, 1, "dense")]))
