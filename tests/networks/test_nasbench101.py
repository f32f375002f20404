from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch

from graphbo.architecture import Architecture
from graphbo.networks import NASBench101Network
from graphbo.networks.nasbench101 import vertex_channels
from graphbo.spaces import NASBench101Space
from graphbo.spaces.nasbench101 import OPERATIONS

CHAIN = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2)])
DIRECT = Architecture(["input", "output"], [(0, 1)])
# Three vertices feed the output; vertex 1 feeds only vertex 2.
FOUR = Architecture(
    ["input", "conv3x3", "conv1x1", "maxpool3x3", "conv3x3", "output"],
    [(0, 1), (1, 2), (0, 3), (2, 4), (2, 5), (3, 5), (4, 5), (0, 5)],
)


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_channels_are_divided_among_the_vertices_that_feed_the_output() -> None:
    assert vertex_channels(FOUR, 128) == [0, 43, 43, 43, 42, 128]
    assert vertex_channels(CHAIN, 128) == [0, 128, 128]
    assert vertex_channels(DIRECT, 128) == [0, 128]


@pytest.mark.parametrize("channels", [8, 12])
def test_parameter_count_follows_the_formula(channels: int) -> None:
    def convolution(k: int, a: int, b: int) -> int:
        return k * k * a * b + 2 * b

    total, width = convolution(3, 3, channels), channels
    for stack in range(3):
        c = channels * 2**stack
        for _ in range(2):
            total += convolution(1, width, c) + convolution(3, c, c)
            width = c
    total += width * 10 + 10
    assert parameters(NASBench101Network(CHAIN, channels, cells=2)) == total


def _orders(cell: Architecture) -> list[Architecture]:
    """The cell in every topological order of its vertices."""
    found = []
    for order in nx.all_topological_sorts(cell.to_networkx()):
        position = {node: i for i, node in enumerate(order)}
        edges = [(position[u], position[v]) for u, v, _ in cell.edges]
        found.append(Architecture([cell.nodes[node] for node in order], edges))
    return found


@pytest.mark.slow
def test_parameter_count_equals_the_published_one(data_folder: Path) -> None:
    # Where the channels of the output divide evenly the count is the same in every order of the
    # vertices. Elsewhere the table may hold the count of another order than the one it lists.
    with np.load(data_folder / "nasbench101_20k.npz", allow_pickle=False) as table:
        columns = [table[name] for name in ("adjacency", "ops", "num_vertices", "params")]
    as_listed = 0
    for i in np.random.default_rng(0).choice(len(columns[0]), 40, replace=False):
        adjacency, labels, n, published = (column[i] for column in columns)
        cell = Architecture(
            ["input", *(OPERATIONS[k] for k in labels[1 : n - 1]), "output"],
            [(int(u), int(v)) for u, v in np.argwhere(adjacency)],
        )
        feeding = sum(v == n - 1 and u > 0 for u, v, _ in cell.edges)
        with torch.device("meta"):
            if parameters(NASBench101Network(cell)) == published:
                as_listed += 1
                continue
            assert 128 % feeding, cell
            assert published in {parameters(NASBench101Network(o)) for o in _orders(cell)}, cell
    assert as_listed > 30


@pytest.mark.parametrize("cell", [CHAIN, DIRECT, FOUR])
def test_shapes_and_gradients(cell: Architecture) -> None:
    torch.manual_seed(0)
    network = NASBench101Network(cell, channels=8, cells=2, stacks=2, classes=7, in_channels=2)
    logits = network(torch.randn(8, 2, 9, 9))
    assert logits.shape == (8, 7)
    logits.square().sum().backward()
    without = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert without == []


def test_random_cells_can_be_built_and_run() -> None:
    space, rng = NASBench101Space(), np.random.default_rng(0)
    for _ in range(20):
        network = NASBench101Network(space.sample(rng).architecture, channels=8, cells=1)
        assert network(torch.randn(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Architecture(["input", "output"], []), "does not connect its input to its output"),
        (Architecture(["input", "output"], [(0, 1, "conv1x1")]), "an edge carries 'conv1x1'"),
        (
            Architecture(["input", "dense", "output"], [(0, 1), (1, 2)]),
            "no module for the operation 'dense'",
        ),
    ],
)
def test_cells_that_do_not_fit_are_refused(cell: Architecture, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NASBench101Network(cell)


def test_too_few_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="2 channels are too few"):
        NASBench101Network(FOUR, channels=2)
