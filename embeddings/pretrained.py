"""A pretrained encoder: what it embeds and what it predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder

_AT_ONCE = 1000
_WIDTH = 64
_DROPOUT = 0.3


class Pretrained(nn.Module):
    """An encoder after its pretraining, with the predictions that it was trained to make.

    As a module it maps architectures to their embeddings, each column with mean 0 and standard
    deviation 1 over the architectures of the pretraining.

    Args:
        encoder: The encoder.
        tasks: The names of what it predicts.
        votes: The weight of each task in the mean of all omens; see `Predictor`.
        card: How it came about, as JSON values; see `pretrain`.

    Raises:
        ValueError: If there are votes, but not one for each task.

    Attributes:
        dim: The length of the embeddings.
        head: From embeddings as the encoder gives them to predictions of all tasks; a perceptron
            with one hidden layer, or nothing if there are no tasks.

    Example:
        >>> pretrained = load("nasbench201.pt")
        >>> pretrained(architectures).shape
        torch.Size([100, 32])
        >>> pretrained.predict(architectures, "naswot").shape
        torch.Size([100])
    """

    def __init__(
        self,
        encoder: Encoder,
        tasks: Sequence[str] = (),
        votes: Sequence[float] = (),
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if votes and len(votes) != len(tasks):
            raise ValueError(f"each of the {len(tasks)} tasks needs one vote; got {len(votes)}")
        self.encoder = encoder
        self.tasks = tuple(tasks)
        self.votes = tuple(votes)
        self.card = dict(card or {})
        self.dim = encoder.dim
        self.head = nn.Sequential()
        if self.tasks:
            self.head.append(nn.Linear(encoder.dim, _WIDTH)).append(nn.SiLU())
            self.head.append(nn.Dropout(_DROPOUT)).append(nn.Linear(_WIDTH, len(self.tasks)))
        self.center: Tensor
        self.scale: Tensor
        self.register_buffer("center", torch.zeros(encoder.dim))
        self.register_buffer("scale", torch.ones(encoder.dim))
        # Of the weighted mean of the predictions.
        self.offset: Tensor
        self.spread: Tensor
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, architectures: Sequence[Architecture] | GraphBatch) -> Tensor:
        """Return the embeddings of architectures, `n x dim`.

        Raises:
            ValueError: If an architecture carries a label that is not among the operations.
        """
        vectors: Tensor = (self._vectors(architectures) - self.center) / self.scale
        return vectors

    def predict(self, architectures: Sequence[Architecture] | GraphBatch, task: str) -> Tensor:
        """Return the normal scores that are predicted for one task, `n`.

        Raises:
            ValueError: If there is no such task, or an architecture carries an unknown label.
        """
        if task not in self.tasks:
            raise ValueError(
                f"the encoder was not pretrained to predict {task!r}, but {list(self.tasks)}"
            )
        scores: Tensor = self.head(self._vectors(architectures))[:, self.tasks.index(task)]
        return scores

    def omens(self, architectures: Sequence[Architecture] | GraphBatch) -> Tensor:
        """Return the standardised mean of all omens, `n`; the lower, the better.

        Raises:
            ValueError: If no task of the pretraining is an omen, or a label is unknown.
        """
        if not any(self.votes):
            raise ValueError(
                "the encoder was pretrained without a task that tells good architectures from bad "
                "ones, and has no omens"
            )
        votes = torch.tensor(self.votes).to(self.center)
        omens: Tensor = (
            self.head(self._vectors(architectures)) @ votes - self.offset
        ) / self.spread
        return omens

    @torch.no_grad()
    def standardize(self, batch: GraphBatch) -> None:
        """Give embeddings and omens mean 0 and standard deviation 1 over some architectures."""
        vectors = self._vectors(batch)
        self.center.copy_(vectors.mean(0))
        self.scale.copy_(vectors.std(0).clamp_min(1e-6))
        if any(self.votes):
            omens = self.head(vectors) @ torch.tensor(self.votes).to(vectors)
            self.offset.copy_(omens.mean())
            self.spread.copy_(omens.std().clamp_min(1e-6))

    def _vectors(self, architectures: Sequence[Architecture] | GraphBatch) -> Tensor:
        batch = (
            architectures
            if isinstance(architectures, GraphBatch)
            else self.encoder.batch(architectures)
        )
        parts = torch.split(torch.arange(len(batch), device=self.center.device), _AT_ONCE)
        return torch.cat([self.encoder(batch.select(part)) for part in parts])


class Predictor(nn.Module):
    """What a pretrained encoder expects of architectures, as a prior mean.

    A module from architectures to the mean of all omens, `n`, with mean 0 and standard deviation 1
    over the architectures of the pretraining; the lower, the better.

    Args:
        pretrained: The encoder.

    Raises:
        ValueError: If no task of the pretraining is an omen.
    """

    def __init__(self, pretrained: Pretrained) -> None:
        super().__init__()
        if not any(pretrained.votes):
            pretrained.omens([])  # says why not
        self.pretrained = pretrained

    def forward(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return the omens of architectures, `n`."""
        return self.pretrained.omens(architectures)
