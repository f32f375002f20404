"""The network around the two cells of DARTS (Liu, Simonyan and Yang, ICLR 2019)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.networks.operations import (
    classifier,
    relu_conv_bn,
    relu_separable_conv_bn,
    scaled,
    stem,
)
from graphbo.spaces.darts import INPUTS, NORMAL, REDUCE
from graphbo.spaces.product import split

_STEM = 3


class FactorizedReduction(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 on shifted grids, concatenated, and batch norm.

    Height and width are halved, rounded up: beyond the border of an odd image there are zeros.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(in_channels, out_channels - half, 1, 2, bias=False)
        self.odd = nn.Conv2d(in_channels, half, 1, 2, bias=False) if half else None
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x in_channels x h x w`` to ``n x out_channels x h/2 x w/2``."""
        x = self.relu(x)
        result = self.even(x)
        if self.odd is not None:
            shifted = functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
            result = torch.cat([result, self.odd(shifted)], 1)
        normed: Tensor = self.norm(result)
        return normed


def _skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)


def _separable(channels: int, stride: int, *, kernel_size: int) -> nn.Module:
    first, second = (
        relu_separable_conv_bn(channels, channels, kernel_size, each) for each in (stride, 1)
    )
    return nn.Sequential(*first, *second)


def _dilated(channels: int, stride: int, *, kernel_size: int) -> nn.Module:
    return relu_separable_conv_bn(channels, channels, kernel_size, stride, dilation=2)


DARTS_OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "sep_conv_3x3": partial(_separable, kernel_size=3),
    "sep_conv_5x5": partial(_separable, kernel_size=5),
    "dil_conv_3x3": partial(_dilated, kernel_size=3),
    "dil_conv_5x5": partial(_dilated, kernel_size=5),
    "max_pool_3x3": lambda channels, stride: nn.MaxPool2d(3, stride, padding=1),
    "avg_pool_3x3": lambda channels, stride: nn.AvgPool2d(
        3, stride, padding=1, count_include_pad=False
    ),
    "skip_connect": _skip,
}
"""What makes an operation from a number of channels and a stride; add your own here."""


class DropPath(nn.Module):
    """Sets each image to zero with some probability in training, and scales up the others.

    Args:
        probability: At least 0, and less than 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x c x h x w`` to the same shape."""
        if not self.training:
            return x
        kept = 1 - self.probability
        mask = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(kept)
        return x * mask / kept


class DARTSCell(nn.Module):
    """A cell of DARTS; each node sums what reaches it, and the output concatenates the nodes.

    Args:
        architecture: The cell, as in `DARTSCellSpace`.
        before: Channels of the outputs of the cell before the last, and of the last cell.
        channels: Channels of each node.
        reduction: Whether height and width are halved: operations on the inputs have stride 2.
        reduced: Whether the last cell has done so, and the one before it not.
        drop_path: The probability of dropping the result of an operation; see `DropPath`.

    Attributes:
        out_channels: Channels of the output.

    Raises:
        InputError: If an operation is unknown, or the architecture is no such cell.
    """

    def __init__(
        self,
        architecture: Architecture,
        before: tuple[int, int],
        channels: int,
        reduction: bool,
        reduced: bool,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        cell = architecture.pruned()
        self.nodes = [i for i, label in enumerate(cell.nodes) if label == ""]
        others = sorted(label for label in cell.nodes if label)
        if not self.nodes or not set(others) <= {INPUT, OUTPUT, *INPUTS}:
            raise InputError(
                f"a cell of DARTS has inputs {' and '.join(INPUTS)} and operations on its edges; "
                f"got {cell!r}"
            )
        self.inputs = [cell.nodes.index(label) if label in cell.nodes else None for label in INPUTS]
        first = FactorizedReduction if reduced else partial(relu_conv_bn, kernel_size=1)
        self.preprocess = nn.ModuleList(
            [first(before[0], channels), relu_conv_bn(before[1], channels, kernel_size=1)]
        )
        self.edges = [(u, v) for u, v, label in cell.edges if label]
        self.operations = nn.ModuleList()
        for u, _, label in cell.edges:
            if not label:
                continue
            if label not in DARTS_OPERATIONS:
                raise InputError(
                    f"no module for the operation {label!r}; there is {sorted(DARTS_OPERATIONS)}"
                )
            stride = 2 if reduction and u in self.inputs else 1
            module = DARTS_OPERATIONS[label](channels, stride)
            if drop_path and not isinstance(module, nn.Identity):
                module = nn.Sequential(module, DropPath(drop_path))
            self.operations.append(module)
        self.out_channels = channels * len(self.nodes)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map the outputs of the two cells before to that of this one.

        Args:
            first: ``n x before[0] x h x w`` of the cell before the last; with twice the height and
                width of ``second`` if ``reduced``.
            second: ``n x before[1] x h x w`` of the last cell.
        """
        values: dict[int, Tensor] = {}
        for node, preprocess, x in zip(self.inputs, self.preprocess, (first, second), strict=True):
            if node is not None:
                values[node] = preprocess(x)
        # The edges are sorted by source, so that a node is complete before it is read.
        for (u, v), module in zip(self.edges, self.operations, strict=True):
            result = module(values[u])
            values[v] = values[v] + result if v in values else result
        return torch.cat([values[node] for node in self.nodes], 1)


class DARTSNetwork(nn.Module):
    """The network of DARTS around a normal and a reduction cell.

    A 3x3 convolution with batch norm; cells that read the outputs of the two before them, of
    which those at one and two thirds are reduction cells and double the channels; global average
    pooling and a linear layer. There is no auxiliary head. A skip connection of stride 2 is a
    `FactorizedReduction`.

    Args:
        architecture: Cells called ``"normal"`` and ``"reduce"``, as in `DARTSSpace`.
        channels: Channels of a node of the first cells; the first convolution has three times as
            many.
        cells: The number of cells; 20 in the paper.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the channels, rounded, to at least 1.
        drop_path: The probability of dropping the result of an operation, skip connections of
            stride 1 excepted, in training. (In the paper it rises from 0 to 0.2 in training.)
        stem_stride: Stride of the first convolution.

    Raises:
        InputError: If there are no cells, a cell cannot be built, or the probability is not at
            least 0 and below 1.
        ValueError: If the architecture does not consist of two such parts.

    Example:
        >>> network = DARTSNetwork(design.architecture, channels=4, cells=3)
        >>> network(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        channels: int = 36,
        cells: int = 20,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        drop_path: float = 0.0,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        if cells < 1:
            raise InputError(f"a network has at least 1 cell; got {cells}")
        if not 0 <= drop_path < 1:
            raise InputError(f"drop_path must be at least 0 and below 1; got {drop_path}")
        parts = split(architecture, (NORMAL, REDUCE))
        channels = scaled(channels, width)
        self.stem = stem(in_channels, _STEM * channels, stem_stride)
        self.cells = nn.ModuleList()
        before, reduced = (_STEM * channels, _STEM * channels), False
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            channels *= 2 if reduction else 1
            part = parts[REDUCE if reduction else NORMAL]
            cell = DARTSCell(part, before, channels, reduction, reduced, drop_path)
            self.cells.append(cell)
            before, reduced = (before[1], cell.out_channels), reduction
        self.head = classifier(before[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        first = second = self.stem(x)
        for cell in self.cells:
            first, second = second, cell(first, second)
        logits: Tensor = self.head(second)
        return logits
