"""Cells trained for real on scikit-learn's digits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbo.errors import MissingExtraError
from graphbo.problems.base import Problem
from graphbo.spaces.nasbench201 import NASBench201Space

if TYPE_CHECKING:
    from torch import Tensor

_CANVAS = 12
_COPIES = 4
_NOISE = 0.1  # standard deviation, where white is 1
_TRAIN, _VALIDATION = 900, 447  # of 1,797; the rest is for the test
_SPLIT_SEED = 0


def digits() -> Problem:
    """Return the problem of classifying displaced digits with a cell of NAS-Bench-201.

    The 1,797 grey images of 8x8 pixels that scikit-learn brings along are split into 900 for
    training, 447 for validation and 450 for the test, the same for everyone. Each is put at four
    random places of an empty 12x12 canvas under Gaussian noise: on plain digits most cells err
    alike. The networks are small (8 channels, one cell in each stage) and train for a few seconds
    on one CPU core.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    from graphbo.evaluators.training import TrainingEvaluator
    from graphbo.networks import NASBench201Network

    train, validation, test = displaced_digits()
    evaluator = TrainingEvaluator(
        partial(NASBench201Network, channels=8, cells=1, classes=10, in_channels=1),
        train,
        validation,
        test,
        epochs=3,
        batch_size=64,
        learning_rate=0.1,
        threads=1,
    )
    return Problem(
        name="digits",
        space=NASBench201Space(),
        evaluator=evaluator,
        description="cells of NAS-Bench-201 trained for real on scikit-learn's digits images",
        fidelity={"epochs": evaluator.epochs},
        trials=30,
    )


def displaced_digits() -> list[tuple[Tensor, Tensor]]:
    """Return training, validation and test data of `digits`.

    Returns:
        For each the images, ``n x 1 x 12 x 12`` (float32, 0 to 1 and noise), and the classes, ``n``
        (int64); n is four times the number of digits, the copies of a digit follow each other.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    import torch

    images, classes = _load()
    rng = np.random.default_rng(_SPLIT_SEED)
    parts = np.split(rng.permutation(len(images)), [_TRAIN, _TRAIN + _VALIDATION])
    data = []
    for part in parts:
        chosen = np.repeat(part, _COPIES)
        size = images.shape[1]
        canvas = np.zeros((len(chosen), 1, _CANVAS, _CANVAS), dtype=np.float32)
        corners = rng.integers(_CANVAS - size + 1, size=(len(chosen), 2))
        for empty, (top, left), digit in zip(canvas, corners, images[chosen], strict=True):
            empty[0, top : top + size, left : left + size] = digit
        canvas += _NOISE * rng.standard_normal(canvas.shape, dtype=np.float32)
        data.append((torch.from_numpy(canvas), torch.from_numpy(classes[chosen])))
    return data


def _load() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the images, ``1797 x 8 x 8`` from 0 to 1, and their classes."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "digits") from error
    bunch = load_digits()
    return (bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64)
