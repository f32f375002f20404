"""Standard datasets through torchvision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbo.datasets.base import ImageData, from_arrays
from graphbo.errors import InputError, MissingExtraError
from graphbo.npz import FOLDER_VARIABLE

# How the class of torchvision is asked for its training and its test part.
_TRAIN: dict[str, dict[str, Any]] = {
    "CIFAR10": {"train": True},
    "CIFAR100": {"train": True},
    "FashionMNIST": {"train": True},
    "KMNIST": {"train": True},
    "MNIST": {"train": True},
    "STL10": {"split": "train"},
    "SVHN": {"split": "train"},
}
TORCHVISION_DATASETS = tuple(_TRAIN)
"""The datasets that `torchvision_images` knows, as torchvision calls them."""
_SPLIT_SEED = 0


def torchvision_images(
    name: str, data: str | Path | None = None, *, download: bool = False
) -> ImageData:
    """Load a standard dataset with torchvision.

    A fifth of its training images, drawn with a fixed seed, is for validation.

    Args:
        name: One of `TORCHVISION_DATASETS`.
        data: The folder where torchvision keeps its files; by default that in ``GRAPHBO_DATA``.
        download: Whether torchvision may download what is not there.

    Raises:
        InputError: If the name is unknown, no folder is given, or the files are not in it.
        MissingExtraError: If torchvision is not installed.

    Example:
        >>> torchvision_images("FashionMNIST", "images", download=True).sizes
        (48000, 12000, 10000)
    """
    if name not in _TRAIN:
        known = ", ".join(TORCHVISION_DATASETS)
        raise InputError(f"there is no torchvision dataset {name!r}; it is one of {known}")
    folder = data or os.environ.get(FOLDER_VARIABLE)
    if not folder:
        raise InputError(
            f"the dataset {name!r} needs a folder for its files; name it in {FOLDER_VARIABLE}"
        )
    try:
        from torchvision import datasets
    except ImportError as error:
        raise MissingExtraError("torchvision", "vision") from error
    make = getattr(datasets, name)
    given = _TRAIN[name]
    other = {key: False if value is True else "test" for key, value in given.items()}
    try:
        train, test = (
            _arrays(make(root=str(folder), download=download, **part)) for part in (given, other)
        )
    except RuntimeError as error:  # torchvision's, where files are missing or damaged
        hint = "" if download else "; download=True fetches it"
        raise InputError(f"{name} cannot be loaded from {folder}: {error}{hint}") from error
    images, labels = train
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(images))
    validation, rest = np.split(order, [len(order) // 5])
    parts = ((images[rest], labels[rest]), (images[validation], labels[validation]), test)
    classes = 1 + max(int(labels.max()) for _, labels in parts)
    return from_arrays(name, parts, classes, f"{name} through torchvision")


def _arrays(dataset: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images ``n x channels x height x width`` and classes from pairs (picture, class)."""
    pairs = [dataset[i] for i in range(len(dataset))]
    images = np.stack([np.asarray(picture, dtype=np.uint8) for picture, _ in pairs])
    if images.ndim == 3:
        images = images[..., None]
    return np.moveaxis(images, -1, 1), np.array([label for _, label in pairs], dtype=np.int64)
