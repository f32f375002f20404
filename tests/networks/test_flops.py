from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import ChainNetwork, NASBench201Network
from graphbo.networks.flops import flops, latency, parameters
from graphbo.spaces import NASBench201Space

SPACE = NASBench201Space()


def cell(label: str) -> Architecture:
    return Architecture(["input", "output"], [(0, 1, label)])


@pytest.mark.parametrize(
    ("module", "shape", "count"),
    [
        (nn.Conv2d(3, 16, 3, padding=1), (3, 32, 32), 32 * 32 * 16 * 3 * 9),
        (nn.Conv2d(3, 16, 3, padding=1, stride=2), (3, 9, 8), 5 * 4 * 16 * 3 * 9),
        (nn.Conv2d(8, 12, 1, groups=4), (8, 5, 5), 25 * 12 * 2),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 7)), (3, 2, 2), 12 * 7),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), (3, 4, 4), 0),
    ],
)
def test_multiply_adds_by_hand(module: nn.Module, shape: tuple[int, ...], count: int) -> None:
    assert flops(module, shape) == count


def test_a_module_that_is_used_twice_counts_twice() -> None:
    shared = nn.Conv2d(2, 2, 1)
    assert flops(nn.Sequential(shared, shared), (2, 3, 3)) == 2 * 9 * 4
    assert parameters(nn.Sequential(shared, shared)) == 6


def test_a_network_of_nasbench201_by_hand() -> None:
    # 32x32 images, 16 channels, two cells in a stage, one 3x3 convolution in each cell.
    network = NASBench201Network(cell("nor_conv_3x3"), channels=16, cells=2, classes=10)
    count = 32 * 32 * 9 * 3 * 16  # stem
    for stage, (side, channels) in enumerate([(32, 16), (16, 32), (8, 64)]):
        count += 2 * side**2 * 9 * channels**2
        if stage:  # the residual block and its shortcut
            count += side**2 * (9 * (channels // 2) * channels + 9 * channels**2)
            count += side**2 * (channels // 2) * channels
    assert flops(network, (3, 32, 32)) == count + 640


def test_operations_without_weights_are_free() -> None:
    counts = [
        flops(NASBench201Network(cell(label), channels=4, cells=1), (3, 8, 8))
        for label in ("skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3")
    ]
    assert counts[0] == counts[1] < counts[2] < counts[3]


@pytest.mark.slow
def test_counts_differ_from_the_published_ones_by_what_the_docstring_says(
    data_folder: Path,
) -> None:
    # Only rows that pruning leaves whole: the benchmark counts what is cut off as well.
    with np.load(data_folder / "nasbench201.npz", allow_pickle=False) as table:
        texts, published = table["arch_str"], table["cifar10_flops_M"].astype(float)
    pixels = 5 * (16 * 32**2 + 32 * 16**2 + 64 * 8**2) / 1e6
    rest = []
    for i in np.random.default_rng(0).permutation(len(texts))[:30]:
        architecture = SPACE.parse(str(texts[i]))
        kinds = Counter(part.split("~")[0] for part in texts[i].replace("+", "").split("|"))
        if len(architecture.edges) == 6 - kinds["none"]:
            with torch.device("meta"):
                network = NASBench201Network(architecture)
            convolutions = kinds["nor_conv_1x1"] + kinds["nor_conv_3x3"]
            known = flops(network, (3, 32, 32)) / 1e6
            known += pixels * (3 * convolutions + 9 * kinds["avg_pool_3x3"])
            rest.append(published[i] - known)
    assert len(rest) > 5
    assert np.ptp(rest) < 1e-4  # the skeleton, the same for all
    assert 0 < np.mean(rest) < 0.2


def test_counting_leaves_the_network_and_the_random_state_as_they_were() -> None:
    network = nn.Sequential(
        nn.Dropout(0.5), NASBench201Network(cell("nor_conv_3x3"), channels=4, cells=1)
    )
    network[1].layers.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    flops(network, (3, 8, 8))
    latency(network, (3, 8, 8), repeats=1)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in network.modules())


def test_transposed_convolutions_are_refused() -> None:
    with pytest.raises(InputError, match="transposed"):
        flops(nn.ConvTranspose2d(2, 2, 2), (2, 4, 4))


def test_latency_is_higher_for_more_work() -> None:
    chain = Architecture(["input", "conv3x3-32", "conv3x3-32", "output"], [(0, 1), (1, 2), (2, 3)])
    network = ChainNetwork(chain)
    small, large = (latency(network, (3, side, side), repeats=5) for side in (4, 64))
    assert 0 < small < large < 10_000
    assert latency(network, (3, 4, 4), "cpu", batch=256, repeats=5) > small


@pytest.mark.parametrize("settings", [{"batch": 0}, {"repeats": 0}])
def test_latency_of_nothing_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be at least 1"):
        latency(nn.Identity(), (1, 2, 2), **settings)
