"""Encoders that pass messages along and against all edges at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv, GINConv

from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder


class _MessagePassing(Encoder):
    """Rounds of messages along the edges and, through other weights, against them."""

    def __init__(
        self, operations: Sequence[str], *, dim: int = 32, hidden: int = 64, layers: int = 3
    ) -> None:
        super().__init__(operations, dim=dim, hidden=hidden, layers=layers)
        self.along = nn.ModuleList(self._convolution() for _ in range(layers))
        self.against = nn.ModuleList(self._convolution() for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))

    def _convolution(self) -> nn.Module:
        raise NotImplementedError

    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        """Return the states of nodes after all rounds, `N x hidden`."""
        back = batch.edges.flip(0)
        h = starts
        for along, against, norm in zip(self.along, self.against, self.norms, strict=True):
            h = h + torch.relu(norm(along(h, batch.edges) + against(h, back)))
        return h


class GINEncoder(_MessagePassing):
    """A graph isomorphism network that tells directions apart.

    A node adds up the states of its predecessors, and through other weights those of its
    successors; see `Encoder` for the rest.

    Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019.
    """

    name = "gin"

    def _convolution(self) -> nn.Module:
        n = self.hidden
        perceptron = nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n))
        convolution: nn.Module = GINConv(perceptron, train_eps=True)
        return convolution


class GCNEncoder(_MessagePassing):
    """A graph convolutional network that tells directions apart.

    Messages are weighted by the degrees of both ends; see `Encoder` for the rest.

    Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017;
    with both directions, Wen et al., "Neural Predictor for Neural Architecture Search", ECCV 2020.
    """

    name = "gcn"

    def _convolution(self) -> nn.Module:
        convolution: nn.Module = GCNConv(self.hidden, self.hidden)
        return convolution
