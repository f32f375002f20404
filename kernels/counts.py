"""Sparse count vectors whose columns are named by 64-bit hashes.

Hashes make feature maps stateless: a subtree or a path has the same name in every graph, so that
train and test graphs are mapped apart and still agree. Two of 10^6 distinct features share a name
with probability below 3e-8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def mix(values: Hashes) -> Hashes:
    """Scramble 64-bit integers one to one (the finaliser of SplitMix64, Steele et al., 2014)."""
    x = values + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@lru_cache(maxsize=65536)
def hash_text(text: str) -> int:
    """Return a 64-bit hash that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def hash_texts(texts: Sequence[str]) -> Hashes:
    """Return the hashes of some texts."""
    return np.fromiter((hash_text(text) for text in texts), np.uint64, len(texts))


@dataclass(frozen=True)
class Counts:
    """The count vectors of ``n`` objects, as triples without repeated (row, column) pairs.

    Attributes:
        n: The number of objects.
        rows: The object of each entry (``nnz``), ascending.
        columns: The hash of each entry's feature (``nnz``).
        values: The counts (``nnz``).
    """

    n: int
    rows: Indices
    columns: Hashes
    values: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        n: int,
        rows: Indices,
        columns: Hashes,
        values: npt.NDArray[np.float64] | None = None,
    ) -> Counts:
        """Count how often each feature occurs in each object.

        Args:
            n: The number of objects.
            rows: The object of each occurrence.
            columns: The feature of each occurrence.
            values: How often each occurrence counts; once by default.
        """
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        new = np.ones(len(rows), bool)
        new[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
        starts = np.flatnonzero(new)
        if values is None or not len(rows):
            counts = np.diff(starts, append=len(rows)).astype(np.float64)
        else:
            counts = np.add.reduceat(values[order], starts)
        return cls(n, rows[starts], columns[starts], counts)

    def unary(self) -> Counts:
        """Code a count a as a ones, so that inner products become histogram intersections.

        ``min(a, b) = sum_t [a >= t][b >= t]``, and squared distances become ``|a - b|``.
        """
        repeats = self.values.astype(np.int64)
        first = np.repeat(np.cumsum(repeats) - repeats, repeats)
        level = (np.arange(repeats.sum()) - first).astype(np.uint64)
        columns = np.repeat(self.columns, repeats)
        # The first unit keeps its feature's name; the others get names of their own.
        named = np.where(level == 0, columns, mix(columns + mix(level)))
        return Counts(self.n, np.repeat(self.rows, repeats), named, np.ones(len(named)))

    def to_csr(self, vocabulary: Hashes) -> sp.csr_matrix:
        """Return the ``n x len(vocabulary)`` matrix of the features in a sorted vocabulary."""
        position = np.searchsorted(vocabulary, self.columns)
        position = np.minimum(position, max(len(vocabulary) - 1, 0))
        known = vocabulary[position] == self.columns if len(vocabulary) else np.zeros(0, bool)
        if not len(vocabulary):
            return sp.csr_matrix((self.n, 0))
        entries = (self.values[known], (self.rows[known], position[known]))
        return sp.csr_matrix(entries, shape=(self.n, len(vocabulary)))

    @staticmethod
    def concatenate(parts: Sequence[Counts]) -> Counts:
        """Stack the objects of several count matrices."""
        offsets = np.cumsum([0, *(part.n for part in parts)])
        return Counts(
            int(offsets[-1]),
            np.concatenate([part.rows + o for part, o in zip(parts, offsets, strict=False)]),
            np.concatenate([part.columns for part in parts]),
            np.concatenate([part.values for part in parts]),
        )
