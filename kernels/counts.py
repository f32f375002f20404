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
    known = {text: hash_text(text) for text in set(texts)}
    return np.fromiter(map(known.__getitem__, texts), np.uint64, len(texts))


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

        ``min(a, b) = sum_t [a >= t][b >= t]``, and squared distances become ``|a - b|``. Counts
        from 256 on would take too much room: they are rounded down, by less than 1/64, and coded in
        steps wider than one, each with the root of its width as its entry. So they have minima and
        differences too, and a count of 10^9 has 2,300 entries.

        Raises:
            ValueError: If a count is no whole number.
        """
        if (self.values % 1 != 0).any():
            raise ValueError("only whole numbers have a unary code; some counts are none")
        # Steps are 4^k wide from 4^(k + 3) to 4^(k + 4), of which there are 192.
        k = np.maximum((np.frexp(self.values)[1] - 7) // 2, 0)
        begin = np.where(k > 0, 64 * 4.0**k, 0)
        repeats = np.where(k > 0, 64 + 192 * k, 0) + ((self.values - begin) // 4.0**k).astype(int)
        first = np.repeat(np.cumsum(repeats) - repeats, repeats)
        level = np.arange(repeats.sum()) - first
        width = np.maximum((level - 64) // 192, 0)
        columns = np.repeat(self.columns, repeats)
        # The first unit keeps its feature's name; the others get names of their own.
        named = np.where(level == 0, columns, mix(columns + mix(level.astype(np.uint64))))
        return Counts(self.n, np.repeat(self.rows, repeats), named, 2.0**width)

    def to_csr(self, vocabulary: Hashes) -> sp.csr_matrix:
        """Return the ``n x len(vocabulary)`` matrix of the features in a sorted vocabulary."""
        position = np.searchsorted(vocabulary, self.columns)
        known = position < len(vocabulary)
        known[known] = vocabulary[position[known]] == self.columns[known]
        rows = self.rows[known]
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.n))])
        parts = (self.values[known], position[known], starts)
        return sp.csr_matrix(parts, shape=(self.n, len(vocabulary)))

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
