"""An encoder that updates nodes in the order of the graph, one depth after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder


class AsynchronousEncoder(Encoder):
    """A recurrent network that runs through the graph as data do, and back again.

    A gated recurrent unit computes the state of a node from its start and from the gated sum of
    the final states of its predecessors, so what happens at the input reaches the output in one
    pass. A second pass with other weights runs from the output to the input, and a linear map
    merges the two. A layer is such a double pass; one is enough for every node to hear of all that
    lie before and behind it. The nodes of one depth are updated together over all graphs. See
    `Encoder` for the rest.

    Zhang et al., "D-VAE: A Variational Autoencoder for Directed Acyclic Graphs", NeurIPS 2019.
    """

    name = "dvae"

    def __init__(
        self, operations: Sequence[str], *, dim: int = 32, hidden: int = 64, layers: int = 1
    ) -> None:
        super().__init__(operations, dim=dim, hidden=hidden, layers=layers)
        self.along = nn.ModuleList(_Pass(hidden) for _ in range(layers))
        self.against = nn.ModuleList(_Pass(hidden) for _ in range(layers))
        self.merges = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in range(layers))

    def propagate(self, starts: Tensor, batch: GraphBatch) -> Tensor:
        """Return the states of nodes after all double passes, `N x hidden`."""
        down, up = _Levels(batch), _Levels(batch.reversed())
        h = starts
        for along, against, merge in zip(self.along, self.against, self.merges, strict=True):
            h = merge(torch.cat([along(h, down), against(h, up)], dim=1))
        return h


class _Levels:
    """The nodes of a batch by depth, and the edges by the depth of their heads.

    Attributes:
        order: The nodes, those of least depth first, `N`.
        position: The place of each node in that order, `N`.
        sizes: The number of nodes of each depth.
        tails: For each depth, the places of the tails of the edges that lead there.
        heads: For each depth, the places of their heads among the nodes of that depth.
    """

    def __init__(self, batch: GraphBatch) -> None:
        self.order = batch.depth.argsort(stable=True)
        self.position = torch.empty_like(self.order)
        self.position[self.order] = torch.arange(len(self.order)).to(self.order)
        sizes = batch.depth.bincount()
        reached = batch.depth[batch.edges[1]]
        tails, heads = self.position[batch.edges[:, reached.argsort(stable=True)]]
        counts = reached.bincount(minlength=len(sizes))
        heads = heads - (sizes.cumsum(0) - sizes).repeat_interleave(counts)
        self.sizes: list[int] = sizes.tolist()
        self.tails = torch.split(tails, counts.tolist())
        self.heads = torch.split(heads, counts.tolist())


class _Pass(nn.Module):
    """One recurrent pass through the depths."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(hidden, hidden)
        self.gate = nn.Linear(hidden, hidden)
        self.map = nn.Linear(hidden, hidden, bias=False)

    def forward(self, starts: Tensor, levels: _Levels) -> Tensor:
        """Return the states of nodes, `N x hidden`."""
        states: list[Tensor] = []
        messages = starts[:0]
        inputs = torch.split(starts[levels.order], levels.sizes)
        for x, tails, heads in zip(inputs, levels.tails, levels.heads, strict=True):
            total = torch.zeros_like(x).index_add(0, heads, messages[tails])
            h = self.cell(x, total)
            states.append(h)
            messages = torch.cat([messages, self.gate(h).sigmoid() * self.map(h)])
        return torch.cat(states)[levels.position]
