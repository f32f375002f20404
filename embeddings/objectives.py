"""What an encoder can be pretrained on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder


@dataclass
class Step:
    """One batch of a pretraining, with what its objectives share.

    Attributes:
        encoder: The encoder.
        batch: The graphs.
        targets: Normal scores of the targets, `n x tasks`, NaN where there is none.
        generator: The source of randomness, on the CPU.
    """

    encoder: Encoder
    batch: GraphBatch
    targets: Tensor
    generator: torch.Generator

    @cached_property
    def states(self) -> Tensor:
        """The states of the nodes, `N x hidden`."""
        return self.encoder.states(self.batch)

    @cached_property
    def vectors(self) -> Tensor:
        """The vectors of the graphs, `n x dim`."""
        return self.encoder.pool(self.states, self.batch)

    def chosen(self, share: float, count: int) -> Tensor:
        """Return a random mask that holds for a share of so many things."""
        drawn = torch.rand(count, generator=self.generator) < share
        return drawn.to(self.batch.labels.device)

    def normal(self, like: Tensor) -> Tensor:
        """Return standard normal numbers in the shape of a tensor."""
        return torch.randn(like.shape, generator=self.generator).to(like)


class Objective(nn.Module, ABC):
    """A loss on a batch, with the parts of the network that only it needs."""

    name: str
    """What the command line and a card call it."""

    @abstractmethod
    def forward(self, step: Step) -> Tensor:
        """Return the loss, a number to be minimised."""


class Supervised(Objective):
    """Regression on all targets at once: the mean squared error, each task with the same weight.

    Targets that are missing are left out.

    Args:
        head: From vectors (`n x dim`) to predictions of all tasks (`n x tasks`).
    """

    name = "supervised"

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, step: Step) -> Tensor:
        """Return the mean over the tasks that have a target in the batch."""
        known = torch.isfinite(step.targets)
        errors = torch.where(known, self.head(step.vectors) - step.targets.nan_to_num(), 0.0)
        found = known.any(0)
        means: Tensor = errors.square().sum(0)[found] / known.sum(0)[found]
        return means.mean() if len(means) else errors.sum()


class Reconstruction(Objective):
    r"""A variational graph autoencoder of operations and edges.

    The states of nodes parametrise normal distributions; labels are decoded from a sample of each
    node by a linear map, and the edge from u to v with probability
    :math:`\sigma(z_u^\top W z_v + b)`.

    The states learn from this, and the linear map from them to vectors does not.

    Kipf and Welling, "Variational Graph Auto-Encoders", 2016; for architectures Yan et al., "Does
    Unsupervised Architecture Representation Learning Help Neural Architecture Search?" (arch2vec),
    NeurIPS 2020.

    Args:
        encoder: The encoder.
        latent: The length of the samples.
        divergence: The weight of the Kullback-Leibler divergence from the standard normal.
    """

    name = "reconstruction"

    def __init__(self, encoder: Encoder, *, latent: int = 16, divergence: float = 5e-3) -> None:
        super().__init__()
        self.divergence = divergence
        self.moments = nn.Linear(encoder.hidden, 2 * latent)
        self.label = nn.Linear(latent, len(encoder.vocabulary))
        self.edge = nn.Bilinear(latent, latent, 1)

    def forward(self, step: Step) -> Tensor:
        """Return the negative evidence lower bound per node and per pair of nodes."""
        mean, log_variance = self.moments(step.states).chunk(2, dim=-1)
        z = mean + (0.5 * log_variance).exp() * step.normal(mean)
        labels = cross_entropy(self.label(z), step.batch.labels)
        tails, heads, present = _pairs(step.batch)
        # As W(z_u) z_v: the same as the bilinear layer, for all pairs without its copies.
        mapped = z @ self.edge.weight[0]
        logits = (mapped[tails] * z[heads]).sum(-1) + self.edge.bias
        edges = binary_cross_entropy_with_logits(logits, present.to(logits))
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean()
        loss: Tensor = labels + edges + self.divergence * divergence
        return loss


class MaskedOperations(Objective):
    """Hidden operations are to be guessed from the rest of the graph.

    The states learn from this, and the linear map from them to vectors does not.

    Devlin et al., "BERT", NAACL 2019; on graphs Hu et al., "Strategies for Pre-training Graph
    Neural Networks", ICLR 2020.

    Args:
        encoder: The encoder.
        share: The share of operations that are hidden.
    """

    name = "masked"

    def __init__(self, encoder: Encoder, *, share: float = 0.25) -> None:
        super().__init__()
        self.share = share
        self.label = nn.Linear(encoder.hidden, len(encoder.vocabulary))

    def forward(self, step: Step) -> Tensor:
        """Return the cross-entropy of the hidden operations."""
        batch = step.batch
        hidden = step.chosen(self.share, len(batch.labels)) & (batch.labels > 1)
        if not hidden.any():
            return self.label.weight.sum() * 0
        labels = torch.where(hidden, len(step.encoder.vocabulary), batch.labels)
        states = step.encoder.states(batch.with_labels(labels))
        return cross_entropy(self.label(states[hidden]), batch.labels[hidden])


class Contrastive(Objective):
    """Two damaged views of one graph are to be told from those of all other graphs of the batch.

    In each view some labels are hidden and some edges are missing. The loss is the normalised
    temperature-scaled cross-entropy of a projection of the vectors.

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020;
    on graphs You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020.

    Args:
        encoder: The encoder.
        share: The share of labels and of edges that are damaged.
        temperature: The temperature.
    """

    name = "contrastive"

    def __init__(self, encoder: Encoder, *, share: float = 0.15, temperature: float = 0.2) -> None:
        super().__init__()
        self.share = share
        self.temperature = temperature
        n = encoder.dim
        self.projection = nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n))

    def forward(self, step: Step) -> Tensor:
        """Return the cross-entropy of finding the other view of each graph."""
        views = torch.cat([self._view(step), self._view(step)])
        n = len(step.batch)
        if n < 2:
            return views.sum() * 0
        logits = views @ views.mT / self.temperature
        logits.fill_diagonal_(-math.inf)
        other = torch.arange(2 * n, device=logits.device).roll(n)
        return cross_entropy(logits, other)

    def _view(self, step: Step) -> Tensor:
        batch = step.batch
        hidden = step.chosen(self.share, len(batch.labels)) & (batch.labels > 1)
        labels = torch.where(hidden, len(step.encoder.vocabulary), batch.labels)
        kept = ~step.chosen(self.share, batch.edges.shape[1])
        vectors = step.encoder(batch.with_labels(labels).with_edges(kept))
        return normalize(self.projection(vectors), dim=-1)


def _pairs(batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return all ordered pairs of two nodes of one graph, and whether an edge joins them."""
    sizes = batch.starts.diff()
    mates = sizes[batch.graph]
    tails = torch.arange(len(batch.labels)).to(mates).repeat_interleave(mates)
    ends = mates.cumsum(0)
    within = torch.arange(int(mates.sum())).to(mates) - (ends - mates).repeat_interleave(mates)
    heads = batch.starts[batch.graph][tails] + within
    # The position of the pair (u, v) is the start of u's pairs plus v's place in its graph.
    place = (ends - mates)[batch.edges[0]]
    place = place + batch.edges[1] - batch.starts[batch.graph[batch.edges[1]]]
    present = torch.zeros(len(tails), dtype=torch.bool, device=tails.device)
    present[place] = True
    different = tails != heads
    return tails[different], heads[different], present[different]


OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind for kind in (Supervised, Reconstruction, MaskedOperations, Contrastive)
}
"""The objectives by name."""
