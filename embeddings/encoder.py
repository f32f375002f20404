"""A graph neural network that turns architectures into vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GINConv, global_add_pool

from graphbo.architecture import INPUT, OUTPUT, Architecture


class GraphEncoder(nn.Module):
    """A graph isomorphism network (GIN) on labelled DAGs that tells directions apart.

    Operations on edges are first moved onto nodes. Every node starts from a learned vector of its
    label. In each layer it receives the sum of the messages along its incoming edges and, through
    other weights, of those against its outgoing edges. The graph's vector is a linear map of the
    sums over its nodes after every layer. Isomorphic architectures get the same vector.

    Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019.

    Args:
        operations: The operations that architectures may carry.
        dim: Length of the vectors, inside and out.
        layers: Number of rounds of messages.

    Raises:
        ValueError: If there is no operation, one is repeated, or a number is less than 1.

    Example:
        >>> encoder = GraphEncoder(space.operations, dim=32)
        >>> encoder([design.architecture for design in designs]).shape
        torch.Size([100, 32])
    """

    def __init__(self, operations: Sequence[str], dim: int = 32, layers: int = 3) -> None:
        super().__init__()
        if not operations or len(set(operations)) < len(operations):
            raise ValueError(f"the operations must be distinct, and at least one; got {operations}")
        if dim < 1 or layers < 1:
            raise ValueError(f"dim and layers must be at least 1; got {dim} and {layers}")
        # The empty label is that of plain edges.
        self.vocabulary = (INPUT, OUTPUT, "", *operations)
        self.dim = dim
        self.labels = nn.Embedding(len(self.vocabulary), dim)
        self.along = nn.ModuleList(_convolution(dim) for _ in range(layers))
        self.against = nn.ModuleList(_convolution(dim) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(layers))
        self.readout = nn.Linear((layers + 1) * dim, dim)

    def forward(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return one vector for each architecture, ``n x dim``.

        Raises:
            ValueError: If an architecture carries a label that is not among the operations.
        """
        if not architectures:
            return self.readout.weight.new_zeros(0, self.dim)
        graphs = [a.operations_on_nodes().to_pyg(self.vocabulary) for a in architectures]
        batch = Batch.from_data_list(graphs, exclude_keys=["vocabulary", "edge_attr"])
        batch = batch.to(self.readout.weight.device)
        reverse = batch.edge_index.flip(0)
        h = self.labels(batch.x)
        sums = [global_add_pool(h, batch.batch, len(graphs))]
        for along, against, norm in zip(self.along, self.against, self.norms, strict=True):
            h = norm(torch.relu(along(h, batch.edge_index) + against(h, reverse)))
            sums.append(global_add_pool(h, batch.batch, len(graphs)))
        vectors: Tensor = self.readout(torch.cat(sums, dim=1))
        return vectors


def _convolution(dim: int) -> GINConv:
    perceptron = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
    return GINConv(perceptron, train_eps=True)
