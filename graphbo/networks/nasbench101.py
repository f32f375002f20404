"""The network around a cell of NAS-Bench-101 (Ying et al., ICML 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.networks.operations import classifier, conv_bn_relu, operation, scaled


def vertex_channels(architecture: Architecture, channels: int) -> list[int]:
    """Divide the channels of a cell among its vertices.

    The vertices that feed the output share its channels evenly, the first ones taking one more
    where the division leaves a rest; every other vertex has as many as the widest that it feeds.

    Args:
        architecture: A pruned cell with operations on its nodes.
        channels: Channels of the cell's output.

    Returns:
        One number for each node; 0 for the input, ``channels`` for the output.
    """
    output = architecture.output
    feeding = [u for u, v, _ in architecture.edges if v == output and u != architecture.input]
    widths = [0] * len(architecture)
    widths[output] = channels
    for i, node in enumerate(feeding):
        widths[node] = channels // len(feeding) + (i < channels % len(feeding))
    for node in reversed(range(len(architecture))):
        if node not in (architecture.input, output, *feeding):
            widths[node] = max(widths[v] for u, v, _ in architecture.edges if u == node)
    return widths


class NodeCell(nn.Module):
    """A cell whose operations sit on its nodes, built as in NAS-Bench-101.

    A node sums what reaches it, cut to its own channels; the input reaches it through a 1x1
    convolution. The output concatenates what feeds it and adds a projection of the input if there
    is an edge from input to output.

    Args:
        architecture: The cell. What does not lie on a path from input to output is left out.
        in_channels: Channels of the cell's input.
        channels: Channels of its output.

    Raises:
        ValueError: If input and output are not connected, an edge carries an operation, an
            operation is unknown, or there are fewer channels than vertices that share them.
    """

    def __init__(self, architecture: Architecture, in_channels: int, channels: int) -> None:
        super().__init__()
        cell = architecture.pruned()
        if not cell.edges:
            raise ValueError("the cell does not connect its input to its output")
        labelled = [label for _, _, label in cell.edges if label]
        if labelled:
            raise ValueError(f"operations must sit on the nodes; an edge carries {labelled[0]!r}")
        self.input, self.output = cell.input, cell.output
        self.widths = vertex_channels(cell, channels)
        self.inner = [i for i in range(len(cell)) if i not in (self.input, self.output)]
        if any(self.widths[node] < 1 for node in self.inner):
            raise ValueError(f"{channels} channels are too few for the vertices that share them")
        self.sources = [[u for u, v, _ in cell.edges if v == node] for node in range(len(cell))]
        self.projections = nn.ModuleDict(
            {
                str(v): conv_bn_relu(in_channels, self.widths[v], kernel_size=1)
                for u, v, _ in cell.edges
                if u == self.input
            }
        )
        self.operations = nn.ModuleDict(
            {
                str(node): operation(cell.nodes[node], self.widths[node], self.widths[node])
                for node in self.inner
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x in_channels x height x width`` to ``n x channels x height x width``."""
        values: dict[int, Tensor] = {}
        for node in self.inner:
            width = self.widths[node]
            arriving = [values[u][:, :width] for u in self.sources[node] if u != self.input]
            values[node] = self.operations[str(node)](self._with_projection(arriving, x, node))
        feeding = [values[u] for u in self.sources[self.output] if u != self.input]
        return self._with_projection([torch.cat(feeding, 1)] if feeding else [], x, self.output)

    def _with_projection(self, arriving: list[Tensor], x: Tensor, node: int) -> Tensor:
        if str(node) in self.projections:
            arriving = [*arriving, self.projections[str(node)](x)]
        total = arriving[0]
        for tensor in arriving[1:]:
            total = total + tensor
        return total


class NASBench101Network(nn.Module):
    """The macro skeleton of NAS-Bench-101 around one cell.

    A 3x3 convolution with batch norm and ReLU; stacks of cells, with 2x2 max pooling and twice the
    channels from one to the next; global average pooling and a linear layer. It takes any cell
    with operations on its nodes.

    Where the channels of a cell do not divide evenly, the rest goes to the first vertices in the
    order of ``architecture.nodes``, as in the benchmark: isomorphic cells may then differ by a
    channel in some vertices.

    Args:
        architecture: The cell; it must connect its input to its output.
        channels: Channels of the first stack.
        cells: Cells in each stack.
        stacks: Number of stacks.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the channels of the first stack, rounded, to at least 1.

    Raises:
        ValueError: If the cell cannot be built; see `NodeCell`.

    Example:
        >>> cell = Architecture(["input", "conv3x3", "output"], [(0, 1), (1, 2), (0, 2)])
        >>> NASBench101Network(cell, channels=32)(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        channels: int = 128,
        cells: int = 3,
        stacks: int = 3,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        channels = scaled(channels, width)
        self.stem = conv_bn_relu(in_channels, channels)
        layers: list[nn.Module] = []
        before = channels
        for stack in range(stacks):
            if stack:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                channels *= 2
            for _ in range(cells):
                layers.append(NodeCell(architecture, before, channels))
                before = channels
        self.layers = nn.Sequential(*layers)
        self.head = classifier(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        logits: Tensor = self.head(self.layers(self.stem(x)))
        return logits
