"""Random changes to images: drawn on the CPU, applied on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from graphbo.training.recipe import Recipe

PARAMETERS = 7
"""Numbers that say how one image is changed; see `draw`."""


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return a batch changed at random as a recipe says.

    Args:
        images: ``n x c x h x w``, on any device.
        recipe: Its ``crop``, ``flip`` and ``cutout`` are used.
        generator: The source of randomness, on the CPU; nothing is drawn if the recipe changes
            nothing.

    Returns:
        New images of the same shape, or the images themselves if the recipe changes nothing.
    """
    if not recipe.augments:
        return images
    n, _, height, width = images.shape
    return apply(images, draw(n, height, width, recipe, generator))


def draw(n: int, height: int, width: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Draw how to change a batch of images.

    Args:
        n: Images in the batch.
        height: Their height in pixels.
        width: Their width in pixels.
        recipe: What may be changed.
        generator: The source of randomness, on the CPU.

    Returns:
        ``n x 7`` whole numbers (int64, on the CPU), for each image: whether it is mirrored (0 or
        1); how far down and to the right the crop lies of the image; and the first row, the row
        after the last, the first column and the column after the last of the blanked square.
        Batches of several trainings may be joined along a new first dimension, for `apply`.
    """
    parameters = torch.zeros(n, PARAMETERS, dtype=torch.int64)
    if recipe.flip:
        parameters[:, 0] = torch.randint(2, (n,), generator=generator)
    if recipe.crop:
        offsets = torch.randint(2 * recipe.crop + 1, (n, 2), generator=generator)
        parameters[:, 1:3] = offsets - recipe.crop
    if recipe.cutout:
        # The centre is any pixel, so that the square may reach over the border.
        for column, size in ((3, height), (5, width)):
            centre = torch.randint(size, (n,), generator=generator)
            first = centre - recipe.cutout // 2
            parameters[:, column] = first.clamp(min=0)
            parameters[:, column + 1] = (first + recipe.cutout).clamp(max=size)
    return parameters


def apply(images: Tensor, parameters: Tensor) -> Tensor:
    """Change images as was drawn: crop with zero padding, mirror, then blank a square.

    Cutout is that of DeVries and Taylor, *Improved regularization of convolutional neural networks
    with cutout* (2017): the square is clipped at the border.

    Args:
        images: ``... x n x c x h x w``, on any device.
        parameters: ``... x n x 7`` of `draw`, with the same leading dimensions.

    Returns:
        New images of the same shape and on the same device.
    """
    channels, height, width = images.shape[-3:]
    flat = images.reshape(-1, channels, height * width)
    moved = parameters.reshape(-1, PARAMETERS).to(images.device, non_blocking=True)
    mirrored, down, right, top, bottom, left, end = (column[:, None] for column in moved.unbind(1))
    row = torch.arange(height, device=images.device)[None]
    column = torch.arange(width, device=images.device)[None]
    # Where the pixel of each row and column of the result is read from.
    source_row = row + down
    source_column = torch.where(mirrored == 1, width - 1 - column, column) + right
    inside = _both(
        (source_row >= 0) & (source_row < height),
        (source_column >= 0) & (source_column < width),
    )
    hole = _both((row >= top) & (row < bottom), (column >= left) & (column < end))
    source = (
        source_row.clamp(0, height - 1)[:, :, None] * width
        + source_column.clamp(0, width - 1)[:, None, :]
    )
    index = source.flatten(1)[:, None].expand(-1, channels, -1)
    blank = (~inside | hole).flatten(1)[:, None]
    return flat.gather(2, index).masked_fill_(blank, 0).reshape(images.shape)


def _both(rows: Tensor, columns: Tensor) -> Tensor:
    """Return ``n x h x w``: where both the row (``n x h``) and the column (``n x w``) are true."""
    return rows[:, :, None] & columns[:, None, :]
