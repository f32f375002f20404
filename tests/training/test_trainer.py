from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks import NASBench201Network
from graphbo.training.augmentation import augment
from graphbo.training.recipe import Recipe, generators
from graphbo.training.trainer import State, Training, train

CELL = Architecture(
    ["input", "", "output"],
    [(0, 1, "nor_conv_3x3"), (1, 2, "nor_conv_1x1"), (0, 2, "avg_pool_3x3")],
)
RECIPE = Recipe(epochs=4, batch_size=16, flip=True, crop=1, cutout=2, label_smoothing=0.1)


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of horizontal stripes, vertical stripes and plain grey: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    patterns = torch.stack([wave[:, None].expand(6, 6), wave.expand(6, 6), torch.zeros(6, 6)])
    return patterns[y][:, None] + 0.3 * torch.randn(n, 1, 6, 6, generator=generator), y


TRAIN, VALIDATION, TEST = stripes(97, 0), stripes(60, 1), stripes(30, 2)


def network(seed: int = 0, dropout: bool = False) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = NASBench201Network(CELL, channels=4, cells=1, classes=3, in_channels=1)
    return nn.Sequential(nn.Dropout(0.2), body) if dropout else body


def training(recipe: Recipe = RECIPE, dropout: bool = False, **settings: Any) -> Training:
    defaults: dict[str, Any] = {"test": TEST, "seed": 5, "device": "cpu"}
    net = network(dropout=dropout)
    return train(net, recipe, TRAIN, VALIDATION, **{**defaults, **settings})


def equal(a: Any, b: Any) -> bool:
    """Whether two states agree in every bit, the time that they took aside."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a if k != "seconds")
    return torch.equal(a, b) if isinstance(a, Tensor) else bool(a == b)


def test_learns_what_can_be_learnt() -> None:
    result = training(Recipe(epochs=6, batch_size=16))
    assert result.epochs == 6
    assert result.validation_error[-1] < 10
    assert result.test_error[-1] < 10
    assert result.train_loss[-1] < result.train_loss[0]
    assert result.seconds > 0
    assert not result.stopped


def test_steps_are_those_of_sgd_on_batches_in_the_order_of_the_seed() -> None:
    # Written down once more, with torch's optimiser and nothing else of the trainer.
    recipe = Recipe(epochs=2, batch_size=16, flip=True, crop=1, label_smoothing=0.1)
    net = network().double()
    order, augmentation = generators(5)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    losses = []
    for epoch in range(2):
        total = 0.0
        # 97 images: six batches, and a single image that is left out.
        steps = torch.split(torch.randperm(97, generator=order), 16)[:-1]
        for step, chosen in enumerate(steps, start=7 * epoch):
            optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * step / 14))
            x = augment(TRAIN[0][chosen].double(), recipe, augmentation)
            logits = net(x)
            log = logits.log_softmax(1)
            right = -log.gather(1, TRAIN[1][chosen, None]).mean()
            loss = 0.9 * right - 0.1 * log.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += 16 * loss.item()
        losses.append(total / 96)
    result = training(recipe, precision="float64")
    assert result.train_loss == pytest.approx(losses, rel=1e-12)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(result.state["network"][name], tensor, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_going_on_equals_never_having_stopped(precision: str, momentum: float) -> None:
    recipe = Recipe(**{**RECIPE.describe(), "momentum": momentum})  # type: ignore[arg-type]
    settings: dict[str, Any] = {"precision": precision, "dropout": True}
    states: dict[int, State] = {}
    whole = training(recipe, on_epoch=lambda e, _, s: states.update({e: s}), **settings)
    part = training(recipe, epochs=2, **settings)
    rest = training(recipe, state=part.state, **settings)
    assert equal(part.state, states[2])
    assert equal(rest.state, whole.state)
    assert equal(states[4], whole.state)
    assert (rest.train_loss, rest.validation_error) == (whole.train_loss, whole.validation_error)
    assert rest.test_error == whole.test_error
    assert rest.seconds > part.seconds


def test_same_seed_same_bits_and_another_seed_another_training() -> None:
    first = training(dropout=True)
    torch.rand(3)
    assert equal(first.state, training(dropout=True).state)
    assert first.train_loss != training(dropout=True, seed=6).train_loss


def test_global_random_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    training(dropout=True)
    assert torch.equal(torch.get_rng_state(), state)


class Images(Dataset[tuple[Tensor, int]]):
    """Computes its images when asked, and has plain integers as classes."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.x[i], int(self.y[i])


@pytest.mark.parametrize("wrap", [TensorDataset, Images])
def test_a_dataset_trains_as_its_tensors_do(wrap: Callable[..., Dataset[Any]]) -> None:
    whole = train(network(), RECIPE, wrap(*TRAIN), wrap(*VALIDATION), seed=5, device="cpu")
    assert equal(whole.state, training(test=None).state)


class Random(Images):
    """Changes its images with torch's global generator, as transforms do."""

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.x[i] + torch.rand(()), int(self.y[i])


def test_random_transforms_of_a_dataset_follow_the_seed_and_the_state() -> None:
    def run(**settings: Any) -> Training:
        return train(network(), RECIPE, Random(*TRAIN), VALIDATION, seed=5, **settings)

    whole = run(device="cpu")
    part = run(device="cpu", epochs=1)
    assert equal(run(device="cpu", state=part.state).state, whole.state)


def test_a_callback_stops_the_training() -> None:
    seen = []

    def stop_at_two(epoch: int, error: float, state: State) -> bool:
        seen.append((epoch, error))
        return epoch == 2

    result = training(on_epoch=stop_at_two)
    assert result.stopped
    assert seen == list(enumerate(result.validation_error, start=1))
    assert result.epochs == result.state["epoch"] == 2
    # The shorter training is the beginning of the whole one.
    assert result.validation_error == training().validation_error[:2]
    assert not training(epochs=2, on_epoch=stop_at_two).stopped


