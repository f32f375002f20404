"""Images to train on, as tensors or a dataset, and at lower fidelities."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence, Sized
from numbers import Integral
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import DataLoader, Dataset, Subset

from graphbo.errors import InputError

Pair = tuple[Tensor, Tensor]
"""Images ``n x channels x height x width`` (floating point) and classes ``n`` (int64)."""
Data = Pair | Dataset[Any]
"""Images and classes, or a map-style dataset of pairs of an image and its class."""

_PERMUTATION_SEED = 0
_READ_TWICE = 16  # of a dataset, to see whether it is random
_LOOKED_AT = 64  # of a dataset, to tell it apart


def size(data: Data) -> int:
    """Return the number of images."""
    return len(data[0]) if isinstance(data, tuple) else len(cast(Sized, data))


def image_shape(data: Data) -> tuple[int, int, int]:
    """Return channels, height and width of the images, as the first one has them."""
    channels, height, width = _first(data).shape
    return channels, height, width


def check(name: str, data: Data) -> None:
    """Refuse data that cannot be trained on.

    Raises:
        InputError: If they are empty, do not fit together or are no floating-point images with
            whole numbers as classes; of a dataset only the length and the first item are looked at.
    """
    _check_kind(name, data)
    if isinstance(data, tuple) and len(data[0]) != len(data[1]):
        raise InputError(
            f"the {name} data have {len(data[0])} images but {len(data[1])} classes; "
            "there must be one class for each image"
        )
    if not size(data):
        raise InputError(f"the {name} data are empty")
    if isinstance(data, tuple) and not (data[0].is_floating_point() and data[0].dim() == 4):
        raise InputError(
            f"the {name} images must be floating-point numbers, n x channels x height x width; "
            f"got {data[0].dtype} of the shape {tuple(data[0].shape)}"
        )
    if isinstance(data, tuple):
        classes = data[1]
        if classes.dtype != torch.int64 or classes.dim() != 1 or int(classes.min()) < 0:
            raise InputError(
                f"the {name} classes must be whole numbers from 0 (int64), one for each image; "
                f"got {classes.dtype} of the shape {tuple(classes.shape)} from {classes.min()}"
            )
    else:
        _check_item(name, _item(data))


def check_parts(train: Data, validation: Data, test: Data | None = None) -> None:
    """Refuse data that cannot be trained on, or whose images differ in shape between the parts.

    Raises:
        InputError: As `check` does, and if the shapes differ.
    """
    for name, data in (("train", train), ("validation", validation), ("test", test)):
        if data is None:
            continue
        check(name, data)
        if image_shape(data) != image_shape(train):
            raise InputError(
                f"the {name} images have the shape {image_shape(data)} and the training images "
                f"{image_shape(train)}; they must be alike"
            )


def _check_kind(name: str, data: object) -> None:
    if isinstance(data, tuple):
        fits = len(data) == 2 and all(isinstance(part, Tensor) for part in data)
        got = f"a tuple of {', '.join(type(part).__name__ for part in data)}"
    else:
        fits = hasattr(data, "__len__") and hasattr(data, "__getitem__")
        got = type(data).__name__
    if not fits:
        raise InputError(
            f"the {name} data must be a pair of tensors, images and classes, or a dataset with a "
            f"length and numbered items; got {got}"
        )


def _check_item(name: str, item: Any) -> None:
    image, label = item if isinstance(item, (tuple, list)) and len(item) == 2 else (item, None)
    is_image = isinstance(image, Tensor) and image.is_floating_point() and image.dim() == 3
    if isinstance(label, Tensor) and label.dim() == 0:
        label = label.item()
    if not is_image or not isinstance(label, Integral):
        raise InputError(
            f"the items of the {name} data must be pairs of an image, a floating-point tensor "
            f"channels x height x width, and its class, a whole number; got {_described(item)}"
        )


def _described(item: Any) -> str:
    if isinstance(item, (tuple, list)):
        return f"({', '.join(map(_described, item))})"
    shape = f" of the shape {tuple(item.shape)}" if isinstance(item, Tensor) else ""
    return f"{item.dtype}{shape}" if shape else type(item).__name__


def fingerprint(data: Data) -> str:
    """Return a short name that tells data apart: by number and shape and, for tensors, content.

    Of the images of tensors, and the classes of a dataset, some are looked at, spread evenly; of
    the classes of tensors, all. The images of a dataset are not: it may change them at random.
    """
    n = size(data)
    digest = hashlib.blake2b(repr((n, image_shape(data))).encode(), digest_size=8)
    some = torch.linspace(0, n - 1, min(n, _LOOKED_AT)).long()
    if isinstance(data, tuple):
        for part in (data[0][some.to(data[0].device)], data[1]):
            digest.update(part.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    else:
        digest.update(repr([int(_item(data, i)[1]) for i in some.tolist()]).encode())
    return digest.hexdigest()


def _first(data: Data) -> Tensor:
    image: Tensor = data[0][0] if isinstance(data, tuple) else _item(data)[0]
    return image


def _item(data: Dataset[Any], i: int = 0) -> Any:
    with torch.random.fork_rng([]):  # a dataset may change its images at random
        return data[i]


def changes(data: Data) -> bool:
    """Whether a dataset gives other images when it is read again, as its first few tell."""
    if isinstance(data, tuple):
        return False
    for i in range(min(size(data), _READ_TWICE)):
        images = []
        with torch.random.fork_rng([]):
            for seed in (0, 1):
                torch.default_generator.manual_seed(seed)
                images.append(data[i][0])
        if not torch.equal(*images):
            return True
    return False


def materialise(data: Data) -> Pair:
    """Return all of a dataset as tensors; tensors are returned as they are.

    A dataset that changes its images at random is frozen by this: it is read once.
    """
    if isinstance(data, tuple):
        return data
    batches = list(read(data, torch.split(torch.arange(size(data)), 512)))
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def fraction(data: Data, share: float) -> Data:
    """Return a share of the images: the beginning of a permutation that is always the same.

    A smaller share is part of a larger one. There is at least one image.

    Raises:
        InputError: If the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise InputError(f"the fraction of the data must be above 0 and at most 1; got {share}")
    if share == 1:
        return data
    n = size(data)
    fixed = torch.Generator().manual_seed(_PERMUTATION_SEED)
    chosen = torch.randperm(n, generator=fixed)[: max(1, round(share * n))]
    if isinstance(data, tuple):
        return data[0][chosen], data[1][chosen]
    return Subset(data, chosen.tolist())


