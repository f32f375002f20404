"""Features of rows, computed once and looked up ever after."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels.counts import Counts, Hashes, Indices
from graphbo.kernels.feature_maps import FeatureMap

Decoder = Callable[[tuple[int, ...]], Architecture]
"""Turns a row of a point tensor into its architecture; it must be picklable."""

_REMEMBERED = 8
_PAIRS_AT_ONCE = 1 << 18
_LARGEST_REMEMBERED = 4_000_000
_ELEMENTS_AT_ONCE = 1_000_000
_OFTEN, _FEW, _POOL = 0.01, 4, 1000


class FeatureStore:
    """Sparse features of the rows seen so far, and inner products between them.

    A pure cache: copies of a kernel share it, and a pickle leaves it behind.

    Args:
        decoder: From a row to its architecture.
        feature_map: From architectures to blocks of counts.
        unary: Whether counts are coded in unary; see `Counts.unary`.
        max_rows: How many rows to keep before starting afresh.
    """

    def __init__(
        self,
        decoder: Decoder,
        feature_map: FeatureMap,
        *,
        unary: bool = False,
        max_rows: int = 200_000,
    ) -> None:
        self.decoder = decoder
        self.feature_map = feature_map
        self.unary = unary
        self.max_rows = max_rows
        self._reset()

    def __deepcopy__(self, memo: dict[int, object]) -> FeatureStore:
        return self

    def __getstate__(self) -> dict[str, object]:
        kept = ("decoder", "feature_map", "unary", "max_rows")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _reset(self) -> None:
        self._index: dict[bytes, int] = {}
        nothing = Counts.of(0, np.zeros(0, np.int64), np.zeros(0, np.uint64))
        self._counts = [nothing for _ in self.feature_map.blocks]
        self._matrices = [sp.csr_matrix((0, 0)) for _ in self.feature_map.blocks]
        self._joined: sp.csr_matrix | None = None
        self._pool: tuple[Indices, sp.csr_matrix] | None = None
        self._recent: list[tuple[Tensor, Indices]] = []
        self._norms = self._totals = np.zeros((len(self.feature_map.blocks), 0))
        self._dense: dict[tuple[bytes, int], npt.NDArray[np.float64]] = {}
        self._products: OrderedDict[tuple[bytes, bytes], Tensor] = OrderedDict()

    def inner_products(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the inner products of the features of two sets of rows.

        Args:
            x1: `... x n x d`.
            x2: `... x m x d`; the batch shapes are broadcast.

        Returns:
            A `blocks x ... x n x m` tensor of x1's type on its device.
        """
        first, second = self._lookup(x1, x2)
        if first.ndim == second.ndim == 1:
            return self._tensor(self._product(first, second), x1)
        left, a = np.unique(first, return_inverse=True)
        right, b = np.unique(second, return_inverse=True)
        a, b = a.reshape(first.shape), b.reshape(second.shape)
        if len(left) * len(right) <= 4 * first.size * second.shape[-1]:
            product = self._product(left, right)
            rows, columns = torch.from_numpy(a), torch.from_numpy(b)
            return self._tensor(product[:, rows[..., :, None], columns[..., None, :]], x1)
        pairs = np.broadcast_arrays(first[..., :, None], second[..., None, :])
        paired = self._pairwise(pairs[0].ravel(), pairs[1].ravel())
        return self._tensor(paired.reshape(len(paired), *pairs[0].shape), x1)

    def weighted_inner_products(self, x1: Tensor, x2: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of the blocks' inner products, in one piece and without gradient.

        Equal to ``weighted_sum(weights, inner_products(x1, x2), 2)`` but for rounding, and never
        holds more than the result and a slice of it.

        Args:
            x1: `n x d`.
            x2: `m x d`.
            weights: `blocks`.

        Returns:
            An `n x m` tensor of x1's type on its device.
        """
        first, second = self._lookup(x1, x2)
        left, right = self._part(first), self._part(second)
        block = np.repeat(np.arange(len(self._matrices)), [m.shape[1] for m in self._matrices])
        scale = weights.detach().double().cpu().numpy()[block[left.indices]]
        left = sp.csr_matrix((left.data * scale, left.indices, left.indptr), left.shape)
        result = torch.empty(len(first), len(second), dtype=torch.float64)
        _inner_products(left, right, result.numpy())
        return self._tensor(result, x1)

    def _part(self, positions: Indices) -> sp.csr_matrix:
        """Return some rows of all blocks side by side; the latest pool's are remembered."""
        if self._joined is None:
            self._joined = sp.hstack(self._matrices, format="csr")
        if len(positions) < _POOL:
            return self._joined[positions]
        if self._pool is None or not np.array_equal(self._pool[0], positions):
            self._pool = positions, self._joined[positions]
        return self._pool[1]

    def paired_inner_products(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the inner products of corresponding rows.

        Args:
            x1: `... x n x d`.
            x2: `... x n x d`.

        Returns:
            A `blocks x ... x n` tensor of x1's type on its device.
        """
        first, second = np.broadcast_arrays(*self._lookup(x1, x2))
        product = self._pairwise(first.ravel(), second.ravel())
        return self._tensor(product.reshape(len(product), *first.shape), x1)

    def squared_norms(self, x: Tensor) -> Tensor:
        """Return the squared norm of each row's features, as a `blocks x ... x n` tensor."""
        (indices,) = self._lookup(x)
        return self._tensor(self._norms[:, indices], x)

    def dense(self, x: Tensor, columns: Hashes, block: int = 0) -> Tensor:
        """Return some features of rows as a dense tensor.

        Args:
            x: `... x n x d`.
            columns: The hashes of k features.
            block: The block that they are in.

        Returns:
            A `... x n x k` tensor of x's type on its device.
        """
        (indices,) = self._lookup(x)
        order = np.argsort(columns)
        key = (columns.tobytes(), block)
        if key not in self._dense:
            matrix = self._counts[block].to_csr(columns[order]).toarray()
            self._dense[key] = matrix[:, np.argsort(order)]
        return self._tensor(self._dense[key][indices], x)

    def totals(self, x: Tensor, block: int = 0) -> Tensor:
        """Return the sum of each row's counts in a block, as a `... x n` tensor."""
        (indices,) = self._lookup(x)
        return self._tensor(self._totals[block][indices], x)

    def _lookup(self, *tensors: Tensor) -> list[Indices]:
        """Return the position of every row in the store, adding those that are new."""
        keys: list[list[bytes]] = []
        fresh: dict[bytes, tuple[int, ...]] = {}
        known = [self._recall(tensor) for tensor in tensors]
        for tensor, positions in zip(tensors, known, strict=True):
            if positions is not None:
                keys.append([])
                continue
            flat = tensor.detach().reshape(-1, tensor.shape[-1]).cpu().numpy()
            rows = np.ascontiguousarray(np.rint(flat).astype(np.int64))
            keys.append(rows.view(f"V{rows.dtype.itemsize * rows.shape[1]}").ravel().tolist())
            for i, key in enumerate(keys[-1]):
                if key not in self._index and key not in fresh:
                    fresh[key] = tuple(rows[i].tolist())
        if fresh:
            if len(self._index) + len(fresh) > self.max_rows and self._index:
                self._reset()
                return self._lookup(*tensors)
            self._add(fresh)
        result = []
        for tensor, positions, part in zip(tensors, known, keys, strict=True):
            if positions is None:
                positions = np.fromiter(map(self._index.__getitem__, part), np.int64, len(part))
                positions = positions.reshape(tensor.shape[:-1])
                # A copy: the caller may change the tensor in place.
                copy = tensor.detach().clone()
                self._recent = [*self._recent[1 - _REMEMBERED :], (copy, positions)]
            result.append(positions)
        return result

    def _recall(self, tensor: Tensor) -> Indices | None:
        """Return the positions of a tensor of rows that was looked up lately."""
        for known, positions in self._recent:
            alike = known.device == tensor.device and known.dtype == tensor.dtype
            if alike and torch.equal(known, tensor):
                return positions
        return None

    def _add(self, fresh: dict[bytes, tuple[int, ...]]) -> None:
        counts = self.feature_map([self.decoder(row) for row in fresh.values()])
        if self.unary:
            counts = [block.unary() for block in counts]
        self._counts = [
            Counts.concatenate(parts) for parts in zip(self._counts, counts, strict=True)
        ]
        for key in fresh:
            self._index[key] = len(self._index)
        self._matrices = [stored.to_csr(np.unique(stored.columns)) for stored in self._counts]
        sums = partial(np.bincount, minlength=len(self._index))
        self._norms = np.stack([sums(c.rows, c.values**2) for c in self._counts])
        self._totals = np.stack([sums(c.rows, c.values) for c in self._counts])
        self._joined = self._pool = None
        self._products.clear()
        self._dense.clear()

    def _product(self, first: Indices, second: Indices) -> Tensor:
        """All inner products between two lists of positions; small ones are remembered."""
        key = first.tobytes(), second.tobytes()
        if key in self._products:
            self._products.move_to_end(key)
            return self._products[key]
        result = torch.empty(len(self._matrices), len(first), len(second), dtype=torch.float64)
        for matrix, block in zip(self._matrices, result.numpy(), strict=True):
            _inner_products(matrix[first], matrix[second], block)
        if result.numel() <= _LARGEST_REMEMBERED:
            self._products[key] = result
        if len(self._products) > _REMEMBERED:
            self._products.popitem(last=False)
        return result

    def _pairwise(self, first: Indices, second: Indices) -> npt.NDArray[np.float64]:
        """The inner products of corresponding positions, a bounded number at once."""
        parts = []
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            a, b = first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE]
            parts.append(
                [np.asarray(m[a].multiply(m[b]).sum(axis=1)).ravel() for m in self._matrices]
            )
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(self._matrices), 0))

    @staticmethod
    def _tensor(values: npt.NDArray[np.float64] | Tensor, like: Tensor) -> Tensor:
        # A copy of torch's own is aligned, so that equal calls round alike to the last bit.
        copied = values if isinstance(values, Tensor) else torch.tensor(values)
        return copied.to(dtype=like.dtype, device=like.device)


