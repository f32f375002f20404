"""What the paths of an architecture are like, in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from graphbo.architecture import INPUT, OUTPUT, Architecture
from graphbo.kernels.ard import ARDKernel
from graphbo.kernels.counts import Counts, hash_text, hash_texts
from graphbo.kernels.feature_maps import FeatureMap
from graphbo.kernels.flat import FlatGraphs
from graphbo.kernels.naming import Feature, Occurrence
from graphbo.kernels.store import Decoder, FeatureStore

_ALL_SUBSETS = 5
Values = npt.NDArray[np.float64]


class PathProfileMap(FeatureMap):
    r"""Numbers that describe the input-output paths, in one block.

    For each operation o: how often it occurs in the network, at most on one path, and at least on
    one path. For each set S of operations: the number of operations on the shortest path that uses
    only S, or one more than on the longest path of all if there is none. Besides, the length of
    the longest path, and the logarithm of one plus the number of paths. Where nothing leads from
    the input to the output, all of these are those of a path without operations that does not
    exist.

    With more than five operations, S runs over the sets of one, of all but one, and of all.

    A dynamic program over the layers of all graphs at once; linear in their edges.

    Reference: after Kadlecová et al., "Surprisingly strong performance prediction with neural
    graph features", ICML 2024, whose features are counts of operations, shortest paths over sets
    of operations, the most operations on a path, and degrees.

    Args:
        operations: The operations that are told apart; others are not counted.
        ports: Labels that are no operation and do not make a path longer, such as those where a
            part of a larger network begins.

    Raises:
        ValueError: If there is no operation.
    """

    blocks = ("path_profile",)

    def __init__(self, operations: Iterable[str], ports: Iterable[str] = ()) -> None:
        self.ports = tuple({INPUT, OUTPUT, *ports})
        self.operations = tuple(sorted(set(operations) - {*self.ports}))
        if not self.operations:
            raise ValueError("a path profile needs at least one operation besides input and output")
        n = len(self.operations)
        sizes = range(1, n + 1) if n <= _ALL_SUBSETS else sorted({1, n - 1, n})
        self.sets = [chosen for size in sizes for chosen in combinations(range(n), size)]
        names = ["longest path", "log(1 + paths)"]
        for kind in ("number of {}", "most {} on a path", "fewest {} on a path"):
            names += [kind.format(operation) for operation in self.operations]
        for chosen in self.sets:
            names.append(f"shortest path of {', '.join(self.operations[i] for i in chosen)}")
        self.names = tuple(names)
        self.hashes = hash_texts(self.names)

    def occurrences(self, architecture: Architecture) -> list[Occurrence]:
        """Return the numbers that are not zero; see `FeatureMap.occurrences`."""
        (counts,) = self([architecture])
        named = dict(zip(self.hashes.tolist(), self.names, strict=True))
        return [
            Occurrence(Feature(self.blocks[0], int(key), named[int(key)]), times=float(value))
            for key, value in zip(counts.columns, counts.values, strict=True)
        ]

    def _counts(self, graphs: Sequence[Architecture]) -> list[Counts]:
        values = self._profiles(FlatGraphs.of(graphs))
        row, column = np.nonzero(values)
        return [Counts.of(len(graphs), row, self.hashes[column], values[row, column])]

    def _profiles(self, flat: FlatGraphs) -> Values:
        """Return all numbers of all graphs, `n x names`."""
        words = hash_texts(self.operations)
        is_operation = ~np.isin(flat.labels, hash_texts(self.ports))
        present = (flat.labels[:, None] == words).astype(np.float64)
        member = np.zeros((len(words), len(self.sets)))
        for j, chosen in enumerate(self.sets):
            member[list(chosen), j] = 1.0
        number = np.zeros((flat.n, len(words)))
        np.add.at(number, flat.owner, present)
        # An operation outside of the set makes a path endless.
        allowed = np.where(is_operation[:, None] & (present @ member == 0), np.inf, 0.0)
        length = is_operation[:, None].astype(np.float64)
        start = np.where(flat.labels == hash_text(INPUT), 0.0, np.inf)[:, None]
        most = _through(flat, np.hstack([length, present]), -start, np.maximum)
        least = _through(flat, np.hstack([present, allowed + length]), start, np.minimum)
        ends = np.flatnonzero(flat.labels == hash_text(OUTPUT))
        most, least, paths = most[ends], least[ends], flat.path_counts()[0][ends, None]
        most, fewest = np.maximum(most, 0.0), least[:, : len(words)]
        longest, shortest = most[:, :1], least[:, len(words) :]
        fewest = np.where(np.isfinite(fewest), fewest, 0.0)
        shortest = np.minimum(shortest, longest + 1)
        return np.hstack([longest, np.log1p(paths), number, most[:, 1:], fewest, shortest])


def _through(flat: FlatGraphs, cost: Values, start: Values, choose: np.ufunc) -> Values:
    """Return the best sum of costs over the nodes of a path from the start to each node."""
    layer = flat.layers()
    best = np.broadcast_to(start, cost.shape).copy()
    order = np.lexsort((flat.target, layer[flat.target]))
    source, target = flat.source[order], flat.target[order]
    bounds = np.searchsorted(layer[target], np.arange(1, layer.max(initial=0) + 2))
    for begin, end in pairwise(bounds):
        ends = target[begin:end]
        firsts = np.flatnonzero(np.concatenate([[True], ends[1:] != ends[:-1]]))
        nodes = ends[firsts]
        best[nodes] = choose.reduceat(best[source[begin:end]], firsts) + cost[nodes]
    return best


class PathProfileKernel(ARDKernel):
    """Automatic relevance determination over the numbers of `PathProfileMap`.

    Args:
        decoder: From a row of integers to its architecture; picklable. Or a `FeatureStore` of a
            `PathProfileMap`, to share features between kernels.
        operations: The operations that are told apart; not needed with a store.
        kwargs: What every GPyTorch kernel takes, ``lengthscale_prior`` among it.

    Raises:
        ValueError: If there are no operations, or the store is one of other features.
    """

    def __init__(
        self, decoder: Decoder | FeatureStore, operations: Iterable[str] = (), **kwargs: Any
    ) -> None:
        if isinstance(decoder, FeatureStore):
            store = decoder
        else:
            store = FeatureStore(decoder, PathProfileMap(operations))
        if not isinstance(store.feature_map, PathProfileMap):
            raise ValueError(
                f"a path profile needs a store of a PathProfileMap; "
                f"got one of a {type(store.feature_map).__name__}"
            )
        self._hashes = store.feature_map.hashes
        super().__init__(len(self._hashes), **kwargs)
        self.store = store

    def features(self, x: Tensor) -> Tensor:
        """Return the profiles, `... x n x num_lengthscales`."""
        return self.store.dense(x, self._hashes)


def operations_of(architectures: Iterable[Architecture]) -> list[str]:
    """Return the distinct operations of some architectures, sorted."""
    labels = {
        label
        for architecture in architectures
        for label in (*architecture.nodes, *(edge[2] for edge in architecture.edges))
    }
    return sorted(labels - {"", INPUT, OUTPUT})
