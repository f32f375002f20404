"""Datasets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphbo.datasets.base import ImageData
from graphbo.datasets.digits import digits
from graphbo.datasets.folder import FOLDER_DATASETS, find_images, folder_images, load_images
from graphbo.datasets.shapes import shapes
from graphbo.datasets.torchvision import TORCHVISION_DATASETS, torchvision_images
from graphbo.errors import InputError, nearest_names

_MADE: Mapping[str, tuple[Callable[..., ImageData], str]] = {
    "digits": (digits, "scikit-learn's digits, displaced and under noise"),
    "shapes": (shapes, "striped shapes before clutter, drawn from a seed"),
}
_TORCHVISION = "torchvision:"


def list_datasets(data: str | Path | None = None) -> list[tuple[str, str]]:
    """Return the name and description of each dataset that is here.

    Those of torchvision are not among them, as only torchvision knows what has been downloaded.

    Args:
        data: The folder of the images; by default the one that ``GRAPHBO_DATA`` names.
    """
    made = [(name, description) for name, (_, description) in _MADE.items()]
    return made + [
        (name, description)
        for name, description in FOLDER_DATASETS.items()
        if find_images(name, data) is not None
    ]


def get_dataset(name: str, data: str | Path | None = None, **options: Any) -> ImageData:
    """Return the dataset with a name.

    Args:
        name: A name that `list_datasets` gives, the path of an ``.npz`` file of images
            (`load_images`), or ``"torchvision:NAME"`` for a dataset of torchvision that has been
            downloaded (`torchvision_images`).
        data: The folder of the images; by default the one that ``GRAPHBO_DATA`` names.
        **options: Arguments of `shapes` or `digits`; the other datasets have none.

    Raises:
        InputError: If there is no such dataset, its file is missing or damaged, or an option is
            unknown or out of range.
        MissingExtraError: If it needs a package that is not installed.

    Example:
        >>> get_dataset("shapes", train=500, size=16).shape
        (1, 16, 16)
    """
    if name in _MADE:
        try:
            return _MADE[name][0](**options)
        except TypeError as error:  # an unknown argument, or one that is no number
            raise InputError(f"the dataset {name!r}: {error}") from error
    if options:
        raise InputError(f"the dataset {name!r} has no option {next(iter(options))!r}")
    if name.endswith(".npz"):
        return load_images(name)
    if name.startswith(_TORCHVISION):
        return torchvision_images(name.removeprefix(_TORCHVISION), data)
    if name in FOLDER_DATASETS:
        return folder_images(name, data)
    known = [*_MADE, *FOLDER_DATASETS, *(_TORCHVISION + name for name in TORCHVISION_DATASETS)]
    every = f"the datasets are {', '.join(known)}, or the path of an .npz file"
    raise InputError(f"there is no dataset {name!r}; {nearest_names(name, known, every)}")