def test_states_hold_nothing_but_plain_values_and_tensors_on_the_cpu() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert type(value) is dict
            for entry in value.values():
                check(entry)
        elif isinstance(value, list):
            for entry in value:
                check(entry)
        elif isinstance(value, Tensor):
            assert value.device.type == "cpu"
            assert not value.requires_grad
        else:
            assert type(value) in (int, float)

    check(training(epochs=1).state)


def test_the_last_step_has_a_rate_near_zero_and_the_first_the_full_one() -> None:
    # One image and a linear network: plain gradient descent can be followed by hand.
    class Weight(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return self.weight.expand(len(x), 2)

    data = (torch.zeros(1, 1, 1, 1), torch.zeros(1, dtype=torch.long))
    recipe = Recipe(epochs=2, learning_rate=1.0, momentum=0.0, weight_decay=0.0)
    result = train(Weight(), recipe, data, data, seed=0, device="cpu", precision="float64")
    first = 0.5  # the gradient of the cross-entropy at equal logits, at the rate 1
    second = first + 0.5 * (1 - 1 / (1 + math.exp(-2 * first)))  # halfway the rate is 1/2
    assert result.state["network"]["weight"].tolist() == pytest.approx([second, -second])
    assert result.train_loss == pytest.approx([math.log(2), math.log1p(math.exp(-2 * first))])


def test_label_smoothing_is_that_of_the_cross_entropy() -> None:
    net = network().double()
    x, y = TRAIN[0][:32].double(), TRAIN[1][:32]
    recipe = Recipe(epochs=1, batch_size=32, label_smoothing=0.3)
    result = train(network(), recipe, (x, y), VALIDATION, seed=0, precision="float64", device="cpu")
    smooth = torch.full((32, 3), 0.1, dtype=torch.float64).scatter_(1, y[:, None], 0.8)
    assert result.train_loss[0] == pytest.approx(cross_entropy(net(x), smooth).item())


def test_diverging_training_is_a_floating_point_error() -> None:
    x, y = TRAIN
    spoilt = (torch.where(torch.arange(97)[:, None, None, None] == 7, math.nan, x), y)
    with pytest.raises(FloatingPointError, match="training loss is not finite in epoch 1 of 4"):
        train(network(), RECIPE, spoilt, VALIDATION, seed=0, device="cpu")


def test_answers_that_are_not_finite_are_a_floating_point_error() -> None:
    with pytest.raises(FloatingPointError, match="answers with values not finite"):
        train(network(), RECIPE, TRAIN, (TRAIN[0] * math.nan, TRAIN[1]), seed=0, device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "a whole number from 1 to 4; got 0"),
        ({"epochs": 5}, "a whole number from 1 to 4; got 5"),
        ({"epochs": 1.5}, "a whole number from 1 to 4; got 1.5"),
        ({"precision": "float16"}, "the precision is one of"),
        ({"test": (torch.zeros(0, 1, 2, 2), torch.zeros(0))}, "the test data are empty"),
    ],
)
def test_bad_arguments_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        training(**settings)


def test_states_that_do_not_fit_are_refused() -> None:
    state = training(epochs=2).state
    with pytest.raises(InputError, match="a whole number from 2 to 4; got 1"):
        training(epochs=1, state=state)
    with pytest.raises(InputError, match="the state is that of another network"):
        training(dropout=True, state=state)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU needs g++")
def test_a_compiled_network_trains_to_the_same_result() -> None:
    # The pooling sees an image of 5x5, so that its last windows reach over the border.
    torch.manual_seed(0)
    pool = nn.AvgPool2d(2, ceil_mode=True)
    head = (nn.Flatten(), nn.Linear(18, 3))
    network = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), pool, *head)
    plain, compiled = (
        train(
            deepcopy(network),
            Recipe(epochs=2, batch_size=32),
            stripes(96, 0),
            VALIDATION,
            seed=0,
            device="cpu",
            precision="float64",
            compile=compile,
        )
        for compile in (False, True)
    )
    assert compiled.train_loss == pytest.approx(plain.train_loss, rel=1e-10)
    for name, tensor in plain.state["network"].items():
        torch.testing.assert_close(compiled.state["network"][name], tensor, rtol=1e-8, atol=1e-10)


def test_pooling_that_would_be_compiled_wrongly_is_refused() -> None:
    network = nn.Sequential(nn.AvgPool2d(3, ceil_mode=True), nn.Flatten(), nn.Linear(4, 3))
    with pytest.raises(InputError, match="ceil mode cannot be compiled; use compile=False"):
        train(network, RECIPE, TRAIN, VALIDATION, seed=0, device="cpu", compile=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_trains_on_a_gpu_in_mixed_precision_and_goes_on_from_a_state() -> None:
    recipe = Recipe(epochs=6, batch_size=16)
    state = torch.cuda.get_rng_state()
    whole = training(recipe, device="cuda", dropout=True)
    part = training(recipe, device="cuda", dropout=True, epochs=3)
    rest = training(recipe, device="cuda", dropout=True, state=part.state)
    assert whole.validation_error[-1] < 10
    assert rest.validation_error == pytest.approx(whole.validation_error, abs=10)
    assert torch.equal(torch.cuda.get_rng_state(), state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_in_double_precision_agrees_with_the_cpu() -> None:
    cpu, gpu = (training(precision="float64", device=device) for device in ("cpu", "cuda"))
    assert gpu.train_loss == pytest.approx(cpu.train_loss, rel=1e-8)
