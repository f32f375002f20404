"""Squared exponentials with automatic relevance determination over a few explicit features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels.base import LengthscaleKernel
from graphbo.kernels.counts import hash_texts
from graphbo.kernels.paths import PathMap, path_counts
from graphbo.kernels.store import Decoder, FeatureStore


class ARDKernel(LengthscaleKernel):
    r"""A squared exponential with a length-scale for each feature of a row.

    .. math:: k(x, x') = \exp\Bigl(-\frac{1}{2} \sum_j
        \frac{(\phi_j(x) - \phi_j(x'))^2}{\ell_j^2}\Bigr)
    """

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return the features of rows: `... x n x d` to `... x n x num_lengthscales`."""

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        if diag and x1 is x2:
            return self._unit_diagonal(x1)
        lengthscale = self.lengthscale.to(x1)
        z1 = self.features(x1) / lengthscale
        z2 = z1 if x2 is x1 else self.features(x2) / lengthscale
        if diag:
            return self._covariance((z1 - z2).square().sum(-1))
        norms = z1.square().sum(-1).unsqueeze(-1) + z2.square().sum(-1).unsqueeze(-2)
        return self._covariance((norms - 2 * z1 @ z2.mT).clamp_min(0))

    def _covariance(self, squared: Tensor) -> Tensor:
        """Return the covariance at squared distances between scaled features."""
        return squared.mul(-0.5).exp()

    def typical_lengthscale(self, x: Tensor) -> Tensor:
        """Return length-scales at which the distances among some rows give the exponent -1/2.

        Args:
            x: `n x d`.

        Returns:
            `1 x num_lengthscales`.
        """
        variance = self.features(x).var(dim=-2, unbiased=False).sum().clamp_min(0.1)
        lengthscale: Tensor = (2 * variance).sqrt()
        return lengthscale.expand(1, self.num_lengthscales)


class JointKernel(ARDKernel):
    """One squared exponential over the features of several kernels side by side.

    Other than in a product, where each factor begins with the same share of the distance, all
    features begin with one length-scale, so that those that vary more weigh more.

    Args:
        kernels: The kernels whose features are joined; their own length-scales are not used.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.
    """

    def __init__(self, kernels: Sequence[ARDKernel], **kwargs: Any) -> None:
        super().__init__(sum(kernel.num_lengthscales for kernel in kernels), **kwargs)
        # In a tuple, which hides from PyTorch the length-scales that are not used.
        self.parts = tuple(kernels)

    def features(self, x: Tensor) -> Tensor:
        """Return all features of all kernels, `... x n x num_lengthscales`."""
        return torch.cat([part.features(x) for part in self.parts], dim=-1)


class OneHotKernel(ARDKernel):
    """Automatic relevance determination over the one-hot code of each column.

    For spaces whose decisions stand at aligned positions of the network. Rows should be canonical
    (`SearchSpace.encode`), so that what pruning removes reads as removed. An inactive decision
    (-1) has no hot entry.

    Args:
        cardinalities: The number of choices of each of the d columns.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.
    """

    def __init__(self, cardinalities: Sequence[int], **kwargs: Any) -> None:
        super().__init__(sum(cardinalities), **kwargs)
        columns = [j for j, k in enumerate(cardinalities) for _ in range(k)]
        choices = [choice for k in cardinalities for choice in range(k)]
        # No buffers, which GPyTorch would index when a batch of kernels is.
        self._columns, self._choices = torch.tensor(columns), torch.tensor(choices)

    def features(self, x: Tensor) -> Tensor:
        """Return the one-hot code, `... x n x sum(cardinalities)`."""
        columns, choices = self._columns.to(x.device), self._choices.to(x)
        code: Tensor = (x[..., columns].round() == choices).to(x)
        return code


class PathKernel(ARDKernel):
    """Automatic relevance determination over the counts of input-output paths.

    Args:
        decoder: From a row of integers to its architecture; picklable. Or a `FeatureStore` of
            `PathMap`, to share features between kernels.
        paths: The paths that count one by one, as `operation_paths` names them; all others are
            counted together in a last feature.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Raises:
        ValueError: If the store is one of other features, or in unary code.
    """

    def __init__(
        self, decoder: Decoder | FeatureStore, paths: Iterable[str], **kwargs: Any
    ) -> None:
        if isinstance(decoder, FeatureStore) and (
            not isinstance(decoder.feature_map, PathMap) or decoder.unary
        ):
            raise ValueError(
                "paths need a store of plain counts of a PathMap; "
                f"got one of a {type(decoder.feature_map).__name__}"
                + (" in unary code" if decoder.unary else "")
            )
        self.paths = tuple(sorted(set(paths)))
        super().__init__(len(self.paths) + 1, **kwargs)
        self.store = (
            decoder if isinstance(decoder, FeatureStore) else FeatureStore(decoder, PathMap())
        )
        self._hashes = hash_texts(self.paths)

    def features(self, x: Tensor) -> Tensor:
        """Return how often each path occurs, and how often any other, `... x n x features`."""
        counts = self.store.dense(x, self._hashes)
        others = self.store.totals(x) - counts.sum(-1)
        return torch.cat([counts, others.unsqueeze(-1)], dim=-1)


def path_vocabulary(architectures: Iterable[Architecture]) -> list[str]:
    """Return the distinct input-output paths of some architectures, sorted."""
    graphs = (architecture.operations_on_nodes() for architecture in architectures)
    return sorted({path for graph in graphs for path in path_counts(graph)})
