"""The network around a random graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.networks import RandomlyWiredNetwork
from graphbo.networks.flops import parameters
from graphbo.networks.randomly_wired import WiredNode, WiredStage
from graphbo.spaces import RandomlyWiredSpace
from graphbo.spaces.randomly_wired import wired

SPACE = RandomlyWiredSpace(seeds=3)
SAMPLE = SPACE.sample(np.random.default_rng(0)).architecture
DIAMOND = wired(4, [(0, 1), (0, 2), (1, 3), (2, 3)])


def test_a_node_weighs_sums_and_transforms() -> None:
    node = WiredNode(3, 2, 5).eval()
    torch.nn.init.normal_(node.weights)
    tensors = [torch.randn(4, 2, 6, 6) for _ in range(3)]
    weights = node.weights.sigmoid()
    assert (weights > 0).all()
    total = sum(w * t for w, t in zip(weights, tensors, strict=True))
    torch.testing.assert_close(node(tensors), node.layers(total))
    kinds = [type(layer).__name__ for layer in node.layers]
    assert kinds == ["ReLU", "Conv2d", "Conv2d", "BatchNorm2d"]
    # Weights of the sum, the depthwise and the 1x1 convolution, batch norm.
    assert parameters(node) == 3 + 2 * 9 + 2 * 5 + 2 * 5


def test_a_stage_is_wired_like_its_graph_and_averages_at_its_end() -> None:
    stage = WiredStage(wired(3, [(0, 1)]), 2, 4).eval()
    x = torch.randn(3, 2, 6, 6)
    first, second, alone = (stage.nodes[name] for name in "123")
    torch.testing.assert_close(stage(x), (second([first([x])]) + alone([x])) / 2)


def test_only_nodes_that_the_input_feeds_have_a_stride() -> None:
    stage = WiredStage(DIAMOND, 3, 5, stride=2)
    convolutions = [node.layers[1] for node in stage.nodes.values()]
    assert [layer.stride for layer in convolutions] == [(2, 2), (1, 1), (1, 1), (1, 1)]
    assert stage(torch.randn(2, 3, 7, 7)).shape == (2, 5, 4, 4)


def test_the_number_of_parameters_follows_from_nodes_and_edges() -> None:
    def stage(before: int, after: int) -> int:
        # Every node but the first reads the stage's channels; DIAMOND has 5 weighted edges.
        nodes = (before, after, after, after)
        return 5 + sum(9 * c + c * after + 2 * after for c in nodes)

    network = RandomlyWiredNetwork(DIAMOND, channels=8, stages=3, classes=7, in_channels=2)
    stem, head = 2 * 8 * 9 + 2 * 8, 32 * 7 + 7
    assert parameters(network) == stem + stage(8, 8) + stage(8, 16) + stage(16, 32) + head


@pytest.mark.parametrize("size", [12, 5, 1])
@pytest.mark.parametrize("stages", [1, 3])
def test_logits_have_one_column_per_class(size: int, stages: int) -> None:
    network = RandomlyWiredNetwork(SAMPLE, 4, stages, classes=7, in_channels=2, stem_stride=2)
    assert network(torch.randn(3, 2, size, size)).shape == (3, 7)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    network = RandomlyWiredNetwork(SAMPLE, channels=4, stages=2, in_channels=1)
    network(torch.randn(8, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_isomorphic_drawings_are_one_network() -> None:
    torch.manual_seed(0)
    network = RandomlyWiredNetwork(DIAMOND, 4, 2)
    again = RandomlyWiredNetwork(DIAMOND.canonical(), 4, 2)
    assert parameters(network) == parameters(again)


def test_the_width_multiplies_the_channels() -> None:
    wide = RandomlyWiredNetwork(SAMPLE, channels=4, width=2.0)
    assert parameters(wide) == parameters(RandomlyWiredNetwork(SAMPLE, channels=8))


def test_what_is_no_such_network_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 stage; got 0"):
        RandomlyWiredNetwork(SAMPLE, stages=0)
    chain = Architecture([INPUT, "conv3x3", OUTPUT], [(0, 1), (1, 2)])
    with pytest.raises(InputError, match="every node of a randomly wired network is 'sepconv3x3'"):
        RandomlyWiredNetwork(chain)
    for edges in ([(0, 1), (1, 2), (0, 2), (2, 3)], [(0, 1), (1, 2), (2, 3), (0, 3)], []):
        nodes = [INPUT, "sepconv3x3", "sepconv3x3", OUTPUT]
        with pytest.raises(InputError, match="feeds the nodes that nothing else feeds"):
            RandomlyWiredNetwork(Architecture(nodes, edges))
