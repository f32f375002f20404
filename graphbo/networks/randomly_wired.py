"""The network around a random graph (Xie et al., ICCV 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.errors import InputError
from graphbo.networks.operations import classifier, relu_separable_conv_bn, scaled, stem, total
from graphbo.spaces.randomly_wired import NODE


class WiredNode(nn.Module):
    """A sum with learnt positive weights, ReLU, a separable 3x3 convolution and batch norm.

    The weights are sigmoids of free parameters, and begin at one half.

    Args:
        inputs: The number of tensors that are summed.
        in_channels: Their channels.
        out_channels: Channels of the result.
        stride: 2 halves height and width, rounded up.
    """

    def __init__(self, inputs: int, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(inputs))
        self.layers = relu_separable_conv_bn(in_channels, out_channels, stride=stride)

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Map tensors ``n x in_channels x h x w`` to one, ``n x out_channels x h' x w'``."""
        weights = self.weights.sigmoid()
        result: Tensor = self.layers(total(weights[i] * each for i, each in enumerate(tensors)))
        return result


class WiredStage(nn.Module):
    """The nodes of one graph; its output is the mean of what reaches it.

    Args:
        architecture: The graph.
        in_channels: Channels of what the input feeds to the first nodes, those that it feeds.
        out_channels: Channels of every node.
        stride: Of the first nodes.

    Raises:
        InputError: If a node has another label than `NODE`, or reads the input beside other nodes.
    """

    def __init__(
        self, architecture: Architecture, in_channels: int, out_channels: int, stride: int = 1
    ) -> None:
        super().__init__()
        graph = architecture.pruned()
        unknown = [label for label in graph.nodes if label not in (INPUT, OUTPUT, NODE)]
        if unknown or any(label for *_, label in graph.edges):
            raise InputError(
                f"every node of a randomly wired network is {NODE!r}, and no edge has a label; "
                f"got {architecture!r}"
            )
        self.sources: list[list[int]] = [[] for _ in graph.nodes]
        for u, v, _ in graph.edges:
            self.sources[v].append(u)
        self.input, self.output = graph.input, graph.output
        if not self.sources[self.output] or any(
            self.input in sources and (len(sources) > 1 or node == self.output)
            for node, sources in enumerate(self.sources)
        ):
            raise InputError(
                "the input of a randomly wired network feeds the nodes that nothing else feeds; "
                f"got {architecture!r}"
            )
        self.nodes = nn.ModuleDict()
        for node, sources in enumerate(self.sources):
            if node in (self.input, self.output):
                continue
            first = self.input in sources
            self.nodes[str(node)] = WiredNode(
                len(sources),
                in_channels if first else out_channels,
                out_channels,
                stride if first else 1,
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x in_channels x h x w`` to ``n x out_channels x h' x w'``."""
        values = {self.input: x}
        for name, module in self.nodes.items():  # in topological order
            node = int(name)
            values[node] = module([values[source] for source in self.sources[node]])
        ends = [values[source] for source in self.sources[self.output]]
        return total(ends) / len(ends)


class RandomlyWiredNetwork(nn.Module):
    """A network whose stages are all wired like one graph.

    A 3x3 convolution with batch norm; stages with the same wiring and weights of their own, whose
    channels double and whose image halves from one to the next: the nodes that the input feeds have
    stride 2 there; ReLU, global average pooling and a linear layer. The paper draws a graph for
    each stage with the same parameters, and has a further convolution before the pooling; with one
    graph for all, a network is one architecture, and a kernel sees all of it.

    Reference: Xie et al., "Exploring randomly wired neural networks for image recognition", ICCV
    2019.

    Args:
        architecture: The graph, as in `RandomlyWiredSpace`.
        channels: Channels of the first convolution and of the first stage.
        stages: The number of stages.
        classes: Number of classes.
        in_channels: Channels of the images.
        width: Multiplies the channels, rounded, to at least 1.
        stem_stride: Stride of the first convolution.

    Raises:
        InputError: If there are no stages, a node has another label than `NODE`, or the input feeds
            a node that another feeds, too.

    Example:
        >>> network = RandomlyWiredNetwork(design.architecture, channels=8, stages=2)
        >>> network(torch.randn(8, 3, 32, 32)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        architecture: Architecture,
        channels: int = 32,
        stages: int = 3,
        classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        if stages < 1:
            raise InputError(f"a network has at least 1 stage; got {stages}")
        channels = scaled(channels, width)
        self.stem = stem(in_channels, channels, stem_stride)
        self.stages = nn.Sequential(WiredStage(architecture, channels, channels))
        for _ in range(1, stages):
            self.stages.append(WiredStage(architecture, channels, 2 * channels, stride=2))
            channels *= 2
        self.head = nn.Sequential(nn.ReLU(), *classifier(channels, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``n x in_channels x height x width`` to logits ``n x classes``."""
        logits: Tensor = self.head(self.stages(self.stem(x)))
        return logits
