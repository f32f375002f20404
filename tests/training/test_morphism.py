from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import ChainNetwork, NASBench101Network, NASBench201Network
from graphbo.spaces import ChainSpace, NASBench201Space
from graphbo.spaces.base import Row
from graphbo.training.layer_morphism import rectified_moments, widen
from graphbo.training.morphism import distance, inherit

SPACE = NASBench201Space()
ROWS = st.tuples(*[st.integers(0, 4)] * 6)
NONE, SKIP, CONV1, CONV3, POOL = range(5)
CHAINS = ChainSpace(4, ["conv1x1", "conv3x3", "conv5x5"], ["maxpool2", "avgpool2"], [4, 6, 9])


def cell(row: Row) -> Architecture:
    return SPACE.decode(row)


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in double precision, with parameters and statistics as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for tensor in (module.running_mean, module.bias.data, module.weight.data):
                tensor.normal_(0.3, 1.0, generator=generator)
            module.running_var.uniform_(0.3, 2.0, generator=generator)
    return network.double().eval()


def images(channels: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, channels, 8, 8, dtype=torch.double, generator=generator)


def build(architecture: Architecture) -> NASBench201Network:
    return NASBench201Network(architecture, channels=3, cells=1, classes=4, in_channels=2)


def cells(parent: Architecture, child: Architecture) -> tuple[nn.Module, nn.Module, bool]:
    """Return the trained parent, the child that inherits from it, and the claim of exactness."""
    source, network = trained(build(parent)), build(child).double()
    exact = inherit(network, child, source, parent)
    return source, network.eval(), exact


def chain(*layers: str) -> Architecture:
    nodes = ["input", *layers, "output"]
    return Architecture(nodes, [(i, i + 1) for i in range(len(nodes) - 1)])


def chains(parent: Architecture, child: Architecture) -> tuple[nn.Module, nn.Module, bool]:
    source = trained(ChainNetwork(parent, classes=4, in_channels=2))
    network = ChainNetwork(child, classes=4, in_channels=2).double()
    exact = inherit(network, child, source, parent, torch.Generator().manual_seed(0))
    return source, network.eval(), exact


def equal(first: nn.Module, second: nn.Module, x: Tensor) -> bool:
    with torch.no_grad():
        return torch.allclose(first(x), second(x), rtol=1e-9, atol=1e-9)


# Cells ----------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(ROWS, ROWS)
def test_what_is_said_to_be_kept_is_kept(parent: Row, child: Row) -> None:
    source, network, exact = cells(cell(parent), cell(child))
    if exact:
        assert equal(source, network, images())
        assert equal(source.train(), network.train(), images())


@settings(max_examples=40)
@given(ROWS, st.data())
def test_convolutions_are_added_and_grow_without_a_change(parent: Row, data: st.DataObject) -> None:
    """Over all parents: any empty edges become convolutions, any 1x1 convolutions 3x3."""
    grown = {NONE: [NONE, CONV1, CONV3], CONV1: [CONV1, CONV3]}
    child = tuple(data.draw(st.sampled_from(grown.get(choice, [choice]))) for choice in parent)
    # An edge that pruning cut off from the parent is new in the child, and may be a skip there.
    before, after = cell(parent), cell(child)
    if len(before) < len(after) and {SKIP, POOL} & set(child):
        return
    source, network, exact = cells(before, after)
    if distance(before, after) == sum(a != b for a, b in zip(parent, child, strict=True)):
        assert exact
    if exact:
        assert equal(source, network, images())


