"""Chains of X blocks (Radosavovic et al., CVPR 2020)."""

from __future__ import annotations

from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.networks.operations import classifier, conv_bn_relu, scaled, stem
from graphbo.spaces.regnet import Block, blocks_of


class XBlock(nn.Module):
    """A residual block: 1x1, grouped 3x3 and 1x1 convolutions, each with batch norm.

    ReLU follows the first two and the sum with the shortcut, which is a 1x1 convolution with batch
    norm where channels or image change.

    Args:
        in_channels: Channels of what it takes.
        block: Its widths.
        stride: 2 halves height and width, rounded up.
    """

    def __init__(self, in_channels: int, block: Block, stride: int = 1) -> None:
        super().__init__()
        inner = block.width // block.bottleneck
        self.residual = nn.Sequential(
            *conv_bn_relu(in_channels, inner, kernel_size=1),
            nn.Conv2d(
                *(inner, inner, 3, stride), padding=1, groups=inner // block.group, bias=False
            ),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, block.width, 1, bias=False),
            nn.BatchNorm2d(block.width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != block.width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, block.width, 1, stride, bias=False),
                nn.BatchNorm2d(block.width),
            )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x in_channels x h x w`` to ``n x width x h' x w'``."""
        total: Tensor = self.relu(self.shortcut(x) + self.residual(x))
        return total


class RegNetNetwork(nn.Module):
    """A chain of X blocks between a convolution and a linear layer.

    A 3x3 convolution with batch norm and ReLU; the blocks, of which the first, and each of another
    width than the one before, begins a stage and has stride 2; global average pooling and a linear
    layer.

    Reference: Radosavovic et al., "Designing network design spaces", CVPR 2020: RegNetX.

    Args:
        architecture: The chain, as in `RegNetSpace`.
        channels: Channels of the first convolution.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the channels, rounded to at least 1 and to whole groups.
        stem_stride: Stride of the first convolution.

    Raises:
        InputError: If the architecture is no chain of blocks.

    Example:
        >>> network = RegNetNetwork(design.architecture, channels=8)
        >>> network(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        channels: int = 32,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: int = 2,
    ) -> None:
        super().__init__()
        before = scaled(channels, width)
        self.stem = nn.Sequential(*stem(in_channels, before, stem_stride), nn.ReLU())
        self.blocks = nn.Sequential()
        last = 0
        for block in blocks_of(architecture.pruned()):
            stride = 1 if block.width == last else 2
            last = block.width
            made = block
            if width != 1:
                made = Block.compatible(scaled(last, width), block.group, block.bottleneck)
            self.blocks.append(XBlock(before, made, stride))
            before = made.width
        self.head = classifier(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits
