"""An encoder whose nodes attend to all nodes of their graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch_geometric.utils import to_dense_adj, to_dense_batch

from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder

_RELATIONS = 8


class TransformerEncoder(Encoder):
    """A transformer that knows how the nodes of a graph are related.

    Every node attends to every node of its graph. What it attends to is biased, by one learned
    number per head, by the relation of the two: the same node, a predecessor or a successor at a
    distance of one, two, or more edges (the shortest path), or none of these. A layer is attention
    and a two-layer perceptron, each behind a layer norm and with a residual connection. See
    `Encoder` for the rest.

    The number of attention weights is the square of the size of the largest graph, times the
    number of graphs, heads and layers.

    Ying et al., "Do Transformers Really Perform Badly for Graph Representation?", NeurIPS 2021;
    Luo et al., "Transformers over Directed Acyclic Graphs", NeurIPS 2023.

    Args:
        operations: The operations that architectures may carry.
        dim: Length of the vectors.
        hidden: Length of the states of nodes.
        layers: Number of layers.
        heads: Number of heads, a divisor of ``hidden``.

    Raises:
        ValueError: If there is no operation, one is repeated, a number is less than 1, or
            ``heads`` does not divide ``hidden``.
    """

    name = "transformer"

    def __init__(
        self,
        operations: Sequence[str],
        *,
        dim: int = 32,
        hidden: int = 64,
        layers: int = 3,
        heads: int = 4,
    ) -> None:
        super().__init__(operations, dim=dim, hidden=hidden, layers=layers)
        if heads < 1 or hidden % heads:
            raise ValueError(f"heads must divide hidden, which is {hidden}; got {heads}")
        self.settings["heads"] = heads
        self.layers = nn.ModuleList(_Layer(hidden, heads) for _ in range(layers))

    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        """Return the states of nodes after all layers, `N x hidden`."""
        h, present = to_dense_batch(starts, batch.graph, batch_size=len(batch))
        related = relations(batch, h.shape[1])
        absent = h.new_zeros(present.shape).masked_fill(~present, -torch.inf)[:, None, None]
        for layer in self.layers:
            h = layer(h, related, absent)
        states: Tensor = h[present]
        return states


def relations(batch: GraphBatch, size: int) -> Tensor:
    """Return how the second node is related to the first, `n x size x size`.

    With ``size`` at least the number of nodes of each graph. 4, 5 and 6 stand for a successor at a
    distance of more than two, two, and one edges, 2, 1 and 0 for a predecessor likewise, 3 for
    neither, and 7 for the same node.
    """
    one = to_dense_adj(batch.edges, batch.graph, max_num_nodes=size, batch_size=len(batch))
    two = (one @ one).clamp_max(1)
    reached, longest = one, 1
    while longest < size - 1:
        reached = (reached + reached @ reached).clamp_max(1)
        longest *= 2
    ahead = reached.maximum(2 * two).maximum(3 * one).long()
    same = torch.eye(size, dtype=torch.long, device=ahead.device)
    related: Tensor = 3 + ahead - ahead.mT + 4 * same
    return related


class _Layer(nn.Module):
    """Attention and a perceptron, each behind a layer norm and with a residual connection."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.bias = nn.Embedding(_RELATIONS, heads)
        # Without a bias: one of the keys would cancel in the softmax.
        self.project = nn.Linear(hidden, 3 * hidden, bias=False)
        self.output = nn.Linear(hidden, hidden)
        self.perceptron = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))

    def forward(self, h: Tensor, related: Tensor, absent: Tensor) -> Tensor:
        """Return the states of nodes, `n x size x hidden`."""
        n, size, hidden = h.shape
        parts = self.project(self.norms[0](h)).reshape(n, size, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        bias = self.bias(related).permute(0, 3, 1, 2) + absent
        attended = scaled_dot_product_attention(query, key, value, bias)
        h = h + self.output(attended.transpose(1, 2).reshape(n, size, hidden))
        result: Tensor = h + self.perceptron(self.norms[1](h))
        return result