@given(ROWS)
@settings(max_examples=10)
def test_the_same_cell_inherits_everything(row: Row) -> None:
    source, network, exact = cells(cell(row), cell(row))
    assert exact
    for (name, ours), (_, theirs) in zip(
        network.state_dict().items(), source.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        # A convolution from input to output, and one between the nodes of a path.
        ((SKIP, NONE, CONV3, NONE, NONE, SKIP), (SKIP, NONE, CONV3, CONV1, NONE, SKIP)),
        # A new path whose skip is fed by convolutions only.
        ((NONE, NONE, NONE, CONV3, NONE, NONE), (NONE, CONV3, NONE, CONV3, NONE, SKIP)),
    ],
)
def test_a_new_convolution_learns_from_the_first_step_on(parent: Row, child: Row) -> None:
    source, network, exact = cells(cell(parent), cell(child))
    assert exact
    assert equal(source, network, images())
    network.train()(images()).pow(2).sum().backward()
    scales = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert any(not m.weight.any() for m in scales), "a scale is zero at first"
    assert all(m.weight.grad is not None and m.weight.grad.any() for m in scales)


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ((NONE, NONE, NONE, CONV3, SKIP, NONE), (NONE, NONE, NONE, CONV1, SKIP, NONE)),
        ((SKIP, NONE, SKIP, CONV3, NONE, SKIP), (SKIP, NONE, SKIP, NONE, NONE, SKIP)),
        ((NONE, NONE, NONE, CONV3, NONE, NONE), (NONE, NONE, NONE, SKIP, NONE, NONE)),
        ((NONE, SKIP, NONE, NONE, NONE, CONV3), (NONE, SKIP, NONE, SKIP, NONE, CONV3)),
    ],
    ids=["a smaller kernel", "a removed edge", "another operation", "an added skip"],
)
def test_what_cannot_be_kept_is_not_claimed(parent: Row, child: Row) -> None:
    source, network, exact = cells(cell(parent), cell(child))
    assert not exact
    assert not equal(source, network, images())


@pytest.mark.parametrize("operation", [CONV1, CONV3])
def test_a_skip_that_becomes_a_convolution_passes_positive_values_on(operation: int) -> None:
    _, network, exact = cells(
        cell((NONE, NONE, NONE, SKIP, NONE, NONE)), cell((NONE, NONE, NONE, operation, NONE, NONE))
    )
    assert not exact
    x = images(3).abs()
    assert torch.allclose(network.layers[0](x), x)  # type: ignore[index, operator, union-attr]


def test_a_pooling_that_becomes_a_convolution_averages_positive_values() -> None:
    parent = cell((NONE, NONE, NONE, POOL, NONE, NONE))
    source, network, _ = cells(parent, cell((NONE, NONE, NONE, CONV3, NONE, NONE)))
    x = images(3).abs()
    ours = network.layers[0](x)  # type: ignore[index, operator, union-attr]
    theirs = source.layers[0](x)  # type: ignore[index, operator, union-attr]
    assert torch.allclose(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1])


@settings(max_examples=30)
@given(ROWS, ROWS)
def test_the_distance_counts_edges_whatever_the_order_of_nodes(first: Row, second: Row) -> None:
    a, b = cell(first), cell(second)
    assert distance(a, b) == distance(b, a) == distance(a.canonical(), b)
    assert (distance(a, b) == 0) == (a == b)
    if len(a) == len(b) == 4:
        assert distance(a, b) <= sum(x != y for x, y in zip(first, second, strict=True))


# Chains ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (chain("conv3x3-4", "maxpool2"), chain("conv3x3-7", "maxpool2")),
        (chain("conv3x3-4", "conv3x3-5"), chain("conv3x3-9", "conv3x3-6")),
        (chain("conv3x3-4", "maxpool2"), chain("conv3x3-4", "conv3x3-4", "maxpool2")),
        (chain("conv3x3-4", "avgpool2"), chain("conv3x3-4", "avgpool2", "conv5x5-4")),
        (chain("conv1x1-4", "conv3x3-4"), chain("conv5x5-4", "conv5x5-4")),
        (chain("conv3x3-4"), chain("conv5x5-6", "conv1x1-9", "conv3x3-11")),
        (chain("maxpool2"), chain("maxpool2")),
        (chain(), chain()),
    ],
    ids=["wider", "two wider", "deeper", "behind pooling", "larger", "all", "no weights", "none"],
)
def test_chains_grow_without_a_change(parent: Architecture, child: Architecture) -> None:
    source, network, exact = chains(parent, child)
    assert exact
    assert equal(source, network, images())


