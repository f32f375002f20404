"""Kernels on vectors that a function gives architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gpytorch.kernels import Kernel
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels.ard import ARDKernel
from graphbo.kernels.counts import Indices
from graphbo.kernels.store import Decoder

Embedding = Callable[[Sequence[Architecture]], Tensor]
"""Gives ``n`` architectures `n x dim` numbers (or ``n``); it must be picklable."""

RowFeatures = Callable[[Tensor], Tensor]
"""Gives rows `... x n x d` features `... x n x dim` of their type; an `EmbeddingStore`, say."""

_REMEMBERED = 8
_AT_ONCE = 4096
_ALIKE = 1e-12


class EmbeddingStore:
    """Vectors of the rows seen so far, each computed once.

    They are kept in single precision: then it does not show in which company an architecture was
    embedded, which rounds differently. An embedding that computes in single precision itself does
    not have this advantage.

    A pure cache: copies of a kernel share it, and a pickle leaves it behind.

    Args:
        decoder: From a row to its architecture; picklable.
        embedding: From architectures to vectors.
        max_rows: How many rows to keep before starting afresh.

    Raises:
        ValueError: When it is called, if the embedding does not give every architecture a vector
            of finite numbers, and as many as before.
    """

    def __init__(self, decoder: Decoder, embedding: Embedding, *, max_rows: int = 200_000) -> None:
        self.decoder = decoder
        self.embedding = embedding
        self.max_rows = max_rows
        self._reset()

    def __deepcopy__(self, memo: dict[int, object]) -> EmbeddingStore:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _store, (self.decoder, self.embedding, self.max_rows)

    def _reset(self) -> None:
        self._index: dict[tuple[int, ...], int] = {}
        self._vectors: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._recent: list[tuple[Tensor, Indices]] = []

    def __call__(self, x: Tensor) -> Tensor:
        """Return the vectors of rows, `... x n x dim` for `... x n x d`."""
        vectors = torch.tensor(self._vectors_at(x))  # a copy, aligned: equal calls round alike
        return vectors.to(dtype=x.dtype, device=x.device)

    def _vectors_at(self, x: Tensor) -> npt.NDArray[np.float32]:
        for known, positions in self._recent:
            alike = known.device == x.device and known.dtype == x.dtype
            if alike and torch.equal(known, x):
                return self._vectors[positions]
        flat = x.detach().reshape(-1, x.shape[-1]).round().long()
        rows = [tuple(row) for row in flat.tolist()]
        fresh = [row for row in dict.fromkeys(rows) if row not in self._index]
        if fresh and self._index and len(self._index) + len(fresh) > self.max_rows:
            self._reset()
            fresh = list(dict.fromkeys(rows))
        self._add(fresh)
        positions = np.fromiter(map(self._index.__getitem__, rows), np.int64, len(rows))
        positions = positions.reshape(x.shape[:-1])
        # A copy: the caller may change the tensor in place.
        self._recent = [*self._recent[1 - _REMEMBERED :], (x.detach().clone(), positions)]
        return self._vectors[positions]

    def _add(self, fresh: Sequence[tuple[int, ...]]) -> None:
        parts = [self._vectors] if self._index else []
        for start in range(0, len(fresh), _AT_ONCE):
            rows = fresh[start : start + _AT_ONCE]
            parts.append(self._embedded([self.decoder(row) for row in rows]))
        if len({part.shape[1] for part in parts}) > 1:
            lengths = sorted({part.shape[1] for part in parts})
            raise ValueError(f"an embedding gives vectors of one length; got {lengths}")
        if fresh:
            self._vectors = np.concatenate(parts)
            for row in fresh:
                self._index[row] = len(self._index)

    def _embedded(self, architectures: list[Architecture]) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            vectors = torch.as_tensor(self.embedding(architectures)).detach()
        n = len(architectures)
        if vectors.dim() not in (1, 2) or len(vectors) != n or not vectors.isfinite().all():
            raise ValueError(
                "an embedding gives every architecture a vector of finite numbers; "
                f"for {n} architectures it gave values of shape {tuple(vectors.shape)}"
                + ("" if vectors.isfinite().all() else ", not all of them finite")
            )
        result: npt.NDArray[np.float32] = vectors.reshape(n, -1).cpu().float().numpy()
        return result


def _store(decoder: Decoder, embedding: Embedding, max_rows: int) -> EmbeddingStore:
    return EmbeddingStore(decoder, embedding, max_rows=max_rows)


class EmbeddingKernel(ARDKernel):
    r"""A squared exponential of the distance between the vectors of two architectures.

    .. math:: k(x, x') = \exp\Bigl(-\frac{1}{2} \sum_j
        \frac{(z_j(x) - z_j(x'))^2}{\ell_j^2}\Bigr)

    Args:
        store: From rows to vectors.
        num_lengthscales: One for all coordinates, or as many as the vectors have.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Example:
        >>> store = EmbeddingStore(decoder, embedding)
        >>> EmbeddingKernel(store)(rows).shape
        torch.Size([100, 100])
    """

    def __init__(self, store: RowFeatures, num_lengthscales: int = 1, **kwargs: Any) -> None:
        super().__init__(num_lengthscales, **kwargs)
        self.store = store

    def features(self, x: Tensor) -> Tensor:
        """Return the vectors of rows, `... x n x dim`."""
        return self.store(x)

    def typical_lengthscale(self, x: Tensor) -> Tensor:
        """Return length-scales at which the distances among some rows give the exponent -1/2.

        Args:
            x: `n x d`.

        Returns:
            `1 x num_lengthscales`; ones if all rows have the same vector.
        """
        variance = self.features(x).var(dim=-2, unbiased=False).sum()
        typical = torch.where(variance > _ALIKE, 2 * variance, torch.ones_like(variance)).sqrt()
        return typical.expand(1, self.num_lengthscales)


class LinearEmbeddingKernel(Kernel):
    r"""The covariance of a linear function of the vectors, with a constant.

    .. math:: k(x, x') = 1 + \frac{1}{\mathrm{dim}} \langle z(x), z(x') \rangle

    Args:
        store: From rows to vectors.
        kwargs: What every GPyTorch kernel takes.
    """

    def __init__(self, store: RowFeatures, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Return the covariance, `... x n x m`, or `... x n` if ``diag``."""
        z1 = self.store(x1)
        z2 = z1 if x2 is x1 else self.store(x2)
        dim = max(z1.shape[-1], 1)
        product = (z1 * z2).sum(-1) if diag else z1 @ z2.mT
        covariance: Tensor = 1 + product / dim
        return covariance