def shrink(images: Tensor, resolution: float) -> Tensor:
    """Return images averaged over areas to so many pixels of height, and width in proportion.

    Args:
        images: ``... x c x h x w``.
        resolution: The new height; the width is rounded, to at least one pixel.

    Raises:
        InputError: If the resolution is no whole number from 1 to the height.
    """
    height, width = images.shape[-2:]
    if not 1 <= resolution <= height or resolution != int(resolution):
        raise InputError(
            f"the resolution must be a whole number of pixels from 1 to {height}; got {resolution}"
        )
    if resolution == height:
        return images
    shape = (int(resolution), max(1, round(width * resolution / height)))
    return adaptive_avg_pool2d(images, shape)


class Resolutions:
    """Data at any resolution, each computed once; a dataset is shrunk image by image.

    Args:
        data: The data at full resolution.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self._shrunk: dict[int, Data] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "_shrunk": {}}

    def at(self, resolution: float | None = None) -> Data:
        """Return the data at a resolution; by default the full one.

        Raises:
            InputError: If the resolution is no whole number from 1 to the height of the images.
        """
        if resolution is None or resolution == image_shape(self.data)[1]:
            return self.data
        if resolution not in self._shrunk:
            self._shrunk[int(resolution)] = (
                (shrink(self.data[0], resolution), self.data[1])
                if isinstance(self.data, tuple)
                else _Shrunk(self.data, resolution)
            )
        return self._shrunk[int(resolution)]


class _Shrunk(Dataset[tuple[Tensor, Any]]):
    def __init__(self, data: Dataset[Any], resolution: float) -> None:
        self.data = data
        self.resolution = resolution
        shrink(_first(data), resolution)  # refuses a resolution that is out of range

    def __len__(self) -> int:
        return len(cast(Sized, self.data))

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        image, label = self.data[i]
        return shrink(image, self.resolution), label


def shuffled(n: int, batch_size: int, order: torch.Generator) -> Sequence[Tensor]:
    """Return the indices of the images in each step of an epoch (int64, on the CPU).

    A last batch of a single image is left out, unless all batches are of one image: batch norm
    cannot learn from it.
    """
    steps = torch.split(torch.randperm(n, generator=order), batch_size)
    return steps[:-1] if len(steps) > 1 and len(steps[-1]) == 1 < batch_size else steps


def read(data: Data, steps: Sequence[Tensor]) -> Iterator[Pair]:
    """Yield batches of images and classes.

    Args:
        data: Tensors, on any device, or a dataset.
        steps: The indices of the images of each batch, on the CPU.
    """
    if isinstance(data, tuple):
        images, classes = data
        for chosen in torch.split(
            torch.cat(list(steps)).to(images.device), [len(s) for s in steps]
        ):
            yield images[chosen], classes[chosen]
    elif steps:
        # The loader draws a seed for its workers; that must not come from the global generator.
        for images, classes in DataLoader(
            data, batch_sampler=[s.tolist() for s in steps], generator=torch.Generator()
        ):
            yield images, classes.long()
