"""Rows by their score, against listing them all."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest

from graphbo.optimizers.best_first import BestFirst


@pytest.mark.parametrize("sizes", [(1,), (4,), (2, 3), (3, 1, 4, 2), (3, 3, 3, 3, 3)])
@pytest.mark.parametrize("ties", [False, True])
def test_rows_come_as_sorting_would_have_them(sizes: tuple[int, ...], ties: bool) -> None:
    rng = np.random.default_rng(len(sizes))
    scores = [
        (rng.integers(-3, 1, size) if ties else np.log(rng.random(size))).tolist() for size in sizes
    ]
    rows = list(BestFirst(scores))
    assert sorted(rows) == list(itertools.product(*map(range, sizes))), "each once"
    totals = [sum(s[choice] for s, choice in zip(scores, row, strict=True)) for row in rows]
    assert totals == sorted(totals, reverse=True)
    assert list(BestFirst(scores)) == rows


def test_what_cannot_be_comes_last() -> None:
    rows = list(BestFirst([[0.0, -math.inf], [-math.inf, -7.0]]))
    assert rows[0] == (0, 1)
    assert len(set(rows)) == 4


def test_it_takes_few_steps_in_a_large_space_and_goes_on_from_a_pickle() -> None:
    scores = np.log(np.random.default_rng(0).dirichlet(np.ones(6), 30)).tolist()
    rows = BestFirst(scores)
    first = [next(rows) for _ in range(20)]
    assert first[0] == tuple(int(np.argmax(row)) for row in scores)
    copy = pickle.loads(pickle.dumps(rows))
    assert [next(copy) for _ in range(20)] == [next(rows) for _ in range(20)]
