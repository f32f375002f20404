from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import NASBench101Network, NASBench201Network
from graphbo.spaces import NASBench201Space
from graphbo.training.proxies import PROXIES, proxy

SPACE = NASBench201Space()
EMPTY = Architecture(["input", "output"], [])


def linear(*rows: list[float], bias: bool = False) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


def batch(n: int = 6, channels: int = 2, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, channels, size, size, dtype=torch.double, generator=generator)
    return x, torch.arange(n) % 3


def network(architecture: Architecture, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = NASBench201Network(architecture, channels=4, cells=1, classes=3, in_channels=2)
    return built.double()


# Closed forms ---------------------------------------------------------------------------------

X = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
Y = torch.tensor([0, 1])


def test_parameters_and_flops_count() -> None:
    net = linear([1.0, 2.0], [3.0, 4.0], bias=True)
    assert proxy("parameters", net, X, Y) == 6
    assert proxy("flops", nn.Sequential(nn.Flatten(), net), X[..., None, None], Y) == 4


def test_synflow_of_two_layers_sums_the_paths_of_each() -> None:
    """R = 1^T |W2| |W1| 1; each layer's w dR/dw sum up to R, so that the flow is 2 R."""
    net = nn.Sequential(linear([1.0, -2.0], [0.5, 0.0]), nn.ReLU(), linear([-3.0, 4.0]))
    total = 3 * (1 + 2) + 4 * 0.5
    assert proxy("synflow", net, X, Y) == pytest.approx(math.log1p(2 * total))


def test_synflow_leaves_batch_norm_out() -> None:
    convolution = nn.Conv2d(1, 1, 1, bias=False)
    norm = nn.BatchNorm2d(1)
    with torch.no_grad():
        convolution.weight.fill_(-2.0)
        norm.weight.fill_(7.0)
    x = torch.randn(3, 1, 2, 2)
    net = nn.Sequential(convolution, norm, nn.Flatten())
    assert proxy("synflow", net, x, Y) == pytest.approx(math.log1p(2 * 4))


def test_synflow_does_not_overflow() -> None:
    layers = [linear([1e100]) for _ in range(5)]
    score = proxy("synflow", nn.Sequential(*layers), X[:, :1], Y)
    assert score == pytest.approx(math.log(torch.finfo(torch.double).max))


def test_naswot_of_known_codes() -> None:
    """Codes 10, 01 and 11: K = [[2, 0, 1], [0, 2, 1], [1, 1, 2]], and det(K + I) = 21."""
    net = nn.Sequential(linear([1.0, 0.0], [0.0, 1.0]), nn.ReLU(), linear([1.0, 1.0]))
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    assert proxy("naswot", net, x, Y) == pytest.approx(math.log(21))


def test_naswot_of_equal_codes_is_finite() -> None:
    net = nn.Sequential(linear([1.0, 1.0]), nn.ReLU(), nn.Linear(1, 2))
    assert proxy("naswot", net, X, Y) == pytest.approx(math.log(2 * 1 + 1))
    assert proxy("naswot", nn.Linear(2, 2), X, Y) == 0


def test_naswot_counts_only_what_reaches_the_logits() -> None:
    class Distracted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            self.second(-x)
            out: Tensor = self.first(x)
            return out

    assert proxy("naswot", Distracted(), X, Y) == proxy("naswot", nn.ReLU(), X, Y)


def test_grad_norm_and_snip_of_softmax_regression() -> None:
    """At zero logits the gradient is the mean of (1/2 - onehot) x^T: [[-1, 1], [1, -1]] / 4."""
    net = linear([0.0, 0.0], [0.0, 0.0], bias=True)
    nn.init.zeros_(net.bias)
    assert proxy("grad_norm", net, X, Y) == pytest.approx(0.5)
    assert proxy("snip", net, X, Y) == 0
    net = linear([2.0, 2.0], [2.0, 2.0])
    assert proxy("snip", net, X, Y) == pytest.approx(4 * 2 / 4)


def test_grad_norm_adds_the_norms_of_layers() -> None:
    net = nn.Sequential(linear([1.0, 0.0], [0.0, 1.0]), linear([0.0, 0.0], [0.0, 0.0]))
    # The last layer is zero, so that nothing reaches the first.
    assert proxy("grad_norm", net, X, Y) == pytest.approx(0.5)


def test_jacobian_covariance_is_best_for_gradients_without_correlation() -> None:
    """Where a ReLU lets different inputs through, the correlations are known."""
    x = torch.tensor([[1.0, -1.0, -1.0, -1.0], [-1.0, 1.0, -1.0, -1.0]])
    r = -1 / 3  # of [1, 0, 0, 0] and [0, 1, 0, 0]
    expected = -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in (1 + r, 1 - r))
    assert proxy("jacobian_covariance", nn.ReLU(), x, Y) == pytest.approx(expected)
    same = proxy("jacobian_covariance", nn.ReLU(), x[[0, 0]], Y)
    constant = proxy("jacobian_covariance", linear([0.0] * 4), x, Y)
    assert same == pytest.approx(constant)
    assert constant < -1e4


# Networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROXIES)
def test_every_proxy_is_finite_on_every_kind_of_cell(name: str) -> None:
    texts = [
        "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|",
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    ]
    for cell in (EMPTY, *map(SPACE.parse, texts)):
        assert math.isfinite(proxy(name, network(cell), *batch()))


def test_the_empty_cell_passes_nothing_on() -> None:
    net = network(EMPTY)
    assert proxy("synflow", net, *batch()) == 0
    assert proxy("snip", net, *batch()) == 0
    assert proxy("grad_norm", net, *batch()) == 0
    # Only the ReLU of the head, of 16 channels of 2x2 pixels, reaches the logits.
    assert proxy("naswot", net, *batch()) == pytest.approx(math.log(6 * 64 + 1))


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_leaves_the_network_as_it_was(name: str) -> None:
    net = network(SPACE.parse("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"))
    net.eval()
    before = copy.deepcopy(net.state_dict())
    first = proxy(name, net, *batch())
    assert proxy(name, net, *batch()) == first
    assert not any(module.training for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())


def test_cells_on_nodes_have_proxies_too() -> None:
    cell = Architecture(["input", "conv3x3", "maxpool3x3", "output"], [(0, 1), (1, 2), (2, 3)])
    net = NASBench101Network(cell, channels=4, cells=1, classes=3, in_channels=2).double()
    assert all(math.isfinite(proxy(name, net, *batch())) for name in PROXIES)


def test_an_unknown_proxy_is_refused() -> None:
    with pytest.raises(InputError, match="there is no proxy 'magic'; choose from"):
        proxy("magic", nn.Linear(2, 2), X, Y)
