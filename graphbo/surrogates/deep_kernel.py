"""Deep kernel learning."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import EmbeddingKernel, EmbeddingStore
from graphbo.spaces.base import SearchSpace
from graphbo.surrogates.defaults import SharedDecoder
from graphbo.surrogates.embedded import module_name
from graphbo.surrogates.fitting import fit, log_posterior
from graphbo.surrogates.graph_gp import GraphGP
from graphbo.surrogates.prior import RowPredictor
from graphbo.surrogates.selection import fitted_process

if TYPE_CHECKING:
    from graphbo.embeddings import Encoder, GraphBatch

_HYPERPARAMETER_RATE = 0.02
_MOST_GRAPHS = 200_000


class DeepKernel:
    r"""A Gaussian process on an encoder that is fine-tuned together with the hyperparameters.

    At each fit, a copy of the encoder and the hyperparameters of an `EmbeddingKernel` on it
    maximise the log marginal likelihood plus the log densities of the priors, by a fixed number of
    steps of Adam from the pretrained weights :math:`w_0`. The weights have independent normal
    priors around :math:`w_0`, so that a handful of observations cannot ruin them. The best of the
    steps is kept, and its hyperparameters are fitted once more.

    Reference: Wilson et al., "Deep kernel learning", AISTATS 2016. The prior around pretrained
    weights is after Li et al., "Explicit inductive bias for transfer learning with convolutional
    networks", ICML 2018 (L2-SP); that the marginal likelihood of so many parameters overfits is the
    point of Ober et al., "The promises and pitfalls of deep kernel learning", UAI 2021.

    Args:
        space: The search space.
        encoder: The pretrained encoder; it is copied, and computes in double precision.
        steps: The number of steps.
        learning_rate: The learning rate of the weights.
        deviation: The standard deviation of the priors of the weights.

    Raises:
        ValueError: If the deviation is not positive.

    Example:
        >>> optimizer = GraphBO(space, kernels=[DeepKernel(space, encoder)])
    """

    def __init__(
        self,
        space: SearchSpace,
        encoder: Encoder,
        *,
        steps: int = 30,
        learning_rate: float = 1e-4,
        deviation: float = 0.01,
    ) -> None:
        if deviation <= 0:
            raise ValueError(f"the deviation of the weights must be positive; got {deviation}")
        self.name = f"DeepKernel({module_name(encoder)})"
        self.decoder = SharedDecoder(space.decode)
        self.encoder: Encoder = copy.deepcopy(encoder).double().eval()
        self.steps, self.learning_rate, self.deviation = steps, learning_rate, deviation
        self._graphs = _Graphs(self.encoder)

    def fitted(
        self,
        X: Tensor,
        Y: Tensor,
        train: Sequence[Architecture],
        prior: RowPredictor | None = None,
    ) -> GraphGP:
        """Return the fitted process; see `ModelFactory.fitted`."""
        encoder = copy.deepcopy(self.encoder).requires_grad_(True)
        store = EmbeddingStore(self.decoder, _Tuned(encoder, self._graphs))
        kernel = EmbeddingKernel(store)
        model = fitted_process(X, Y, kernel, prior)
        if len(X) > 1:
            self._tune(model, kernel, encoder, self._graphs(train))
            kernel.store = EmbeddingStore(self.decoder, _Tuned(encoder, self._graphs))
            fit(model)
        encoder.requires_grad_(False)
        return model

    def _tune(
        self, model: GraphGP, kernel: EmbeddingKernel, encoder: Encoder, batch: GraphBatch
    ) -> None:
        """Move the weights and the hyperparameters to the best of some steps."""
        weights, hyperparameters = list(encoder.parameters()), list(model.parameters())
        start = [weight.detach().clone() for weight in weights]
        kernel.store = partial(_embedded, encoder, batch)
        optimizer = torch.optim.Adam(
            [
                {"params": weights, "lr": self.learning_rate},
                {"params": hyperparameters, "lr": _HYPERPARAMETER_RATE},
            ]
        )
        model.train()
        best: tuple[float, list[Tensor]] | None = None
        with threadpool_limits(1):
            for step in range(self.steps + 1):
                moved = [(w - s).square().sum() for w, s in zip(weights, start, strict=True)]
                penalty = torch.stack(moved).sum() / (2 * self.deviation**2)
                loss = penalty.to(model.train_targets) - log_posterior(model)
                if not loss.isfinite():
                    break
                if best is None or loss.item() < best[0]:
                    now = [p.detach().clone() for p in (*weights, *hyperparameters)]
                    best = loss.item(), now
                if step < self.steps:
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
        if best is not None:
            with torch.no_grad():
                for parameter, value in zip((*weights, *hyperparameters), best[1], strict=True):
                    parameter.copy_(value)


def _embedded(encoder: Encoder, batch: GraphBatch, x: Tensor) -> Tensor:
    """Return the vectors of the training architectures, whatever rows are asked for."""
    vectors: Tensor = encoder(batch)
    return vectors.to(x)


class _Tuned:
    """An encoder as an embedding, on graphs that are made once for all fits."""

    def __init__(self, encoder: Encoder, graphs: _Graphs) -> None:
        self.encoder, self.graphs = encoder, graphs

    def __call__(self, architectures: Sequence[Architecture]) -> Tensor:
        vectors: Tensor = self.encoder(self.graphs(architectures))
        return vectors


class _Graphs:
    """The graphs of the architectures seen so far; a pure cache, shared by copies."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._index: dict[Architecture, int] = {}
        self._batch: GraphBatch | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> _Graphs:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _Graphs, (self.encoder,)

    def __call__(self, architectures: Sequence[Architecture]) -> GraphBatch:
        """Return architectures as one batch."""
        fresh = [a for a in dict.fromkeys(architectures) if a not in self._index]
        if len(self._index) + len(fresh) > _MOST_GRAPHS:
            self._index, self._batch = {}, None
            fresh = list(dict.fromkeys(architectures))
        if fresh or self._batch is None:
            more = self.encoder.batch(fresh)
            self._batch = more if self._batch is None else _joined(self._batch, more)
            for architecture in fresh:
                self._index[architecture] = len(self._index)
        positions = [self._index[architecture] for architecture in architectures]
        indices = torch.tensor(positions, dtype=torch.long, device=self._batch.labels.device)
        return self._batch.select(indices)


def _joined(a: GraphBatch, b: GraphBatch) -> GraphBatch:
    """Return the graphs of one batch after those of another."""
    nodes = len(a.labels)
    return replace(
        a,
        labels=torch.cat([a.labels, b.labels]),
        edges=torch.cat([a.edges, b.edges + nodes], dim=1),
        graph=torch.cat([a.graph, b.graph + len(a)]),
        depth=torch.cat([a.depth, b.depth]),
        height=torch.cat([a.height, b.height]),
        starts=torch.cat([a.starts, b.starts[1:] + nodes]),
    )
