"""The book-keeping of ask and tell."""

from __future__ import annotations

import math

import pytest

from graphbo.optimizers import RandomSearch
from graphbo.spaces import CellSpace
from graphbo.trial import Trial

SPACE = CellSpace(3, ["a", "b", "c"], on="edges")


def test_what_was_asked_is_pending_until_it_is_told() -> None:
    optimizer = RandomSearch(SPACE)
    a, b, c = optimizer.ask(3)
    assert optimizer.pending == [a, b, c]
    optimizer.tell(Trial(b, value=2.0))
    assert optimizer.pending == [a, c]
    optimizer.tell([Trial(c, error="out of memory"), Trial(a, value=1.0)])
    assert optimizer.pending == []
    assert [trial.design for trial in optimizer.told] == [b, c, a]
    assert [trial.design for trial in optimizer.completed] == [b, a]
    assert optimizer.best == Trial(a, value=1.0)
    assert optimizer.seen == {a, b, c}


def test_of_equal_values_the_earliest_is_the_best() -> None:
    optimizer = RandomSearch(SPACE)
    a, b, c = optimizer.ask(3)
    optimizer.tell([Trial(b, value=0.0), Trial(a, value=0.0), Trial(c, value=0.5)])
    assert optimizer.best is not None
    assert optimizer.best.design == b


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_failure(value: float) -> None:
    optimizer = RandomSearch(SPACE)
    (design,) = optimizer.ask()
    optimizer.tell(Trial(design, value=value))
    assert optimizer.best is None
    assert optimizer.told[0].state == "failed"
    assert str(value) in (optimizer.told[0].error or "")
    assert design not in optimizer.pending


def test_what_was_never_proposed_may_be_told_and_is_not_proposed_any_more() -> None:
    optimizer = RandomSearch(SPACE)
    known = [Trial(design, value=1.0) for design in SPACE.enumerate()[:35]]
    optimizer.tell(known)
    assert set(optimizer.ask(100)) == set(SPACE.enumerate()[35:])


def test_telling_twice_and_asking_for_nothing_are_refused() -> None:
    optimizer = RandomSearch(SPACE)
    (design,) = optimizer.ask()
    optimizer.tell(Trial(design, error="failed"))
    with pytest.raises(ValueError, match="was told before"):
        optimizer.tell(Trial(design, value=1.0))
    with pytest.raises(ValueError, match="at least 1; got 0"):
        optimizer.ask(0)


def test_each_ask_has_randomness_of_its_own() -> None:
    """The k-th ask draws from (seed, k), however many designs the earlier ones returned."""
    one, other = RandomSearch(SPACE, seed=3), RandomSearch(SPACE, seed=3)
    first = one.ask(1)
    other.replay([first])
    assert one.ask(4) == other.ask(4)
    assert RandomSearch(SPACE, seed=4).ask(6) != RandomSearch(SPACE, seed=3).ask(6)


def test_random_search_draws_all_members_alike() -> None:
    counts = dict.fromkeys(SPACE.enumerate(), 0)
    for seed in range(400):
        for design in RandomSearch(SPACE, seed=seed).ask(5):
            counts[design] += 1
    # Rows are drawn uniformly, so architectures that many rows encode come first more often.
    assert min(counts.values()) > 5
