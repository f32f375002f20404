"""Reading what operations need out of the results of earlier groups, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphbo.training.schedule import Location

Slots = tuple[int, int] | Tensor
"""Slots of a result: the first and how many, where they are consecutive; else their numbers."""


class Gradients:
    """The gradients of the results of all groups, as far as they are known."""

    def __init__(self, results: Sequence[Tensor]) -> None:
        self._results = results
        self._found: list[Tensor | None] = [None] * len(results)
        # A gradient that another operation holds, too, must not be changed in place.
        self._shared = [False] * len(results)

    def take(self, group: int) -> Tensor | None:
        """Return the gradient of a group's result and forget it; None if nothing needs it."""
        found, self._found[group] = self._found[group], None
        return found

    def add(self, group: int, slots: Slots | None, gradient: Tensor, shared: bool) -> None:
        """Add to the gradient of some slots, or of all if `slots` is None."""
        found = self._found[group]
        if slots is None:
            if found is None:
                self._found[group], self._shared[group] = gradient, shared
            elif self._shared[group]:
                self._found[group], self._shared[group] = found + gradient, False
            else:
                found += gradient
            return
        if found is None:
            found = torch.zeros_like(self._results[group])
        elif self._shared[group]:
            found = found.clone()
        self._found[group], self._shared[group] = found, False
        if isinstance(slots, tuple):
            found.narrow(-2, *slots).add_(gradient)
        else:
            _flat(found).index_add_(1, slots, _flat(gradient))


class Gather:
    """Reads slots of earlier results, ``... x slots x features``, into one tensor.

    Args:
        sources: Where each slot of the tensor is read from.
        sizes: The number of slots of the result of each group.
        device: Where the results are.
    """

    def __init__(
        self, sources: Sequence[Location], sizes: Sequence[int], device: torch.device
    ) -> None:
        by_group: dict[int, list[tuple[int, int]]] = {}
        for slot, (group, source) in enumerate(sources):
            by_group.setdefault(group, []).append((source, slot))
        self._n = len(sources)
        self._pieces = [
            (
                group,
                _slots([source for source, _ in pairs], sizes[group], device),
                _slots([slot for _, slot in pairs], self._n, device),
            )
            for group, pairs in by_group.items()
        ]

    @property
    def reads(self) -> set[int]:
        """The groups whose results it reads."""
        return {group for group, _, _ in self._pieces}

    @property
    def borrows(self) -> bool:
        """Whether what it reads is part of a result, and must not be changed."""
        return len(self._pieces) == 1 and not isinstance(self._pieces[0][1], Tensor)

    def read(self, results: Sequence[Tensor]) -> Tensor:
        """Return what is read."""
        group, source, target = self._pieces[0]
        if target is None:
            return _select(results[group], source)
        first = results[group]
        out = first.new_empty((*first.shape[:-2], self._n, first.shape[-1]))
        for group, source, target in self._pieces:
            piece = _select(results[group], source)
            if isinstance(target, tuple):
                out.narrow(-2, *target).copy_(piece)
            else:
                _flat(out).index_copy_(1, target, _flat(piece))  # type: ignore[arg-type]
        return out

    def write(self, gradient: Tensor, gradients: Gradients, shared: bool) -> None:
        """Add a gradient of what was read to those of the results."""
        for group, source, target in self._pieces:
            gradients.add(group, source, _select(gradient, target), shared)


class Addition:
    """Adds slots of earlier results to some slots of a tensor.

    Args:
        sources: Where each term is read from.
        targets: The slot that each is added to; at most one for each.
        sizes: The number of slots of the result of each group.
        n: The number of slots of the tensor.
        device: Where the results are.
    """

    def __init__(
        self,
        sources: Sequence[Location],
        targets: Sequence[int],
        sizes: Sequence[int],
        n: int,
        device: torch.device,
    ) -> None:
        by_group: dict[int, list[tuple[int, int]]] = {}
        for (group, source), target in zip(sources, targets, strict=True):
            by_group.setdefault(group, []).append((source, target))
        self._pieces = [
            (
                group,
                _slots([source for source, _ in pairs], sizes[group], device),
                _slots([target for _, target in pairs], n, device),
            )
            for group, pairs in by_group.items()
        ]

    def read(self, results: Sequence[Tensor], total: Tensor) -> None:
        """Add the terms to a tensor in place."""
        for group, source, target in self._pieces:
            piece = _select(results[group], source)
            if target is None:
                total += piece
            elif isinstance(target, tuple):
                total.narrow(-2, *target).add_(piece)
            else:
                _flat(total).index_add_(1, target, _flat(piece))

    def write(self, gradient: Tensor, gradients: Gradients) -> None:
        """Add the gradient of the sums to those of the terms."""
        for group, source, target in self._pieces:
            gradients.add(group, source, _select(gradient, target), shared=True)


def _slots(numbers: list[int], n: int, device: torch.device) -> Slots | None:
    """Return slots in their shortest form; None if they are all of `n` in order."""
    first = numbers[0]
    if numbers == list(range(first, first + len(numbers))):
        return None if len(numbers) == n else (first, len(numbers))
    return torch.tensor(numbers, device=device)


def _select(tensor: Tensor, slots: Slots | None) -> Tensor:
    if slots is None:
        return tensor
    if isinstance(slots, tuple):
        return tensor.narrow(-2, *slots)
    chosen = _flat(tensor).index_select(1, slots)
    return chosen.view(*tensor.shape[:-2], *chosen.shape[1:])


def _flat(tensor: Tensor) -> Tensor:
    """Return ``... x slots x features`` with one dimension before the slots."""
    return tensor.flatten(0, -3)