def _inner_products(a: sp.csr_matrix, b: sp.csr_matrix, out: npt.NDArray[np.float64]) -> None:
    """Write ``a @ b.T`` into an array, exactly where the entries are integers.

    Columns in which many rows have entries are multiplied as dense matrices, all others as sparse
    ones, whose cost is the number of pairs of entries in the same column.
    """
    if a.shape[0] <= _FEW:
        out[:] = (b @ a.toarray().T).T
        return
    in_a, in_b = (np.bincount(m.indices, minlength=m.shape[1]) for m in (a, b))
    share = (in_a / max(a.shape[0], 1)) * (in_b / max(b.shape[0], 1))
    often, rarely = share > _OFTEN, (share > 0) & (share <= _OFTEN)
    left, right = _columns(a, rarely), _columns(b, rarely).T.tocsr()
    dense_left, dense_right = _columns(a, often).toarray(), _columns(b, often).toarray().T
    step = max(_ELEMENTS_AT_ONCE // max(b.shape[0], 1), 1)
    for start in range(0, a.shape[0], step):
        rows = slice(start, start + step)
        np.matmul(dense_left[rows], dense_right, out=out[rows])
        product = left[rows] @ right
        if product.nnz * 16 > out[rows].size:
            out[rows] += product.toarray()
        else:
            row = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr))
            out[rows].reshape(-1)[row * out.shape[1] + product.indices] += product.data


