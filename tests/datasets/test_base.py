"""Images in three parts: what they must be, and that they are normalised."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphbo.datasets import ImageData, from_arrays
from graphbo.errors import InputError


def part(n: int, *, shape: tuple[int, ...] = (2, 4, 5), classes: int = 3) -> tuple:
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % classes


def data(train: int = 12, validation: int = 6, test: int = 3) -> ImageData:
    return from_arrays("some", (part(train), part(validation), part(test)), 3, "some images")


def test_images_are_normalised_by_the_training_part() -> None:
    result = data()
    x, y = result.train
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(x.var((0, 2, 3), correction=0), torch.ones(2))
    raw_train, raw_test = part(12)[0].astype(float), part(3)[0].astype(float)
    mean, deviation = (f(raw_train, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    expected = torch.from_numpy((raw_test - mean) / deviation).float()
    torch.testing.assert_close(result.test[0], expected)


def test_a_channel_that_never_changes_becomes_zero() -> None:
    images = np.full((4, 1, 2, 2), 7)
    result = from_arrays("grey", ((images, np.zeros(4)),) * 3, 1)
    assert not result.train[0].any()


def test_shape_and_sizes() -> None:
    result = data()
    assert (result.shape, result.in_channels, result.sizes) == ((2, 4, 5), 2, (12, 6, 3))


def test_a_subset_is_the_beginning_of_each_part() -> None:
    result = data()
    few = result.subset(train=5, test=2)
    assert few.sizes == (5, 6, 2)
    assert torch.equal(few.train[0], result.train[0][:5])
    assert torch.equal(few.test[1], result.test[1][:2])
    for count in (0, 13):
        with pytest.raises(InputError, match=f"has 12 train images; {count} cannot be taken"):
            result.subset(train=count)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 3, 3), torch.zeros(2).long(), "n x channels x height x width of floats"),
        (torch.zeros(2, 1, 3, 3).long(), torch.zeros(2).long(), "of floats; got 2 x 1 x 3 x 3"),
        (torch.zeros(0, 1, 3, 3), torch.zeros(0).long(), "the test part is empty"),
        (torch.zeros(2, 1, 3, 3), torch.zeros(3).long(), "for each of its 2 images; got 3"),
        (torch.zeros(2, 1, 3, 3), torch.zeros(2), "one whole number as class"),
        (torch.zeros(2, 1, 3, 3), torch.tensor([0, 2]), "classes 0 to 2; they must lie in 0 to 1"),
        (torch.zeros(2, 1, 3, 3), torch.tensor([-1, 0]), "classes -1 to 0"),
        (torch.zeros(2, 1, 4, 4), torch.zeros(2).long(), "1 x 4 x 4 and the training images 1 x 3"),
    ],
)
def test_what_does_not_fit_is_named(
    images: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    good = torch.zeros(2, 1, 3, 3), torch.tensor([0, 1])
    with pytest.raises(InputError, match=message):
        ImageData("some", good, good, (images, labels), 2)


def test_an_empty_training_part_is_named() -> None:
    with pytest.raises(InputError, match="some: the train part is empty"):
        data(train=0)
