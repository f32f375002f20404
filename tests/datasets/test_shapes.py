"""The synthetic task: reproducible, balanced, and one that needs convolutions."""

from __future__ import annotations

import hashlib
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from graphbo.datasets import ImageData, shapes
from graphbo.errors import InputError
from graphbo.evaluators.training import TrainingEvaluator
from graphbo.networks import NASBench201Network
from graphbo.spaces import NASBench201Space
from graphbo.training.recipe import Recipe
from graphbo.trial import Job


def raw(data: ImageData) -> torch.Tensor:
    """The training images up to scale and offset: their levels of brightness are even steps."""
    levels = data.train[0].unique()
    step = levels.diff().min()
    return ((data.train[0] - levels[0]) / step).round().to(torch.int16)


def test_images_have_the_stated_shapes_and_balanced_classes() -> None:
    data = shapes(60, 30, 20, size=10, classes=6)
    assert (data.sizes, data.shape, data.classes) == ((60, 30, 20), (1, 10, 10), 6)
    assert data.train[1].bincount().tolist() == [10] * 6


def test_the_same_seed_gives_the_same_images_and_another_gives_others() -> None:
    for first, again in zip(vars(shapes(40)).values(), vars(shapes(40)).values(), strict=True):
        if isinstance(first, tuple):
            assert torch.equal(first[0], again[0])
    assert not torch.equal(raw(shapes(40)), raw(shapes(40, seed=1)))


def test_images_are_the_same_on_every_machine() -> None:
    """Whole levels leave no room for rounding, so that one digest holds everywhere."""
    digest = hashlib.sha256(raw(shapes(200)).numpy().astype("<i2").tobytes()).hexdigest()
    assert digest.startswith("d42867d21144c0e4")


def test_an_image_does_not_depend_on_how_many_there_are() -> None:
    few, many = shapes(50, 20, 20), shapes(2100, 40, 20)
    x, y = (data.train[0][:50, 0].double() for data in (few, many))
    # They are normalised differently: the same up to an affine map.
    correlation = torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1]
    assert correlation > 1 - 1e-9
    assert torch.equal(few.train[1], many.train[1][:50])


def test_parts_differ() -> None:
    data = shapes(20, 20, 20)
    images = [data.train[0], data.validation[0], data.test[0]]
    assert all(not torch.allclose(a, b, atol=1) for a, b in pairwise([*images, images[0]]))


def test_classes_of_one_shape_differ_by_the_direction_of_their_stripes() -> None:
    plain = {"clutter": 0, "noise": 0, "grating": 0, "displacement": 0, "rotation": 0}
    data = shapes(400, 10, 10, size=24, classes=2, **plain)
    x, y = data.train
    change_down = (x[:, 0, 8:16, 8:16].diff(dim=1) ** 2).mean((1, 2))
    change_right = (x[:, 0, 8:16, 8:16].diff(dim=2) ** 2).mean((1, 2))
    assert torch.equal(y, (change_down > change_right).long())


def test_noise_and_clutter_can_be_left_out() -> None:
    plain = raw(shapes(10, 10, 10, clutter=0, noise=0, grating=0))
    corners = plain[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == corners[0, 0]).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0}, "train must be at least 1; got 0"),
        ({"size": 7}, "size must be at least 8; got 7"),
        ({"noise": -1}, "noise must be at least 0; got -1"),
        ({"size": 9.5}, "size must be a whole number; got 9.5"),
        ({"classes": "4"}, "classes must be a whole number; got '4'"),
        ({"classes": 5}, "classes must be an even number from 2 to 16; got 5"),
        ({"classes": 18}, "classes must be an even number from 2 to 16; got 18"),
    ],
)
def test_a_number_out_of_range_is_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shapes(**wrong)  # type: ignore[arg-type]


def test_a_linear_model_is_near_chance() -> None:
    """Ridge regression on the pixels, the strength of its penalty chosen in its favour."""
    data = shapes(2000, 2000, 1)
    (x, y), (x_new, y_new) = (
        (images.flatten(1).double().numpy(), labels.numpy())
        for images, labels in (data.train, data.validation)
    )
    accuracies = []
    for penalty in (10.0, 1e3, 1e5):
        weights = np.linalg.solve(
            x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (np.eye(10)[y] - 0.1)
        )
        accuracies.append(((x_new @ weights).argmax(1) == y_new).mean())
    assert max(accuracies) < 0.2


@pytest.mark.slow
def test_convolutions_learn_it_and_pooling_alone_does_not() -> None:
    space = NASBench201Space()
    data = shapes(600, 500, 1)
    evaluator = TrainingEvaluator(
        partial(NASBench201Network, channels=8, cells=1, in_channels=1),
        data.train,
        data.validation,
        recipe=Recipe(epochs=6),
    )
    errors = {
        operation: evaluator.evaluate_one(
            Job(
                space.design_of(
                    space.parse(f"|none~0|+|none~0|none~1|+|{operation}~0|none~1|none~2|")
                )
            )
        ).objectives["validation_error"]
        for operation in ("nor_conv_3x3", "avg_pool_3x3")
    }
    assert errors["nor_conv_3x3"] + 15 < errors["avg_pool_3x3"]
