"""Kernels of architectures some of whose features have been taken away.

A posterior is a function of counts, and so defined where no architecture has such counts. To ask it
there, rows get one more column that says what to take away: nothing (-1), or one occurrence of each
feature of a group. The feature stores of a kernel are replaced by ones that heed it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gpytorch.kernels import Kernel, ScaleKernel
from torch import Tensor

from graphbo.architecture import Architecture
from graphbo.kernels import Counts, Decoder, FeatureMap, FeatureStore
from graphbo.kernels.counts import Hashes, Indices
from graphbo.kernels.feature_maps import DerivedMap

Key = tuple[str, int]
"""The block of a feature, and its hash."""


class FeatureSource(NamedTuple):
    """A store of a kernel, and the columns of a row that it decodes (None: all)."""

    store: FeatureStore
    columns: Tensor | None

    def decode(self, x: Tensor) -> list[Architecture]:
        """Return the architectures of `n x d` rows."""
        selected = x if self.columns is None else x.index_select(-1, self.columns)
        return [self.store.decoder(tuple(row)) for row in selected.round().long().tolist()]


def feature_sources(kernel: Kernel) -> list[FeatureSource]:
    """Return the feature stores of a kernel and of its parts."""
    return list(_sources(kernel))


def altered_kernel(kernel: Kernel, groups: Sequence[Sequence[Key]]) -> Kernel:
    """Return a copy of a kernel, for rows with one more column.

    Args:
        kernel: The kernel, which may be a sum or a product of others.
        groups: Lists of features.

    Returns:
        A kernel on rows whose last column holds the index of a group, or -1.
    """
    return cast(Kernel, _altered(kernel, groups))


def _sources(
    module: torch.nn.Module, columns: Tensor | None = None, around: Kernel | None = None
) -> Iterator[FeatureSource]:
    if isinstance(module, Kernel):
        columns, around = _seen(module, columns, around), module
        for _, _, store in _stores(module):
            yield FeatureSource(store, columns)
    for child in module.children():
        yield from _sources(child, columns, around)


def _seen(kernel: Kernel, columns: Tensor | None, around: Kernel | None) -> Tensor | None:
    """Return the columns of a row that a kernel sees, given those that the one around it sees."""
    # GPyTorch's scale has the columns of its kernel, and does not let it choose them again.
    if kernel.active_dims is None or isinstance(around, ScaleKernel):
        return columns
    chosen: Tensor = kernel.active_dims
    return chosen if columns is None else columns[chosen]


def _stores(kernel: Kernel) -> list[tuple[Kernel, str, FeatureStore]]:
    """Return the stores of a kernel and of those that it keeps in tuples, and their holders."""
    found = [(kernel, name, v) for name, v in vars(kernel).items() if isinstance(v, FeatureStore)]
    for value in vars(kernel).values():
        for part in value if isinstance(value, tuple) else ():
            found += _stores(part) if isinstance(part, Kernel) else []
    return found


def _altered(
    module: torch.nn.Module,
    groups: Sequence[Sequence[Key]],
    columns: Tensor | None = None,
    around: Kernel | None = None,
) -> torch.nn.Module:
    """Alter the kernels in a tree of modules that see rows themselves."""
    module = copy.deepcopy(module)  # at each level: a kernel may occur twice in a tree
    if isinstance(module, Kernel):
        columns, around = _seen(module, columns, around), module
        stores = _stores(module)
        for holder, name, store in stores:
            setattr(holder, name, _altered_store(store, groups))
        if stores or not any(isinstance(p, Kernel) and p is not module for p in module.modules()):
            return _OnOwnColumns(module, columns, alters=bool(stores))
        module.active_dims = None  # its parts select their columns
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = _altered(child, groups, columns, around)
    return module


def _altered_store(store: FeatureStore, groups: Sequence[Sequence[Key]]) -> FeatureStore:
    altered = copy.copy(store)
    decoder = cast(Decoder, _AlteredDecoder(store.decoder))
    feature_map = cast(FeatureMap, _AlteredMap(store.feature_map, groups))
    # As in a pickle, what is cached stays behind.
    state = {**store.__getstate__(), "decoder": decoder, "feature_map": feature_map}
    altered.__setstate__(state)
    return altered


class _OnOwnColumns(Kernel):
    """A kernel on its own columns of rows with one more, which it gets if it heeds it."""

    def __init__(self, kernel: Kernel, columns: Tensor | None, *, alters: bool) -> None:
        super().__init__()
        self.kernel, self.columns, self.alters = kernel, columns, alters

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Any:
        return self.kernel.forward(self._own(x1), self._own(x2), diag=diag, **params)

    def _own(self, x: Tensor) -> Tensor:
        row, group = x[..., :-1], x[..., -1:]
        own = row if self.columns is None else row.index_select(-1, self.columns)
        return torch.cat([own, group], dim=-1) if self.alters else own


class _Altered(NamedTuple):
    architecture: Architecture
    group: int


class _AlteredDecoder:
    """Decodes a row and keeps what its last column says."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.known: dict[tuple[int, ...], Architecture] = {}

    def __call__(self, row: tuple[int, ...]) -> _Altered:
        design = row[:-1]
        if design not in self.known:
            self.known[design] = self.decoder(design)
        return _Altered(self.known[design], row[-1])


class _AlteredMap:
    """Counts features, and takes away what is asked for."""

    def __init__(self, feature_map: FeatureMap, groups: Sequence[Sequence[Key]]) -> None:
        self.feature_map, self.blocks = feature_map, feature_map.blocks
        self.source = feature_map.source if isinstance(feature_map, DerivedMap) else feature_map
        self.removed = [
            [np.array([key for b, key in group if b == block], np.uint64) for group in groups]
            for block in self.source.blocks
        ]

    def __call__(self, altered: Sequence[_Altered]) -> list[Counts]:
        distinct = {id(row.architecture): row.architecture for row in altered}
        place = {key: i for i, key in enumerate(distinct)}
        which = np.array([place[id(row.architecture)] for row in altered], np.int64)
        groups = np.array([row.group for row in altered], np.int64)
        counts = self.source(list(distinct.values()))
        fewer = [
            _take_away(_repeated(part, which), groups, removed)
            for part, removed in zip(counts, self.removed, strict=True)
        ]
        if isinstance(self.feature_map, DerivedMap):
            return self.feature_map.derived(fewer)
        return fewer


def _repeated(counts: Counts, which: Indices) -> Counts:
    """Return the counts of some objects, which may be repeated."""
    ends = np.searchsorted(counts.rows, np.arange(counts.n + 1))
    sizes = np.diff(ends)[which]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    entries = np.repeat(ends[which], sizes) + within
    rows = np.repeat(np.arange(len(which)), sizes)
    return Counts(len(which), rows, counts.columns[entries], counts.values[entries])


def _take_away(counts: Counts, groups: Indices, removed: Sequence[Hashes]) -> Counts:
    """Lower by one, but not below zero, the features of the group of each object."""
    group = groups[counts.rows]
    order = np.argsort(group, kind="stable")
    values = counts.values.copy()
    present = np.unique(group[group >= 0])
    starts, ends = (np.searchsorted(group[order], present, side) for side in ("left", "right"))
    for g, start, end in zip(present, starts, ends, strict=True):
        entries = order[start:end]
        values[entries] -= np.isin(counts.columns[entries], removed[g])
    kept = values > 0
    return Counts(counts.n, counts.rows[kept], counts.columns[kept], values[kept])
