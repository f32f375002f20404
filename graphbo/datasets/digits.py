"""scikit-learn's handwritten digits, made harder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbo.datasets.base import ImageData, check_whole, from_arrays
from graphbo.errors import InputError, MissingExtraError

_TRAIN, _VALIDATION = 900, 447  # of 1,797; the rest is for the test
_SPLIT_SEED = 0
_FRAGMENT = 4  # pixels


def digits(*, canvas: int = 12, copies: int = 4, noise: float = 0.1, clutter: int = 0) -> ImageData:
    """Return scikit-learn's digits, displaced and under noise.

    The 1,797 grey images of 8x8 pixels that scikit-learn brings along are split into 900 for
    training, 447 for validation and 450 for the test, the same for everyone. Each is put at random
    places of a larger empty canvas under Gaussian noise, because on plain digits most networks err
    alike. No digit is in two parts; the copies of a digit follow each other.

    Args:
        canvas: Height and width in pixels, from 8.
        copies: Images made of each digit.
        noise: Standard deviation of the noise, where a stroke is 1.
        clutter: Fragments of 4x4 pixels of other digits of the same part, put anywhere behind it.

    Raises:
        InputError: If a number is out of range.
        MissingExtraError: If scikit-learn is not installed.
    """
    plain, classes = _load()
    size = plain.shape[1]
    for name, value, low in (
        ("canvas", canvas, size),
        ("copies", copies, 1),
        ("noise", noise, 0),
        ("clutter", clutter, 0),
    ):
        if not value >= low:
            raise InputError(f"{name} must be at least {low}; got {value}")
    for name, value in (("canvas", canvas), ("copies", copies), ("clutter", clutter)):
        check_whole(name, value)
    rng = np.random.default_rng(_SPLIT_SEED)
    parts = []
    for part in np.split(rng.permutation(len(plain)), [_TRAIN, _TRAIN + _VALIDATION]):
        chosen = np.repeat(part, copies)
        images = np.zeros((len(chosen), canvas, canvas), dtype=np.float32)
        _put(images, plain[chosen], rng)
        for _ in range(clutter):
            others = plain[rng.choice(part, len(chosen))]
            row, column = rng.integers(size - _FRAGMENT + 1, size=2)
            _put(images, others[:, row : row + _FRAGMENT, column : column + _FRAGMENT], rng)
        images += noise * rng.standard_normal(images.shape, dtype=np.float32)
        parts.append((images[:, None], classes[chosen]))
    description = "scikit-learn's digits, displaced and under noise"
    return from_arrays("digits", tuple(parts), 10, description)


def _put(images: NDArray[np.float32], pieces: NDArray[Any], rng: np.random.Generator) -> None:
    """Put a piece at a random place of each image; where both have ink, the darker stays."""
    size = pieces.shape[1]
    corners = rng.integers(images.shape[1] - size + 1, size=(len(images), 2))
    for image, (top, left), piece in zip(images, corners, pieces, strict=True):
        there = image[top : top + size, left : left + size]
        np.maximum(there, piece, out=there)


def _load() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the images, ``1797 x 8 x 8`` from 0 to 1, and their classes."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "digits") from error
    bunch = load_digits()
    return (bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64)
