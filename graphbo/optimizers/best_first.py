"""The rows of a product of choices in the order of their scores, without listing all."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from graphbo.spaces.base import Row


class BestFirst(Iterator[Row]):
    """Yields one choice for each position, the rows with the highest total score first.

    All rows come, each once; those of equal score in an order that is always the same. The next one
    costs the logarithm of the number of those before. It can be pickled in between.

    Args:
        scores: For each position the score of each choice; a score may be minus infinity.

    Example:
        >>> list(BestFirst([[1.0, 3.0], [0.0, -5.0]]))
        [(1, 0), (0, 0), (1, 1), (0, 1)]
    """

    def __init__(self, scores: Sequence[Sequence[float]]) -> None:
        self._choices = [sorted(range(len(row)), key=lambda i: -row[i]) for row in scores]
        self._losses = [
            [-row[i] for i in choices] for row, choices in zip(scores, self._choices, strict=True)
        ]
        ranks = (0,) * len(self._losses)
        # The total loss, the rank of the choice at each position, the last position that was moved.
        self._heap: list[tuple[float, tuple[int, ...], int]] = [(self._total(ranks), ranks, 0)]

    def __next__(self) -> Row:
        """Return the next row."""
        if not self._heap:
            raise StopIteration
        _, ranks, moved = heapq.heappop(self._heap)
        # Moving on only to the right of the last move, each row is reached in one way, and the
        # rows on this way are no worse.
        for position in range(moved, len(ranks)):
            if ranks[position] + 1 < len(self._losses[position]):
                worse = (*ranks[:position], ranks[position] + 1, *ranks[position + 1 :])
                heapq.heappush(self._heap, (self._total(worse), worse, position))
        return tuple(choices[rank] for choices, rank in zip(self._choices, ranks, strict=True))

    def _total(self, ranks: Sequence[int]) -> float:
        # Always in the same order: a sum of floats then never falls when one of them rises.
        return sum(losses[rank] for losses, rank in zip(self._losses, ranks, strict=True))
