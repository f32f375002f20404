"""Images from ``.npz`` files, such as those in the folder that ``GRAPHBO_DATA`` names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbo.datasets.base import ImageData, from_arrays
from graphbo.errors import InputError
from graphbo.npz import FOLDER_VARIABLE, NpzFile

FOLDER_DATASETS = {
    "cifar10": "a part of CIFAR-10",
    "mnist": "a part of MNIST",
    "flowers17": "the photographs of Flowers-17",
}
"""What can lie in the folder as ``NAME.npz`` or ``NAME_*.npz``, and its description."""
_SPLIT_SEED = 0
Part = tuple[NDArray[Any], NDArray[Any]]


def folder_images(name: str, data: str | Path | None = None) -> ImageData:
    """Load a dataset of `FOLDER_DATASETS` from a folder.

    Args:
        name: Such as ``"cifar10"``.
        data: The folder; by default the one that ``GRAPHBO_DATA`` names.

    Raises:
        InputError: If there is no such dataset or file, or it is damaged.
    """
    if name not in FOLDER_DATASETS:
        raise InputError(f"there is no dataset {name!r} in a folder; it is one of {_names()}")
    folder = data or os.environ.get(FOLDER_VARIABLE)
    path = find_images(name, data)
    if path is None:
        looked = f"there is none in {folder}" if folder else f"{FOLDER_VARIABLE} is not set"
        raise InputError(
            f"the dataset {name!r} needs the file {name}.npz, or {name}_*.npz, and {looked}; put "
            f"the file in a folder and name the folder in {FOLDER_VARIABLE}"
        )
    return load_images(path, name=name, description=FOLDER_DATASETS[name])


def find_images(name: str, data: str | Path | None = None) -> Path | None:
    """Return the file of a dataset in a folder, None if there is none.

    Args:
        name: Such as ``"cifar10"``.
        data: The folder; by default the one that ``GRAPHBO_DATA`` names.
    """
    folder = data or os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    candidates = [Path(folder, f"{name}.npz"), *sorted(Path(folder).glob(f"{name}_*.npz"))]
    return next((path for path in candidates if path.is_file()), None)


def load_images(path: str | Path, *, name: str | None = None, description: str = "") -> ImageData:
    """Load images from an ``.npz`` file.

    The file has ``x_train``, ``y_train``, ``x_test``, ``y_test`` and perhaps ``x_val``, ``y_val``,
    or only ``x``, ``y``: images ``n x height x width x channels`` or ``n x height x width``, and
    classes ``n`` or ``n x 1`` that count from 0. A part that is not there is split off, with a
    fixed seed: a fifth of all images for the test, and as many of the rest for validation; or a
    fifth of the training images for validation where only that is missing. The images of every
    part are put in a random order, with a fixed seed.

    Args:
        path: The file.
        name: The dataset's name; by default that of the file.
        description: One line.

    Raises:
        InputError: If the file cannot be read, or its arrays do not fit together.
    """
    path = Path(path)
    file = NpzFile(path)
    rng = np.random.default_rng(_SPLIT_SEED)
    train = _part(file, "train" if "x_train" in file else "", rng)
    if "x_test" in file:
        test = _part(file, "test", rng)
        fifth = len(train[0]) // 5
    else:
        fifth = len(train[0]) // 5
        test, train = _split(train, fifth)
    if not fifth and not ("x_test" in file and "x_val" in file):
        raise InputError(f"{path}: of so few images, no fifth can be split off for a part")
    if "x_val" in file:
        validation = _part(file, "val", rng)
    else:
        validation, train = _split(train, fifth)
    classes = 1 + int(max(labels.max(initial=0) for _, labels in (train, validation, test)))
    images = sum(len(labels) for _, labels in (train, validation, test))
    if classes > images:  # a network would have an output for each
        raise InputError(f"{path}: the classes count up to {classes - 1}, in {images} images")
    try:
        return from_arrays(name or path.stem, (train, validation, test), classes, description)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _part(file: NpzFile, part: str, rng: np.random.Generator) -> Part:
    """Return images ``n x channels x height x width`` and classes in a random order."""
    ending = f"_{part}" if part else ""
    try:
        images = file.array(f"x{ending}", (None, None, None, None))
    except InputError:
        images = file.array(f"x{ending}", (None, None, None))[..., None]
    try:
        labels = file.array(f"y{ending}", (len(images), 1), "iu")[:, 0]
    except InputError:
        labels = file.array(f"y{ending}", (len(images),), "iu")
    order = rng.permutation(len(images))
    return np.moveaxis(images, -1, 1)[order], labels[order].astype(np.int64)


def _split(part: Part, count: int) -> tuple[Part, Part]:
    """Return the first so many images and the others."""
    images, labels = part
    return (images[:count], labels[:count]), (images[count:], labels[count:])


def _names() -> str:
    return ", ".join(FOLDER_DATASETS)
