"""Networks that several tests of training share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from graphbo.architecture import Architecture
from graphbo.networks import ChainNetwork, NASBench101Network, NASBench201Network
from graphbo.spaces import NASBench101Space, NASBench201Space

CLASSES, CHANNELS = 3, 2
EDGES, NODES = NASBench201Space(), NASBench101Space()
WIDTHS = st.sampled_from([1, 3, 4, 8])
SEEDS = st.integers(0, 2**20)


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Make a network in float64 whose weights follow the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().double()


def _edges(
    row: tuple[int, ...], channels: int, cells: int, stages: int, stride: int, seed: int
) -> nn.Module:
    options = {"stages": stages, "stem_stride": stride}
    cell = EDGES.decode(row)
    return seeded(
        lambda: NASBench201Network(cell, channels, cells, CLASSES, CHANNELS, **options), seed
    )


def _nodes(seed: int, channels: int, stacks: int) -> nn.Module:
    cell = NODES.sample(np.random.default_rng(seed)).architecture
    return seeded(lambda: NASBench101Network(cell, channels, 1, stacks, CLASSES, CHANNELS), seed)


def _chain(layers: list[str], seed: int) -> nn.Module:
    edges = [(i, i + 1) for i in range(len(layers) + 1)]
    chain = Architecture(["input", *layers, "output"], edges)
    return seeded(lambda: ChainNetwork(chain, CLASSES, CHANNELS), seed)


LAYERS = st.sampled_from(
    ["conv3x3-4", "conv1x1-3", "conv5x5-8", "conv3x3-1", "maxpool2", "avgpool2", "maxpool3x3"]
)
NETWORKS = st.one_of(
    st.builds(
        _edges,
        st.tuples(*[st.integers(0, 4)] * 6),
        WIDTHS,
        st.integers(1, 2),
        st.integers(1, 3),
        st.integers(1, 2),
        SEEDS,
    ),
    st.builds(_nodes, SEEDS, st.sampled_from([5, 8]), st.integers(1, 2)),
    st.builds(_chain, st.lists(LAYERS, max_size=4), SEEDS),
)


@pytest.fixture(scope="session")
def networks() -> st.SearchStrategy[nn.Module]:
    """Networks of all spaces for images with 2 channels and 3 classes, in float64."""
    return NETWORKS


@pytest.fixture(scope="session")
def edge_network() -> Callable[..., nn.Module]:
    """Makes the network of a row of NAS-Bench-201 with a seed; one cell in each of two stages."""

    def make(row: tuple[int, ...], channels: int = 4, seed: int = 0) -> nn.Module:
        return _edges(row, channels, 1, 2, 1, seed)

    return make
