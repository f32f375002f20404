"""The network around a cell of NAS-Bench-201 (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.networks.operations import classifier, operation, relu_conv_bn, scaled, stem, total


class EdgeCell(nn.Module):
    """A cell whose operations sit on its edges; each node sums what reaches it.

    Args:
        architecture: The cell. What does not lie on a path from input to output is left out.
        channels: Number of channels everywhere in the cell.

    Raises:
        ValueError: If an inner node carries an operation, or an edge none or an unknown one.
    """

    def __init__(self, architecture: Architecture, channels: int) -> None:
        super().__init__()
        cell = architecture.pruned()
        for label in cell.nodes:
            if label not in (INPUT, OUTPUT, ""):
                raise ValueError(f"operations must sit on the edges; a node carries {label!r}")
        self.size = len(cell)
        self.input, self.output = cell.input, cell.output
        self.ends = [(u, v) for u, v, _ in cell.edges]
        self.operations = nn.ModuleList(
            operation(label, channels, channels) for _, _, label in cell.edges
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x channels x height x width`` to the same shape; zeros if empty."""
        incoming: list[list[Tensor]] = [[] for _ in range(self.size)]
        incoming[self.input].append(x)
        # The edges are sorted by source, so that a node is complete before it is read.
        for (u, v), module in zip(self.ends, self.operations, strict=True):
            incoming[v].append(module(total(incoming[u])))
        result = incoming[self.output]
        return total(result) if result else torch.zeros_like(x)


class NASBench201Network(nn.Module):
    """The macro skeleton of NAS-Bench-201 around one cell.

    A 3x3 convolution with batch norm; stages of cells, in the benchmark three, whose channels
    double and whose image halves from one to the next through a residual block of stride 2; batch
    norm, ReLU, global average pooling and a linear layer. It takes any cell with operations on its
    edges.

    Args:
        architecture: The cell, of any number of nodes. An empty cell is legal: it passes zeros on.
        channels: Channels of the first stage.
        cells: Cells in each stage.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the channels of the first stage, rounded, to at least 1.
        stages: Number of stages.
        stem_stride: Stride of the first convolution.

    Raises:
        ValueError: If the operations do not sit on the edges or one of them is unknown.

    Example:
        >>> space = NASBench201Space()
        >>> network = NASBench201Network(space.parse(text), channels=16, cells=5, classes=10)
        >>> network(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        channels: int = 16,
        cells: int = 5,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        stages: int = 3,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        channels = scaled(channels, width)
        self.stem = stem(in_channels, channels, stem_stride)
        cell = self.cell(architecture)
        layers: list[nn.Module] = []
        for stage in range(stages):
            if stage:
                layers.append(ResidualReduction(channels))
                channels *= 2
            layers += [EdgeCell(cell, channels) for _ in range(cells)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), *classifier(channels, classes)
        )

    @staticmethod
    def cell(architecture: Architecture) -> Architecture:
        """Return the cell with operations on its edges that an architecture stands for."""
        return architecture

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        logits: Tensor = self.head(self.layers(self.stem(x)))
        return logits


class ResidualReduction(nn.Module):
    """A basic residual block that doubles the channels and halves height and width, rounded up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            relu_conv_bn(channels, 2 * channels, stride=2),
            relu_conv_bn(2 * channels, 2 * channels),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels, 2 * channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x c x h x w`` to ``n x 2c x h/2 x w/2``."""
        result: Tensor = self.shortcut(x) + self.residual(x)
        return result
