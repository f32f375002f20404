from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.networks import NASBench201Network
from graphbo.spaces import Design, NASBench201Space
from graphbo.trial import Job

BUILD = partial(NASBench201Network, channels=4, cells=1, classes=3, in_channels=1)
SPACE = NASBench201Space()
CONVOLUTION = SPACE.design_of(Architecture(["input", "output"], [(0, 1, "nor_conv_3x3")]))
EMPTY = SPACE.design_of(Architecture(["input", "output"], []))


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of horizontal stripes, vertical stripes and plain grey: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    patterns = torch.stack([wave[:, None].expand(6, 6), wave.expand(6, 6), torch.zeros(6, 6)])
    return patterns[y][:, None] + 0.3 * torch.randn(n, 1, 6, 6, generator=generator), y


def evaluator(
    build: Callable[[Architecture], nn.Module] = BUILD,
    train: Any = None,
    validation: Any = None,
    **options: Any,
) -> TrainingEvaluator:
    defaults = {"epochs": 3, "batch_size": 16, "learning_rate": 0.1, "device": "cpu"}
    return TrainingEvaluator(
        build, train or stripes(96, 0), validation or stripes(60, 1), **(defaults | options)
    )


class Constant(nn.Module):
    """Answers with fixed logits, whatever the image and the training."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return (self.logits + 0 * self.factor).expand(len(x), -1)


def build_constant(_: Architecture) -> nn.Module:
    return Constant([1.0, 0.0, 0.0])


def build_dropout(architecture: Architecture) -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), BUILD(architecture))


def build_infinite(_: Architecture) -> nn.Module:
    return Constant([math.inf, 0.0, 0.0])


def test_learns_what_can_be_learnt() -> None:
    result = evaluator(test=stripes(60, 2), epochs=6).evaluate_one(Job(CONVOLUTION))
    assert set(result.objectives) == {"validation_error", "test_error"}
    assert result.objectives["validation_error"] < 10
    assert result.objectives["test_error"] < 10
    assert result.cost > 0
    assert len(result.curve) == 6
    assert result.curve[-1] == result.objectives["validation_error"]
    assert result.facts == {
        "epochs": 6,
        "parameters": sum(p.numel() for p in BUILD(CONVOLUTION.architecture).parameters()),
    }


def test_errors_are_percentages_of_wrong_answers() -> None:
    x = torch.zeros(8, 1, 2, 2)
    validation = (x, torch.tensor([0, 0, 0, 0, 0, 0, 1, 2]))
    test = (x[:4], torch.tensor([0, 1, 1, 1]))
    result = evaluator(build_constant, validation=validation, test=test).evaluate_one(
        Job(CONVOLUTION)
    )
    assert result.objectives == {"validation_error": 25.0, "test_error": 75.0}


def test_objectives_name_the_test_error_only_with_test_data() -> None:
    assert evaluator().objectives == ("validation_error",)
    assert evaluator(test=stripes(6, 2)).objectives == ("validation_error", "test_error")


@pytest.mark.parametrize("build", [BUILD, build_dropout])
def test_same_seed_gives_the_same_result_whatever_happened_before(
    build: Callable[[Architecture], nn.Module],
) -> None:
    hard = (stripes(96, 0)[0], torch.arange(96).flip(0) % 3)
    first = evaluator(build, train=hard).evaluate_one(Job(CONVOLUTION, seed=5))
    torch.manual_seed(123)
    copy = pickle.loads(pickle.dumps(evaluator(build, train=hard)))
    again = copy.evaluate_one(Job(CONVOLUTION, seed=5))
    other = copy.evaluate_one(Job(CONVOLUTION, seed=6))
    assert (again.objectives, again.curve) == (first.objectives, first.curve)
    assert other.curve != first.curve


@pytest.mark.parametrize("build", [build_dropout, build_infinite])
def test_global_random_state_is_left_as_it_was(build: Callable[[Architecture], nn.Module]) -> None:
    state = torch.get_rng_state()
    list(evaluator(build).evaluate([Job(CONVOLUTION, seed=1)]))
    assert torch.equal(torch.get_rng_state(), state)


def test_threads_are_set_while_training_only() -> None:
    before, seen = torch.get_num_threads(), []

    def build(architecture: Architecture) -> nn.Module:
        seen.append(torch.get_num_threads())
        return build_constant(architecture)

    evaluator(build, threads=before + 1).evaluate_one(Job(CONVOLUTION))
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_fidelity_sets_the_epochs() -> None:
    result = evaluator().evaluate_one(Job(CONVOLUTION, {"epochs": 2}))
    assert result.facts["epochs"] == len(result.curve) == 2


@pytest.mark.parametrize(
    ("fidelity", "message"),
    [
        ({"epochs": 0}, "positive whole number"),
        ({"epochs": 1.5}, "positive whole number"),
        ({"images": 10}, "knows the fidelity 'epochs' only; got 'images'"),
    ],
)
def test_other_fidelities_are_refused(fidelity: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluator().evaluate_one(Job(CONVOLUTION, fidelity))


class Images(Dataset[tuple[Tensor, int]]):
    """A data set that computes its images when asked, and has plain integers as classes."""

    def __init__(self, n: int, seed: int) -> None:
        self.x, self.y = stripes(n, seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.x[i], int(self.y[i])


@pytest.mark.parametrize("wrap", [lambda n, seed: TensorDataset(*stripes(n, seed)), Images])
def test_datasets_serve_as_well_as_tensors(wrap: Callable[[int, int], Dataset[Any]]) -> None:
    state = torch.get_rng_state()
    on_datasets = evaluator(train=wrap(96, 0), validation=wrap(60, 1), test=wrap(30, 2), epochs=6)
    first = on_datasets.evaluate_one(Job(CONVOLUTION))
    assert first.objectives["validation_error"] < 10
    assert on_datasets.evaluate_one(Job(CONVOLUTION)).curve == first.curve
    assert torch.equal(torch.get_rng_state(), state)


def test_empty_cell_gets_an_error_near_chance() -> None:
    result = evaluator().evaluate_one(Job(EMPTY))
    assert result.objectives["validation_error"] == pytest.approx(200 / 3)


def test_a_single_image_left_over_is_skipped() -> None:
    # 17 images in batches of 16, and images so small that batch norm sees one value per channel.
    x, y = stripes(17, 0)
    tiny = (x[:, :, :1, :1], y)
    result = evaluator(train=tiny, validation=tiny).evaluate_one(Job(CONVOLUTION))
    assert len(result.curve) == 3


def test_diverging_training_is_a_floating_point_error() -> None:
    x, y = stripes(96, 0)
    spoilt = (torch.where(torch.arange(96)[:, None, None, None] == 7, math.nan, x), y)
    with pytest.raises(FloatingPointError, match="training loss is not finite in epoch 1 of 3"):
        evaluator(train=spoilt).evaluate_one(Job(CONVOLUTION))


def test_answers_that_are_not_finite_are_a_floating_point_error() -> None:
    x, y = stripes(60, 1)
    with pytest.raises(FloatingPointError, match="not finite"):
        evaluator(validation=(x * math.nan, y)).evaluate_one(Job(CONVOLUTION))


def test_a_failure_becomes_a_report() -> None:
    jobs = [Job(CONVOLUTION), Job(Design(CONVOLUTION.architecture, CONVOLUTION.row), {"epochs": 0})]
    good, bad = evaluator().evaluate(jobs)
    assert good.error is None
    assert bad.evaluation is None
    assert bad.error is not None
    assert "InputError" in bad.error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": (torch.zeros(3, 1, 2, 2), torch.zeros(2).long())}, "3 images but 2 classes"),
        ({"validation": (torch.zeros(0, 1, 2, 2), torch.zeros(0).long())}, "validation data are"),
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"momentum": -0.1}, "momentum must be at least 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluator(**options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_trains_on_a_gpu_and_restores_its_random_state() -> None:
    state = torch.cuda.get_rng_state()
    result = evaluator(device="cuda", epochs=6).evaluate_one(Job(CONVOLUTION))
    assert result.objectives["validation_error"] < 10
    assert torch.equal(torch.cuda.get_rng_state(), state)
