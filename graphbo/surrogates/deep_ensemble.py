"""An ensemble of small networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import Embedding, RowFeatures
from graphbo.spaces.base import SearchSpace
from graphbo.surrogates.defaults import SharedDecoder
from graphbo.surrogates.embedded import embedding_store, name_of
from graphbo.surrogates.model import SurrogateModel
from graphbo.surrogates.prior import RowPredictor, factors
from graphbo.surrogates.stacked import StackedNetworks, train_networks

_FLOOR = 1e-4
_NOISE = 0.1


class DeepEnsemble:
    """An ensemble of networks on an embedding, which differ by their initial weights.

    Its mean is that of the members, its covariance theirs, with one less than the number of
    members in the denominator, plus a variance of 1e-4 of each point by itself. The members are
    trained anew, from scratch, whenever the observations change.

    With a prior, a member predicts what remains of the targets beside a factor and an offset of its
    own, drawn from what the targets say of them by themselves.

    Reference: White et al., "BANANAS: Bayesian optimization with neural architectures for neural
    architecture search", AAAI 2021. The members here are smaller and trained on the squared error.

    Args:
        space: The search space.
        embedding: From architectures to vectors; picklable. A module is frozen as it is.
            ``PathEncoding(space.operations)`` is that of the paper.
        members: The number of networks, at least 2.
        width: The number of units of each hidden layer.
        depth: The number of hidden layers.
        steps: The number of training steps.

    Raises:
        ValueError: If there are less than 2 members.

    Example:
        >>> ensemble = DeepEnsemble(space, PathEncoding(space.operations))
        >>> optimizer = GraphBO(space, kernels=[ensemble])
    """

    def __init__(
        self,
        space: SearchSpace,
        embedding: Embedding,
        *,
        members: int = 5,
        width: int = 20,
        depth: int = 3,
        steps: int = 200,
    ) -> None:
        if members < 2:
            raise ValueError(f"an ensemble has at least 2 members; got {members}")
        self.store = embedding_store(SharedDecoder(space.decode), embedding)
        self.name = f"DeepEnsemble({name_of(self.store.embedding)})"
        self.members = members
        self.training = {"width": width, "depth": depth, "steps": steps}

    def fitted(
        self,
        X: Tensor,
        Y: Tensor,
        train: Sequence[Architecture],
        prior: RowPredictor | None = None,
    ) -> EnsembleModel:
        """Return the model; see `ModelFactory.fitted`."""
        return EnsembleModel(X, Y, self.store, self.members, self.training, prior)


class EnsembleModel(SurrogateModel):
    """The predictions of an ensemble, as a normal distribution; see `DeepEnsemble`.

    Args:
        train_X: `n x d` rows, float64.
        train_Y: `n x 1` targets, about standardised.
        store: From rows to vectors.
        members: The number of networks.
        training: Further arguments of the training.
        prior: Predicts targets from rows.
    """

    def __init__(
        self,
        train_X: Tensor,
        train_Y: Tensor,
        store: RowFeatures,
        members: int,
        training: dict[str, int],
        prior: RowPredictor | None = None,
    ) -> None:
        super().__init__()
        self.store, self.members, self.training_settings = store, members, training
        self.prior = prior
        self.observe(train_X, train_Y)

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """The empty one."""
        return torch.Size()

    def observe(self, X: Tensor, Y: Tensor, *, together: bool = False) -> None:
        """Train on other data, when it is asked next; see `SurrogateModel.observe`."""
        self.train_inputs, self.train_targets = (X,), Y.squeeze(-1)
        self._trained: tuple[StackedNetworks, Tensor] | None = None

    @torch.no_grad()
    def predictions(self, X: Tensor) -> Tensor:
        """Return what each member predicts, `members x ... x n`, for `... x n x d` points."""
        network, linear = self._networks()
        flat = X.reshape(-1, X.shape[-1])
        outputs = network(self.store(flat))
        if self.prior is not None:
            outputs = outputs + linear[:, :1] + linear[:, 1:] * self.prior(flat)
        return outputs.reshape(-1, *X.shape[:-1])

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and variances of points; see `SurrogateModel.moments`."""
        predictions = self.predictions(X)
        return predictions.mean(0), predictions.var(0) + _FLOOR

    def moments_with(
        self, X: Tensor, Z: Tensor, among: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return how points vary with a few others; see `SurrogateModel.moments_with`."""
        at_x = self.predictions(X if among is None else X[among])
        at_z = self.predictions(Z)
        mean, mean_z = at_x.mean(0), at_z.mean(0)
        above, above_z = at_x - mean, at_z - mean_z
        between = above.mT @ above_z / (self.members - 1)
        covariance = above_z.mT @ above_z / (self.members - 1)
        return mean, at_x.var(0) + _FLOOR, mean_z, covariance + _floor(covariance), between

    def posterior(self, X: Tensor, *args: Any, **kwargs: Any) -> GPyTorchPosterior:
        """Return the joint posterior at `... x q x d` points, without observation noise.

        Raises:
            NotImplementedError: If observation noise or a transform of the posterior is asked for.
        """
        if args or any(value is not None and value is not False for value in kwargs.values()):
            raise NotImplementedError("an ensemble has a plain posterior only")
        predictions = self.predictions(X)
        mean = predictions.mean(0)
        above = (predictions - mean).movedim(0, -1)
        covariance = above @ above.mT / (self.members - 1)
        return GPyTorchPosterior(MultivariateNormal(mean, covariance + _floor(covariance)))

    def _networks(self) -> tuple[StackedNetworks, Tensor]:
        """Return the trained members, and the offset and the factor of each, `members x 2`."""
        if self._trained is None:
            (X,), y = self.train_inputs, self.train_targets
            linear = y.new_zeros(self.members, 2)
            targets = y.expand(self.members, -1)
            if self.prior is not None:
                p = self.prior(X)
                mean, covariance = factors(p, y, _NOISE)
                generator = torch.Generator().manual_seed(len(X))
                normal = torch.randn(self.members, 2, generator=generator, dtype=torch.float64)
                linear = mean + normal.to(y) @ torch.linalg.cholesky(covariance).mT
                targets = y - (linear[:, :1] + linear[:, 1:] * p)
            with torch.enable_grad():
                network = train_networks(
                    self.store(X), targets, seed=len(X), **self.training_settings
                )
            self._trained = network, linear
        return self._trained


def _floor(covariance: Tensor) -> Tensor:
    return _FLOOR * torch.eye(covariance.shape[-1]).to(covariance)
