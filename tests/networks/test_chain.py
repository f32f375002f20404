from __future__ import annotations

import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.networks import ChainNetwork


def chain(*layers: str) -> Architecture:
    labels = ("input", *layers, "output")
    return Architecture(labels, [(i, i + 1) for i in range(len(labels) - 1)])


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("size", [8, 5, 1])
def test_shapes_and_gradients(size: int) -> None:
    torch.manual_seed(0)
    layers = ("conv3x3-6", "maxpool2", "conv5x5-4", "avgpool2", "conv1x1-8")
    network = ChainNetwork(chain(*layers), classes=7, in_channels=2)
    logits = network(torch.randn(8, 2, size, size))
    assert logits.shape == (8, 7)
    logits.square().sum().backward()
    without = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert without == []


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        ((), 3 * 10 + 10),
        (("maxpool2",), 3 * 10 + 10),
        (("conv3x3-32",), 9 * 3 * 32 + 64 + 32 * 10 + 10),
        (("conv1x1-4", "avgpool2", "conv5x5-6"), 3 * 4 + 8 + 25 * 4 * 6 + 12 + 6 * 10 + 10),
    ],
)
def test_parameter_count(layers: tuple[str, ...], count: int) -> None:
    assert parameters(ChainNetwork(chain(*layers))) == count


def test_layers_stand_in_the_order_of_the_chain() -> None:
    backwards = Architecture(["output", "maxpool2", "conv3x3-4", "input"], [(3, 2), (2, 1), (1, 0)])
    network = ChainNetwork(backwards)
    assert [type(layer).__name__ for layer in network.layers] == ["Sequential", "MaxPool2d"]


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(["input", "output"], []),
        Architecture(["input", "conv3x3-4", "output"], [(0, 1), (1, 2), (0, 2)]),
        Architecture(["input", "output"], [(0, 1, "conv3x3-4")]),
    ],
)
def test_what_is_no_chain_is_refused(architecture: Architecture) -> None:
    with pytest.raises(ValueError, match="no chain"):
        ChainNetwork(architecture)


@pytest.mark.parametrize("label", ["conv3x3-", "conv3x3-0", "conv3x3-wide"])
def test_width_that_is_no_number_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="such as 'conv3x3-32'"):
        ChainNetwork(chain(label))


def test_unknown_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="no module for the operation 'dense'"):
        ChainNetwork(chain("dense-32"))
