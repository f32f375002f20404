"""Whole networks of ENAS (Pham et al., ICML 2018): layers with skip connections."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.networks.darts import FactorizedReduction
from graphbo.networks.operations import classifier, conv_bn_relu, operation, scaled, stem


class ENASMacroNetwork(nn.Module):
    """A chain of layers with skip connections, as in the macro space of ENAS.

    A 3x3 convolution with batch norm, which is what a skip connection from the input reads; layers;
    global average pooling and a linear layer. A layer is a 1x1 convolution and its operation, on
    what the layer before it puts out. Where skip connections lead to it, what they bring and the
    result are concatenated and go through one more 1x1 convolution.

    After one and two thirds of the layers, height and width are halved and channels doubled: every
    earlier output that is read later on is reduced on its own by a `FactorizedReduction`, twice if
    it is read after both.

    Args:
        architecture: A chain of operations with skip connections, as in `ENASMacroSpace`.
        channels: Channels of the first layers.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the channels, rounded, to at least 1.
        stem_stride: Stride of the first convolution.

    Raises:
        InputError: If the architecture is no such chain.
        ValueError: If an operation is unknown.

    Example:
        >>> design = ENASMacroSpace(6).sample(np.random.default_rng(0))
        >>> ENASMacroNetwork(design.architecture, channels=8)(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        channels: int = 36,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        count = len(architecture) - 2
        edges = {(u, v) for u, v, label in architecture.edges if not label}
        into_output = [v for _, v in edges if v == count + 1]
        # Nodes are in topological order, so that the chain links each to the next.
        if (
            len(edges) < len(architecture.edges)
            or not edges.issuperset((i, i + 1) for i in range(count + 1))
            or len(into_output) > 1
        ):
            raise InputError(
                "a network of ENAS is a chain of operations with skip connections between them; "
                f"got {architecture!r}"
            )
        channels = scaled(channels, width)
        self.stem = stem(in_channels, channels, stem_stride)
        self.skips = [[u for u in range(v - 1) if (u, v) in edges] for v in range(count + 1)]
        self.layers, self.projections = nn.ModuleList(), nn.ModuleDict()
        self.reductions = nn.ModuleDict()
        for layer in range(1, count + 1):
            label = architecture.nodes[layer]
            self.layers.append(
                nn.Sequential(
                    *conv_bn_relu(channels, channels, kernel_size=1),
                    operation(label, channels, channels),
                )
            )
            if self.skips[layer]:
                joined = channels * (1 + len(self.skips[layer]))
                self.projections[str(layer)] = conv_bn_relu(joined, channels, kernel_size=1)
            if layer < count and layer in (count // 3, 2 * count // 3):
                read_later = sorted({u for u, v in edges if u <= layer < v})
                self.reductions[str(layer)] = nn.ModuleDict(
                    {str(u): FactorizedReduction(channels, 2 * channels) for u in read_later}
                )
                channels *= 2
        self.head = classifier(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        values = {0: self.stem(x)}
        for layer, module in enumerate(self.layers, start=1):
            result = module(values[layer - 1])
            if self.skips[layer]:
                joined = torch.cat([*(values[u] for u in self.skips[layer]), result], 1)
                result = self.projections[str(layer)](joined)
            values[layer] = result
            if str(layer) in self.reductions:
                reductions = self.reductions[str(layer)]
                assert isinstance(reductions, nn.ModuleDict)
                values = {int(u): reduce(values[int(u)]) for u, reduce in reductions.items()}
        logits: Tensor = self.head(values[len(self.layers)])
        return logits
