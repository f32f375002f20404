"""The interface of encoders, which turn architectures into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.nn import global_add_pool

from graphbo.architecture import Architecture
from graphbo.embeddings.batching import GraphBatch, vocabulary

_LONGEST = 31


class Encoder(nn.Module, ABC):
    """Turns labelled DAGs into vectors that do not depend on the order of their nodes.

    Operations on edges are first moved onto nodes. Every node starts from learned vectors of its
    label and of its position: its depth below the input and its height above the output. A
    subclass turns these starts into states that know of the rest of the graph. The graph's vector
    is a linear map of the sum and of the elementwise maximum over its nodes' states.

    Args:
        operations: The operations that architectures may carry.
        dim: Length of the vectors.
        hidden: Length of the states of nodes.
        layers: Number of layers; what one is, the subclass says.

    Attributes:
        vocabulary: The labels of nodes: input, output, plain (``""``), and the operations. One
            more index, ``len(vocabulary)``, stands for a label that is hidden.
        settings: The arguments, as JSON values.

    Raises:
        ValueError: If there is no operation, one is repeated, or a number is less than 1.

    Example:
        >>> encoder = GINEncoder(space.operations, dim=32)
        >>> encoder([design.architecture for design in designs]).shape
        torch.Size([100, 32])
    """

    name: str
    """What a checkpoint calls the kind of encoder."""

    def __init__(
        self, operations: Sequence[str], *, dim: int = 32, hidden: int = 64, layers: int = 3
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary(operations)
        for name, value in (("dim", dim), ("hidden", hidden), ("layers", layers)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        self.settings: dict[str, object] = {
            "operations": list(operations),
            "dim": dim,
            "hidden": hidden,
            "layers": layers,
        }
        self.dim = dim
        self.hidden = hidden
        self.labels = nn.Embedding(len(self.vocabulary) + 1, hidden)
        self.depths = nn.Embedding(_LONGEST + 1, hidden)
        self.heights = nn.Embedding(_LONGEST + 1, hidden)
        for position in (self.depths, self.heights):
            nn.init.normal_(position.weight, std=0.3)
        self.norm = nn.LayerNorm(hidden)
        self.readout = nn.Linear(2 * hidden, dim)

    @abstractmethod
    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        """Return the states of nodes, `N x hidden`, given their starts, `N x hidden`."""

    def batch(self, architectures: Sequence[Architecture]) -> GraphBatch:
        """Return architectures as a batch on the device of the encoder.

        Raises:
            ValueError: If an architecture carries a label that is not among the operations.
        """
        batch = GraphBatch.of(architectures, self.vocabulary)
        return batch.to(self.readout.weight.device)

    def states(self, batch: GraphBatch) -> Tensor:
        """Return the states of all nodes, `N x hidden`."""
        starts: Tensor = (
            self.labels(batch.labels)
            + self.depths(batch.depth.clamp_max(_LONGEST))
            + self.heights(batch.height.clamp_max(_LONGEST))
        )
        states: Tensor = self.norm(self.propagate(starts, batch))
        return states

    def pool(self, states: Tensor, batch: GraphBatch) -> Tensor:
        """Return the vectors of graphs, `n x dim`, given the states of their nodes."""
        total = global_add_pool(states, batch.graph, len(batch))
        index = batch.graph.unsqueeze(-1).expand_as(states)
        highest = torch.zeros_like(total).scatter_reduce(
            0, index, states, "amax", include_self=False
        )
        vectors: Tensor = self.readout(torch.cat([total / 4, highest], dim=1))
        return vectors

    def forward(self, architectures: Sequence[Architecture] | GraphBatch) -> Tensor:
        """Return one vector for each architecture, `n x dim`.

        Raises:
            ValueError: If an architecture carries a label that is not among the operations.
        """
        if not isinstance(architectures, GraphBatch):
            architectures = self.batch(architectures)
        if not len(architectures):
            return self.readout.weight.new_zeros(0, self.dim)
        return self.pool(self.states(architectures), architectures)
