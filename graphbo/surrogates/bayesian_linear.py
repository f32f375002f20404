"""Bayesian linear regression on the last hidden layer of a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import Embedding, LinearEmbeddingKernel, RowFeatures
from graphbo.spaces.base import SearchSpace
from graphbo.surrogates.defaults import SharedDecoder
from graphbo.surrogates.embedded import embedding_store, name_of
from graphbo.surrogates.graph_gp import GraphGP
from graphbo.surrogates.prior import SLOPE, RowPredictor
from graphbo.surrogates.selection import fitted_process
from graphbo.surrogates.stacked import StackedNetworks, train_networks


class BayesianLinear:
    """A network on an embedding, whose last layer is replaced by Bayesian linear regression.

    At each fit a network is trained on the observed targets from scratch, less half of the prior's
    prediction if there is one. Its last hidden layer then is a basis of functions: the model is a
    Gaussian process that is linear in them, whose scale and noise are fitted by marginal
    likelihood; other than in the paper they are not integrated over. The basis has seen the targets
    that the regression sees, so that predictions are surer than they should be: the more so, the
    longer the network is trained.

    Reference: Snoek et al., "Scalable Bayesian optimization using deep neural networks", ICML 2015
    (DNGO).

    Args:
        space: The search space.
        embedding: From architectures to vectors; picklable. A module is frozen as it is.
        width: The number of units of each hidden layer.
        depth: The number of hidden layers.
        steps: The number of training steps.

    Example:
        >>> optimizer = GraphBO(space, kernels=[BayesianLinear(space, encoder)])
    """

    def __init__(
        self,
        space: SearchSpace,
        embedding: Embedding,
        *,
        width: int = 50,
        depth: int = 2,
        steps: int = 50,
    ) -> None:
        self.store = embedding_store(SharedDecoder(space.decode), embedding)
        self.name = f"BayesianLinear({name_of(self.store.embedding)})"
        self.width, self.depth, self.steps = width, depth, steps

    def fitted(
        self,
        X: Tensor,
        Y: Tensor,
        train: Sequence[Architecture],
        prior: RowPredictor | None = None,
    ) -> GraphGP:
        """Return the fitted process; see `ModelFactory.fitted`."""
        targets = Y.mT if prior is None else Y.mT - SLOPE * prior(X)
        network = train_networks(
            self.store(X),
            targets,
            width=self.width,
            depth=self.depth,
            seed=len(X),
            steps=self.steps,
        )
        kernel = LinearEmbeddingKernel(_Hidden(self.store, network))
        return fitted_process(X, Y, kernel, prior)


class _Hidden:
    """The last hidden layer, for rows."""

    def __init__(self, store: RowFeatures, network: StackedNetworks) -> None:
        self.store, self.network = store, network

    def __call__(self, x: Tensor) -> Tensor:
        vectors = self.store(x)
        hidden = self.network.hidden(vectors.reshape(-1, vectors.shape[-1]).double()).squeeze(0)
        return hidden.reshape(*x.shape[:-1], -1).to(x)
