"""The network around a hierarchical cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.networks import HierarchicalNetwork, NASBench201Network
from graphbo.networks.flops import parameters
from graphbo.spaces import HierarchicalSpace, Hierarchy, flattened
from graphbo.training.graph import trace

SPACE = HierarchicalSpace(motifs=2, motif_nodes=3, nodes=3)
RESIDUAL = Architecture([INPUT, OUTPUT], [(0, 1, "nor_conv_3x3")])
TWICE = SPACE.join(
    Hierarchy(
        Architecture([INPUT, "", OUTPUT], [(0, 1, "motif_1"), (1, 2, "motif_1")]),
        {"motif_1": RESIDUAL},
    )
)


@pytest.mark.parametrize("size", [8, 5])
@pytest.mark.parametrize("seed", range(3))
def test_logits_have_one_column_per_class(size: int, seed: int) -> None:
    architecture = SPACE.sample(np.random.default_rng(seed)).architecture
    network = HierarchicalNetwork(architecture, 2, 1, classes=7, in_channels=2)
    assert network(torch.randn(3, 2, size, size)).shape == (3, 7)


def test_each_copy_of_a_motif_has_weights_of_its_own() -> None:
    empty = HierarchicalNetwork(Architecture([INPUT, OUTPUT], []), 2, 1, stages=1)
    network = HierarchicalNetwork(TWICE, 2, 1, stages=1)
    assert parameters(network) - parameters(empty) == 2 * (9 * 2 * 2 + 2 * 2)
    torch.manual_seed(0)
    network(torch.randn(8, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_it_is_the_network_of_the_flattened_cell() -> None:
    design = SPACE.sample(np.random.default_rng(1))
    torch.manual_seed(0)
    network = HierarchicalNetwork(design.architecture, 4, 1, width=0.5, stem_stride=2)
    torch.manual_seed(0)
    flat = NASBench201Network(flattened(design.architecture), 2, 1, stem_stride=2)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(network.eval()(x), flat.eval()(x))


def test_a_population_can_train_such_networks() -> None:
    kinds = [operation.kind for operation in trace(HierarchicalNetwork(TWICE, 2, 1), (3, 8, 8))]
    assert kinds.count("convolution") > 2


def test_unknown_operations_are_refused() -> None:
    space = HierarchicalSpace(["fft"], motifs=1, motif_nodes=2, nodes=2)
    with pytest.raises(ValueError, match="no module for the operation 'fft'"):
        HierarchicalNetwork(space.decode((1, 1)))