def _columns(matrix: sp.csr_matrix, kept: npt.NDArray[np.bool_]) -> sp.csr_matrix:
    """Return some columns of a matrix; SciPy's own indexing takes several times as long."""
    entries = kept[matrix.indices]
    starts = np.concatenate([[0], np.cumsum(entries)])[matrix.indptr]
    place = np.cumsum(kept) - 1
    parts = matrix.data[entries], place[matrix.indices[entries]], starts
    return sp.csr_matrix(parts, shape=(matrix.shape[0], int(kept.sum())))


class ListDecoder:
    """Decodes rows ``(i,)`` into the i-th of some architectures.

    Args:
        architectures: Architectures or networkx graphs with the node attribute ``label``.

    Raises:
        ValueError: If a graph is no architecture, or a row has the number of none.
    """

    def __init__(self, architectures: Iterable[object] = ()) -> None:
        self.architectures: list[Architecture] = []
        self.add(architectures)

    def add(self, architectures: Iterable[object]) -> Tensor:
        """Append more architectures, such as those to predict.

        Args:
            architectures: Architectures or networkx graphs.

        Returns:
            Their rows, `m x 1`; the rows of earlier ones stay what they are.
        """
        start = len(self.architectures)
        self.architectures += [
            graph if isinstance(graph, Architecture) else Architecture.from_networkx(graph)
            for graph in architectures
        ]
        return self.rows[start:]

    def __call__(self, row: tuple[int, ...]) -> Architecture:
        """Return the architecture with the number in the row."""
        if not 0 <= row[0] < len(self.architectures):
            raise ValueError(
                f"row {row[0]} is none of the {len(self.architectures)} architectures; "
                "add more with `ListDecoder.add`, which returns their rows"
            )
        return self.architectures[row[0]]

    @property
    def rows(self) -> Tensor:
        """The `n x 1` float64 tensor of all rows."""
        return torch.arange(len(self.architectures), dtype=torch.float64).unsqueeze(-1)
