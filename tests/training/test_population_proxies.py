from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import ChainNetwork, NASBench101Network, NASBench201Network
from graphbo.spaces import NASBench101Space, NASBench201Space
from graphbo.spaces.base import Row
from graphbo.training.population_proxies import population_proxies
from graphbo.training.proxies import PROXIES, proxy

SPACE = NASBench201Space()
EMPTY = Architecture(["input", "output"], [])
ROWS = st.tuples(*[st.integers(0, 4)] * 6)


def batch(n: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 2, 7, 7, generator=generator).double(), torch.arange(n) % 3


def alone(networks: list[nn.Module], names: list[str]) -> Tensor:
    scores = [[proxy(name, network, *batch()) for name in names] for network in networks]
    return torch.tensor(scores, dtype=torch.double)


def seeded(networks: list[nn.Module]) -> list[nn.Module]:
    generator = torch.Generator().manual_seed(0)
    for network in networks:
        network.double()
        for parameter in network.parameters():
            parameter.data.normal_(0, 0.5, generator=generator)
    return networks


@settings(max_examples=5)
@given(st.lists(ROWS, min_size=2, max_size=4))
def test_a_population_scores_cells_as_each_is_scored_alone(rows: list[Row]) -> None:
    # The empty cell, and one whose node is poolings of the same twice.
    cells = [EMPTY, SPACE.decode((4, 4, 0, 0, 3, 3)), *map(SPACE.decode, rows)]
    networks = seeded([NASBench201Network(cell, 4, 1, 3, 2) for cell in cells])
    names = list(PROXIES)
    together = population_proxies(networks, *batch(), names)
    assert together.shape == (len(cells), len(names))
    torch.testing.assert_close(together, alone(networks, names), rtol=1e-8, atol=1e-8)


def test_a_population_scores_other_networks_too() -> None:
    chains = [
        ChainNetwork(Architecture(["input", *layers, "output"], edges), 3, 2)
        for layers, edges in (
            (["conv3x3-4", "maxpool2", "conv5x5-6"], [(0, 1), (1, 2), (2, 3), (3, 4)]),
            (["conv1x1-5"], [(0, 1), (1, 2)]),
        )
    ]
    cell = Architecture(
        ["input", "conv3x3", "conv1x1", "maxpool3x3", "output"],
        [(0, 1), (0, 3), (1, 2), (2, 4), (3, 4), (0, 4)],
    )
    assert cell in NASBench101Space()
    networks = seeded([*chains, NASBench101Network(cell, 6, 1, 2, 3, 2)])
    names = list(PROXIES)
    together = population_proxies(networks, *batch(), names)
    torch.testing.assert_close(together, alone(networks, names), rtol=1e-8, atol=1e-8)


def test_networks_that_cannot_run_together_are_scored_one_by_one() -> None:
    networks = seeded([nn.Sequential(nn.Conv2d(2, 3, 7), nn.Tanh(), nn.Flatten())] * 2)
    names = ["snip", "synflow"]
    together = population_proxies(networks, *batch(), names)
    torch.testing.assert_close(together, alone(networks, names))


def test_proxies_that_users_add_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROXIES, "depth", lambda network, x, y: float(len(network)))
    networks: list[nn.Module] = [nn.Sequential(nn.Flatten()), nn.Sequential()]
    assert population_proxies(networks, *batch(), ["depth"]).tolist() == [[1.0], [0.0]]


def test_an_unknown_proxy_is_refused() -> None:
    with pytest.raises(InputError, match="there is no proxy 'magic'"):
        population_proxies([nn.Flatten()], *batch(), ["magic"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_scores_on_a_gpu_are_those_on_the_cpu() -> None:
    rows = [(0, 3, 1, 2, 4, 3), (3, 0, 0, 1, 2, 0)]
    networks = seeded([NASBench201Network(SPACE.decode(row), 4, 1, 3, 2) for row in rows])
    names = list(PROXIES)
    expected = population_proxies(networks, *batch(), names)
    x, y = batch()
    found = population_proxies([n.cuda() for n in networks], x.cuda(), y.cuda(), names)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
