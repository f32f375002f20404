"""The network around the cells of DARTS."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.networks import DARTS_OPERATIONS, DARTSNetwork
from graphbo.networks.darts import DARTSCell, DropPath, FactorizedReduction
from graphbo.networks.flops import flops, parameters
from graphbo.spaces import DARTSSpace, Genotype
from graphbo.training.graph import UntraceableError, trace

SPACE = DARTSSpace()
SAMPLE = SPACE.sample(np.random.default_rng(0)).architecture


def genotype(operation: str, nodes: int = 4) -> Genotype:
    """Return cells that do the same everywhere, on their two inputs."""
    concat = list(range(2, nodes + 2))
    return Genotype(
        *([(operation, 0), (operation, 1)] * nodes, concat),
        *([(operation, 0), (operation, 1)] * nodes, concat),
    )


def test_the_cells_of_the_paper_have_the_published_number_of_parameters_and_flops() -> None:
    v2 = Genotype(
        normal=[
            *(("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
            *(("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)),
        ],
        normal_concat=[2, 3, 4, 5],
        reduce=[
            *(("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1)),
            *(("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)),
        ],
        reduce_concat=[2, 3, 4, 5],
    )
    network = DARTSNetwork(SPACE.from_genotype(v2), channels=36, cells=20)
    # The authors' training script prints "param size = 3.349342MB".
    assert parameters(network) == 3_349_342
    assert flops(network, (3, 32, 32)) == pytest.approx(528e6, rel=0.01)


@pytest.mark.parametrize("size", [8, 7, 1])
@pytest.mark.parametrize("operation", list(DARTS_OPERATIONS))
def test_every_operation_halves_the_image_at_stride_2_and_keeps_it_at_stride_1(
    operation: str, size: int
) -> None:
    x = torch.randn(2, 3, size, size)
    assert DARTS_OPERATIONS[operation](3, 1)(x).shape == x.shape
    assert DARTS_OPERATIONS[operation](3, 2)(x).shape == (2, 3, (size + 1) // 2, (size + 1) // 2)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_factorized_reduction_reads_two_shifted_grids(channels: int) -> None:
    reduction = FactorizedReduction(1, channels).eval()
    x = torch.arange(16.0).view(1, 1, 4, 4)
    even, odd = x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]
    half = channels // 2
    expected = [even * w for w in reduction.even.weight.flatten()]
    if reduction.odd is not None:
        expected += [odd * w for w in reduction.odd.weight.flatten()]
    assert len(expected) == channels
    assert (reduction.odd is None) == (half == 0)
    torch.testing.assert_close(
        reduction(x), torch.cat(expected, 1) / (1 + reduction.norm.eps) ** 0.5
    )


def test_a_node_sums_its_operations_and_the_output_concatenates_the_nodes() -> None:
    cell = SPACE.split(SPACE.from_genotype(genotype("skip_connect")))["normal"]
    module = DARTSCell(cell, (3, 2), channels=5, reduction=False, reduced=False).eval()
    first, second = torch.randn(2, 3, 6, 6), torch.randn(2, 2, 6, 6)
    node = module.preprocess[0](first) + module.preprocess[1](second)
    torch.testing.assert_close(module(first, second), torch.cat([node] * 4, 1))


def test_cells_at_one_and_two_thirds_reduce_and_double_the_channels() -> None:
    network = DARTSNetwork(SAMPLE, channels=2, cells=7, in_channels=1)
    shapes: list[tuple[int, ...]] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda *args: shapes.append(tuple(args[-1].shape[1:])))
    network(torch.randn(2, 1, 12, 12))
    assert shapes == [(8, 12, 12)] * 2 + [(16, 6, 6)] * 2 + [(32, 3, 3)] * 3


@pytest.mark.parametrize("size", [8, 5, 1])
@pytest.mark.parametrize("cells", [1, 2, 3])
def test_logits_have_one_column_per_class(size: int, cells: int) -> None:
    network = DARTSNetwork(SAMPLE, channels=2, cells=cells, classes=7, in_channels=2)
    assert network(torch.randn(3, 2, size, size)).shape == (3, 7)


def test_the_first_convolution_may_halve_the_image() -> None:
    network = DARTSNetwork(SAMPLE, channels=2, cells=1, stem_stride=2)
    assert network.stem(torch.randn(1, 3, 7, 7)).shape == (1, 6, 4, 4)


def test_the_width_multiplies_the_channels() -> None:
    wide = DARTSNetwork(SAMPLE, channels=4, cells=3, width=2.0)
    assert parameters(wide) == parameters(DARTSNetwork(SAMPLE, channels=8, cells=3))


def test_cells_with_other_nodes_and_operations_build() -> None:
    space = DARTSSpace(["skip_connect", "dil_conv_3x3"], nodes=2)
    network = DARTSNetwork(space.sample(np.random.default_rng(0)).architecture, 2, 3)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_gradients_reach_every_parameter_of_a_used_operation() -> None:
    torch.manual_seed(0)
    network = DARTSNetwork(SPACE.from_genotype(genotype("sep_conv_3x3")), 2, 3, in_channels=1)
    network(torch.randn(8, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_dropped_paths_are_zero_for_whole_images_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 2, 1, 1)
    result = drop(x).flatten(1)
    torch.testing.assert_close(result.unique(), torch.tensor([0, 4 / 3]))
    assert (result[:, 0] == result[:, 1]).all()
    assert result.mean() == pytest.approx(1, abs=0.05)
    assert drop.eval()(x) is x


def test_drop_path_leaves_skip_connections_and_evaluation_as_they_are() -> None:
    skips = DARTSNetwork(SPACE.from_genotype(genotype("skip_connect")), 2, 1, drop_path=0.5)
    assert sum(isinstance(module, DropPath) for module in skips.modules()) == 8  # of stride 2
    torch.manual_seed(0)
    plain = DARTSNetwork(SAMPLE, 2, 3)
    torch.manual_seed(0)
    dropping = DARTSNetwork(SAMPLE, 2, 3, drop_path=0.5)
    x = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(plain.eval()(x), dropping.eval()(x))


def test_a_population_says_that_it_cannot_train_such_networks() -> None:
    with pytest.raises(UntraceableError):
        trace(DARTSNetwork(SAMPLE, 2, 3, drop_path=0.5), (3, 8, 8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"cells": 0}, "at least 1 cell"), ({"drop_path": 1.0}, "below 1"), ({"width": 0}, "width")],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DARTSNetwork(SAMPLE, **{"channels": 2, "cells": 1, **settings})  # type: ignore[arg-type]


def test_what_is_no_pair_of_such_cells_is_refused() -> None:
    chain = Architecture([INPUT, "sep_conv_3x3", OUTPUT], [(0, 1), (1, 2)])
    with pytest.raises(
        ValueError, match=r"the parts \('normal', 'reduce'\)|\['normal', 'reduce'\]"
    ):
        DARTSNetwork(chain)
    with pytest.raises(InputError, match="a cell of DARTS has inputs"):
        DARTSCell(chain, (1, 1), 2, reduction=False, reduced=False)
    unknown = DARTSSpace(["conv_7x1"]).sample(np.random.default_rng(0)).architecture
    with pytest.raises(InputError, match="no module for the operation 'conv_7x1'"):
        DARTSNetwork(unknown, 2, 1)
