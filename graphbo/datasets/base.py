"""What every dataset gives: normalised images in three parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graphbo.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple["Tensor", "Tensor"]
"""Images ``n x channels x height x width`` (float32) and their classes ``n`` (int64)."""
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images to train on, with their classes, in three parts.

    The images are normalised: over the training images every channel has mean 0 and variance 1.

    Attributes:
        name: The dataset's name.
        train: Images ``n x channels x height x width`` (float32) and classes ``n`` (int64).
        validation: The same for the part whose error is to be minimised.
        test: The same for the part that no choice may depend on.
        classes: Number of classes; the classes are ``0 .. classes - 1``.
        description: One line.

    Raises:
        InputError: If a part is empty, of the wrong type, or does not fit the others.

    Example:
        >>> data = shapes(train=500)
        >>> data.train[0].shape, data.in_channels, data.classes
        (torch.Size([500, 1, 12, 12]), 1, 10)
    """

    name: str
    train: Pair
    validation: Pair
    test: Pair
    classes: int
    description: str = ""

    def __post_init__(self) -> None:
        for part in PARTS:
            images, labels = getattr(self, part)
            _check(f"{self.name}: the {part} part", images, labels, self.classes)
        for part in PARTS[1:]:
            shape = tuple(getattr(self, part)[0].shape[1:])
            if shape != self.shape:
                raise InputError(
                    f"{self.name}: the {part} images are {_times(shape)} and the training images "
                    f"{_times(self.shape)}; they must be alike"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train[0].shape[1:]
        return channels, height, width

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return self.shape[0]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of images for training, validation and test."""
        return len(self.train[0]), len(self.validation[0]), len(self.test[0])

    def subset(
        self, train: int | None = None, validation: int | None = None, test: int | None = None
    ) -> ImageData:
        """Return the first so many images of each part; None for all of them.

        The images stay as they are: they are not normalised again.

        Raises:
            InputError: If a number is less than 1 or more than there are.
        """
        parts: dict[str, Pair] = {}
        for part, count in zip(PARTS, (train, validation, test), strict=True):
            images, classes = getattr(self, part)
            if count is not None and not 1 <= count <= len(images):
                raise InputError(
                    f"{self.name} has {len(images)} {part} images; {count} cannot be taken"
                )
            parts[part] = images[:count], classes[:count]
        return replace(
            self, train=parts["train"], validation=parts["validation"], test=parts["test"]
        )


def from_arrays(
    name: str,
    parts: tuple[tuple[NDArray[Any], NDArray[Any]], ...],
    classes: int,
    description: str = "",
) -> ImageData:
    """Make normalised data from arrays.

    Args:
        name: The dataset's name.
        parts: Training, validation and test part: images ``n x channels x height x width`` of any
            numbers, and classes ``n``.
        classes: Number of classes.
        description: One line.

    Raises:
        InputError: If the parts do not fit together.
    """
    import torch

    images = parts[0][0]
    if not images.size:
        raise InputError(f"{name}: the train part is empty")
    if not all(np.isfinite(x).all() for x, _ in parts):
        raise InputError(f"{name}: the images hold numbers that are not finite")
    # Sums in float64: the mean of many float32 values would depend on the order.
    mean = images.mean((0, 2, 3), dtype=np.float64, keepdims=True)
    deviation = images.std((0, 2, 3), dtype=np.float64, keepdims=True)
    deviation[deviation == 0] = 1
    mean32, deviation32 = mean.astype(np.float32), deviation.astype(np.float32)
    tensors = [
        (
            torch.from_numpy((x.astype(np.float32) - mean32) / deviation32),
            torch.from_numpy(np.ascontiguousarray(y, dtype=np.int64)),
        )
        for x, y in parts
    ]
    train, validation, test = tensors
    return ImageData(name, train, validation, test, classes, description)


def check_whole(name: str, value: object) -> None:
    """Refuse what is no whole number.

    Raises:
        InputError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{name} must be a whole number; got {value!r}")


def _check(what: str, images: Tensor, labels: Tensor, classes: int) -> None:
    if images.ndim != 4 or not images.dtype.is_floating_point:
        raise InputError(
            f"{what} must have images n x channels x height x width of floats; got "
            f"{_times(tuple(images.shape))} of {images.dtype}"
        )
    if not images.numel():
        raise InputError(f"{what} is empty")
    if labels.shape != images.shape[:1] or labels.dtype.is_floating_point:
        raise InputError(
            f"{what} must have one whole number as class for each of its {len(images)} images; "
            f"got {_times(tuple(labels.shape))} of {labels.dtype}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(f"{what} has classes {low} to {high}; they must lie in 0 to {classes - 1}")


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
