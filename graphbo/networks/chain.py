"""Networks that are a chain of layers."""

from __future__ import annotations

from torch import Tensor, nn

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.networks.operations import classifier, operation, scaled


class ChainNetwork(nn.Module):
    """A chain of layers, then global average pooling and a linear layer.

    A layer is labelled with an operation and, where it changes the number of channels, its width:
    ``"conv3x3-32"`` is a 3x3 convolution with 32 output channels, batch norm and ReLU;
    ``"maxpool2"`` and ``"avgpool2"`` halve height and width, rounded up.

    Args:
        architecture: A chain input -> layer -> ... -> output, possibly without any layer.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the output channels of each layer that names them, rounded, to at least 1.

    Raises:
        ValueError: If the architecture is no chain, or a label is not of this form.

    Example:
        >>> chain = Architecture(["input", "conv3x3-32", "output"], [(0, 1), (1, 2)])
        >>> ChainNetwork(chain, in_channels=1)(torch.randn(8, 1, 8, 8)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        n = len(architecture)
        # Nodes are in topological order, so that a chain links each to the next.
        if architecture.edges != tuple((i, i + 1, "") for i in range(n - 1)):
            raise ValueError("the architecture is no chain from input to output")
        before = in_channels
        layers: list[nn.Module] = []
        for label in architecture.nodes:
            if label not in (INPUT, OUTPUT):
                name, after = parse_layer(label, before, width)
                layers.append(operation(name, before, after))
                before = after
        self.layers = nn.Sequential(*layers)
        self.head = classifier(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        logits: Tensor = self.head(self.layers(x))
        return logits


def parse_layer(label: str, in_channels: int, width: float = 1.0) -> tuple[str, int]:
    """Return the operation and the output channels of a layer such as ``"conv3x3-32"``.

    Args:
        label: The label.
        in_channels: What the layer takes, and puts out if its label names no channels.
        width: Multiplies the channels that are named.

    Raises:
        ValueError: If what follows the last hyphen is not a positive number.
    """
    name, hyphen, channels = label.rpartition("-")
    if not hyphen:
        return label, in_channels
    if not channels.isdecimal() or int(channels) < 1:
        raise ValueError(
            f"a layer is labelled 'operation-width', such as 'conv3x3-32'; got {label!r}"
        )
    return name, scaled(int(channels), width)