@settings(max_examples=40)
@given(st.integers(0, 2**20), st.integers(0, 2**20))
def test_what_chains_are_said_to_keep_is_kept(first: int, second: int) -> None:
    parent = CHAINS.sample(np.random.default_rng(first))
    child = CHAINS.mutate(parent, np.random.default_rng(second))
    source, network, exact = chains(parent.architecture, child.architecture)
    assert equal(source, network, images()) or not exact
    assert distance(parent.architecture, child.architecture) > 0


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (chain("conv3x3-4"), chain("conv3x3-3")),
        (chain("conv3x3-4", "conv3x3-6"), chain("conv3x3-4")),
        (chain("conv3x3-4"), chain("conv3x3-4", "maxpool2")),
        (chain("maxpool2", "conv3x3-4"), chain("conv3x3-4")),
    ],
    ids=["narrower", "shorter", "with a pooling", "without a pooling"],
)
def test_what_chains_cannot_keep_is_not_claimed(parent: Architecture, child: Architecture) -> None:
    _, network, exact = chains(parent, child)
    assert not exact
    assert torch.isfinite(network(images())).all()


def test_the_copies_of_a_channel_do_not_stay_copies() -> None:
    _, network, _ = chains(chain("conv3x3-1"), chain("conv3x3-3"))
    network.train()(images()).pow(2).sum().backward()
    gradient = network.layers[0][0].weight.grad.flatten(1)  # type: ignore[index, union-attr]
    assert len(torch.unique(gradient, dim=0)) == 3


def test_an_added_layer_is_near_the_identity_in_training_too() -> None:
    _, network, _ = chains(chain("conv3x3-8"), chain("conv3x3-8", "conv3x3-8"))
    x = torch.randn(200, 2, 8, 8, dtype=torch.double)
    first, second = network.train().layers  # type: ignore[union-attr, misc]
    with torch.no_grad():
        before = first(x)
        change = (second(before) - before).norm() / before.norm()
    assert change < 0.1


def test_rectified_moments_of_a_standard_normal() -> None:
    mean, variance = rectified_moments(nn.BatchNorm2d(3).double())
    assert mean.tolist() == pytest.approx([1 / math.sqrt(2 * math.pi)] * 3)
    assert variance.tolist() == pytest.approx([0.5 - 1 / (2 * math.pi)] * 3)


@given(st.integers(1, 9), st.integers(1, 20), st.integers(0, 2**20))
def test_wider_layers_repeat_all_channels_with_shares_of_one(old: int, new: int, seed: int) -> None:
    source, share = widen(old, new, torch.Generator().manual_seed(seed))
    totals = torch.zeros(old, dtype=torch.double).index_add_(0, source, share)
    assert torch.allclose(totals[: min(old, new)], torch.ones(min(old, new)).double())
    assert share.min() > 0


# What cannot inherit --------------------------------------------------------------------------


def test_another_skeleton_is_refused() -> None:
    row = cell((NONE, NONE, NONE, CONV3, NONE, NONE))
    with pytest.raises(InputError, match="within one skeleton"):
        inherit(build(row), row, NASBench201Network(row, channels=4, cells=1), row)
    with pytest.raises(InputError, match="same images and classes"):
        inherit(ChainNetwork(chain(), 3), chain(), ChainNetwork(chain(), 4), chain())


def test_other_networks_are_refused() -> None:
    nodes = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
    network = NASBench101Network(nodes, channels=4, cells=1)
    with pytest.raises(InputError, match="got NASBench101Network"):
        inherit(network, nodes, network, nodes)
    assert distance(nodes, nodes) == 0


def test_layers_with_other_weights_are_refused() -> None:
    layers = chain("nor_conv_3x3-4")
    network = ChainNetwork(layers)
    with pytest.raises(InputError, match="convolution, batch norm and ReLU"):
        inherit(network, layers, network, layers)
