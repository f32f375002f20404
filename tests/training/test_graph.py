from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from graphbo.architecture import Architecture
from graphbo.networks import NASBench201Network
from graphbo.training.graph import UntraceableError, trace

SHAPE = (2, 5, 7)


class Network(nn.Module):
    """A function of a convolution and of images, with a classifier that follows."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.convolution = nn.Conv2d(2, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.BatchNorm2d(2)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("shift", torch.ones(()))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.function(self, x))
        return logits


def kinds(network: nn.Module) -> list[str]:
    return [operation.kind for operation in trace(network, SHAPE)]


def test_a_convolution_takes_up_the_norm_and_the_rectifier_that_alone_read_it() -> None:
    body = nn.Sequential(nn.Conv2d(2, 3, 3, 2), nn.BatchNorm2d(3), nn.ReLU())
    network = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    images, convolution, mean, flat, linear, output = trace(network, SHAPE)
    assert (images.kind, images.shape) == ("images", SHAPE)
    assert (convolution.kind, convolution.shape) == ("convolution", (3, 2, 3))
    assert convolution.modules == ("0.0", "0.1")
    assert (mean.shape, flat.shape, linear.shape) == ((3, 1, 1), (3,), (3,))
    assert (output.kind, output.inputs, output.shape) == ("output", (4,), (3,))


def test_what_others_read_is_not_taken_up() -> None:
    def twice(self: Network, x: Tensor) -> Tensor:
        found = self.convolution(x)
        return found + self.norm(found)

    assert kinds(Network(twice))[:4] == ["images", "convolution", "batch_norm", "sum"]


def test_sums_are_flat_and_what_is_computed_twice_is_computed_once() -> None:
    def sums(self: Network, x: Tensor) -> Tensor:
        return (torch.relu(x) + x) + (functional.relu(x) + x.relu())

    operations = trace(Network(sums), SHAPE)
    assert [operation.kind for operation in operations[:3]] == ["images", "relu", "sum"]
    assert operations[1].repeats == 3
    assert operations[2].inputs == (1, 0, 1, 1)


def test_what_does_not_reach_the_logits_is_left_out() -> None:
    cell = Architecture(["input", "output"], [])
    network = NASBench201Network(cell, 4, 1, 3, 2, stages=1)
    operations = trace(network, SHAPE)
    assert [o.kind for o in operations] == [
        *("images", "zeros", "batch_norm", "relu", "mean", "flatten", "linear", "output")
    ]
    assert not any("stem" in name for operation in operations for name in operation.modules)


def test_channels_are_narrowed_and_joined() -> None:
    def joined(self: Network, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], self.convolution(x)[:, 1:], x[:, :2]], 1)[:, :2]

    operations = trace(Network(joined), SHAPE)
    assert [(o.kind, o.shape) for o in operations[1:6]] == [
        ("narrow", (1, 5, 7)),
        ("convolution", (2, 5, 7)),
        ("narrow", (1, 5, 7)),
        ("cat", (4, 5, 7)),
        ("narrow", (2, 5, 7)),
    ]


def test_rectifying_in_place_is_no_matter_where_nothing_else_reads() -> None:
    assert "relu" in kinds(Network(lambda self, x: self.relu(self.norm(x))))


def flow(self: Network, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def in_place(self: Network, x: Tensor) -> Tensor:
    found = self.convolution(x)
    return self.relu(found) + found


REFUSED: dict[str, tuple[Callable[[Network, Tensor], Tensor], str]] = {
    "control flow that depends on the images": (flow, "cannot be traced"),
    "a size of the batch": (lambda self, x: x * len(x), "cannot be traced"),
    "another function": (lambda self, x: torch.sigmoid(x), "cannot compute .*sigmoid"),
    "dropout as a function": (lambda self, x: functional.dropout(x), "cannot compute .*dropout"),
    "a weight of its own": (lambda self, x: x + self.scale, "cannot compute .*scale"),
    "a number": (lambda self, x: x + 1, "cannot compute"),
    "a scaled sum": (lambda self, x: torch.add(x, x, alpha=2), "cannot compute"),
    "broadcasting": (lambda self, x: x + x[:, :1], "tensors of different shapes"),
    "rows joined": (lambda self, x: torch.cat([x, x], 2), "concatenate channels only"),
    "a slice of rows": (lambda self, x: x[:, :, 1:], "cannot compute"),
    "a module used twice": (
        lambda self, x: self.convolution(self.convolution(x)),
        "'convolution' has weights that are used twice",
    ),
    "a module called by keyword": (lambda self, x: self.relu(input=x), "one tensor only"),
    "an unforeseen call": (lambda self, x: torch.relu(input=x), "cannot compute"),
    "what others read changed in place": (in_place, "'relu' changes in place"),
    "images changed in place": (lambda self, x: self.relu(x), "'relu' changes in place"),
    "a function in place": (lambda self, x: functional.relu(x, inplace=True), "in modules only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_functions_that_a_population_cannot_compute_are_refused(case: str) -> None:
    function, message = REFUSED[case]
    with pytest.raises(UntraceableError, match=message):
        trace(Network(function), SHAPE)


def frozen() -> nn.Module:
    return nn.Conv2d(2, 3, (5, 7)).requires_grad_(False)


def hooked() -> nn.Module:
    module = nn.Conv2d(2, 3, (5, 7))
    module.register_forward_hook(lambda module, given, found: found + 1)
    return module


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Dropout(0.5), "cannot train the module '0', a Dropout"),
        (lambda: nn.LSTM(7, 3), "cannot train the module '0', a LSTM"),
        (lambda: nn.GroupNorm(1, 2), "a GroupNorm"),
        (lambda: nn.Conv2d(2, 3, 3, padding_mode="reflect"), "number of zeros only"),
        (lambda: nn.Conv2d(2, 3, 3, padding="same"), "number of zeros only"),
        (lambda: nn.BatchNorm2d(2, affine=False), "needs batch norm with scales"),
        (lambda: nn.BatchNorm2d(2, momentum=None), "needs batch norm with scales"),
        (lambda: nn.MaxPool2d(2, dilation=2), "without dilation"),
        (lambda: nn.AdaptiveAvgPool2d(2), "to one pixel only"),
        (lambda: nn.Flatten(2), "all but the images"),
        (lambda: parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), "ParametrizedConv2d"),
        (frozen, "trains all weights; '0' has frozen ones"),
        (hooked, "hooks of the module '0'"),
    ],
)
def test_modules_that_a_population_cannot_train_are_refused(
    make: Callable[[], nn.Module], message: str
) -> None:
    with pytest.raises(UntraceableError, match=message):
        trace(nn.Sequential(make(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), SHAPE)


def test_tied_weights_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1))
    network[1].weight = network[0].weight
    with pytest.raises(UntraceableError, match="'1' has weights that are used twice"):
        trace(network, SHAPE)


def test_a_network_that_returns_several_things_is_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    with pytest.raises(UntraceableError, match="in an unknown way"):
        trace(Two(), SHAPE)


class DropsPaths(nn.Module):
    """Leaves a block out at random while it trains, as stochastic depth does."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.block = nn.Conv2d(1, 1, 3, padding=1)
        self.last = nn.Linear(16, 2)

    def forward(self, images: Tensor) -> Tensor:
        if not (self.training and torch.rand(()).item() < self.share):
            images = images + self.block(images)
        logits: Tensor = self.last(torch.flatten(images, 1))
        return logits


class KeepsEvaluating(DropsPaths):
    def train(self, mode: bool = True) -> KeepsEvaluating:
        super().train(mode)
        self.block.eval()
        return self


def test_a_network_that_computes_now_this_and_now_that_is_refused() -> None:
    dropping = DropsPaths(1.0)
    before = torch.random.get_rng_state()
    with pytest.raises(UntraceableError, match="does not always compute the same"):
        trace(dropping, (1, 4, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert dropping.training
    assert trace(DropsPaths(0.0), (1, 4, 4))
    with pytest.raises(UntraceableError, match="does not change to training"):
        trace(KeepsEvaluating(0.0), (1, 4, 4))
    watched = DropsPaths(0.0)
    watched.register_forward_hook(lambda *_: None)
    with pytest.raises(UntraceableError, match="hooks"):
        trace(watched, (1, 4, 4))


def test_images_that_are_too_small_for_a_network_are_left_to_torch() -> None:
    network = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2), nn.Flatten())
    with pytest.raises(UntraceableError):
        trace(network, (1, 4, 4))
