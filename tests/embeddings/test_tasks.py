"""Targets of supervised pretraining, and what they say about architectures."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphbo.embeddings import Better, Task
from graphbo.embeddings.tasks import targets, votes

NAN = float("nan")
LOW, HIGH, NEITHER = Better.LOW, Better.HIGH, Better.NEITHER
quantile = NormalDist().inv_cdf

some_values = st.lists(st.none() | st.integers(-50, 50), min_size=2, max_size=30).filter(
    lambda values: sum(value is not None for value in values) >= 2
)


def task(values: object, better: Better = NEITHER, name: str = "task") -> Task:
    return Task(name, np.array(values, dtype=float), better)


# Normal scores ----------------------------------------------------------------------------------


def test_scores_are_the_normal_quantiles_of_the_ranks() -> None:
    scores = task([30.0, NAN, -1.0, 7.0]).scores
    np.testing.assert_allclose(scores, [quantile(5 / 6), NAN, quantile(1 / 6), 0], atol=1e-12)


def test_equal_values_share_their_mean_rank() -> None:
    scores = task([5, 5, 9, 2]).scores
    np.testing.assert_allclose(scores, [0, 0, quantile(7 / 8), quantile(1 / 8)], atol=1e-12)
    assert task([3, 3, 3]).scores.tolist() == [0, 0, 0]


@given(some_values)
def test_scores_know_only_the_order(values: list[int | None]) -> None:
    x = np.array([NAN if value is None else value for value in values])
    scores = task(x).scores
    assert (np.isnan(scores) == np.isnan(x)).all()
    np.testing.assert_allclose(task(np.arctan(x / 50)).scores, scores)
    np.testing.assert_allclose(task(-x).scores, -scores, atol=1e-12)
    pairs = np.sign(np.subtract.outer(x, x))
    assert np.array_equal(np.sign(np.subtract.outer(scores, scores)), pairs, equal_nan=True)


@given(some_values)
def test_what_is_not_known_does_not_change_the_scores_of_the_rest(values: list[int | None]) -> None:
    x = np.array([NAN if value is None else value for value in values])
    known = ~np.isnan(x)
    np.testing.assert_array_equal(task(x).scores[known], task(x[known]).scores)


# Votes ------------------------------------------------------------------------------------------


def test_each_omen_has_a_vote_whose_sign_makes_low_good() -> None:
    tasks = [task([1, 2, 3, 4], LOW), task([2, 1, 4, 3], HIGH), task([4, 1, 2, 3])]
    assert votes(tasks) == [0.5, -0.5, 0]


def test_duplicates_share_a_vote() -> None:
    parameters, multiply_adds = [1, 2, 3, 4], [10, 20, 30, 40]
    tasks = [task(parameters, HIGH), task([4, 1, 3, 2], LOW), task(multiply_adds, HIGH)]
    assert votes(tasks) == [-0.25, 0.5, -0.25]


def test_an_omen_and_its_negative_share_a_vote() -> None:
    assert votes([task([1, 2, 3, 4], LOW), task([-1, -2, -3, -4], HIGH)]) == [0.5, -0.5]


def test_omens_that_contradict_each_other_both_have_votes() -> None:
    assert votes([task([1, 2, 3, 4], LOW), task([1, 2, 3, 4], HIGH)]) == [0.5, -0.5]
    three = [task(x, y) for x, y in (([1, 2, 3], LOW), ([1, 2, 3], HIGH), ([1, 2, 3], LOW))]
    assert votes(three) == [0.25, -0.5, 0.25]


def test_the_same_order_counts_only_where_both_are_known() -> None:
    assert votes([task([1, 2, 3, NAN], LOW), task([2, 4, 6, -9], LOW)]) == [0.5, 0.5]
    alike = [task([1, 2, 3, NAN], LOW), task([2, 4, 6, -9], LOW), task([3, 1, 2, 0], LOW)]
    assert votes(alike) == [0.25, 0.25, 0.5]
    apart = [task([1, 2, NAN, NAN], LOW), task([NAN, NAN, 1, 2], LOW), task([1, 2, NAN, 3], LOW)]
    assert votes(apart) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(("n", "weight"), [(10, 1 / 3), (20, 1 / 4), (200, 1 / 4)])
def test_omens_of_nearly_the_same_order_share_a_vote(n: int, weight: float) -> None:
    """Two neighbours that change places leave a rank correlation of 1 - 12 / (n^3 - n)."""
    swapped = [1, 0, *range(2, n)]
    third = task(np.cos(np.arange(n)), LOW)
    first, second, _ = votes([task(range(n), LOW), task(swapped, LOW), third])
    assert first == second == pytest.approx(weight)


def test_constant_omens_are_no_duplicates() -> None:
    assert votes([task([1, 1, 1], LOW), task([1, 1, 1], LOW)]) == [0.5, 0.5]


def test_without_omens_nobody_votes() -> None:
    assert votes([]) == []
    assert votes([task([1, 2])]) == [0]


@given(
    st.lists(
        st.tuples(st.permutations(range(5)), st.sampled_from(list(Better))), min_size=1, max_size=6
    )
)
def test_votes_add_up_to_one(content: list[tuple[list[int], Better]]) -> None:
    tasks = [task(values, better) for values, better in content]
    weights = votes(tasks)
    assert [np.sign(weight) for weight in weights] == [int(each.better) for each in tasks]
    assert sum(map(abs, weights)) == pytest.approx(int(any(each.better for each in tasks)))


# Targets ----------------------------------------------------------------------------------------


def test_targets_are_the_scores_side_by_side() -> None:
    first, second = task([1, NAN, 3], name="first"), task([NAN, 2, 1], name="second")
    result = targets([first, second], 3)
    assert result.dtype == torch.float32
    expected = torch.tensor(np.array([first.scores, second.scores])).mT.float()
    assert torch.equal(result.nan_to_num(9), expected.nan_to_num(9))
    assert result.isnan().tolist() == [[False, True], [True, False], [False, False]]


def test_without_tasks_there_are_no_targets() -> None:
    assert targets([], 4).shape == (4, 0)


def test_duplicates_of_an_architecture_give_the_first_value_that_is_known() -> None:
    merged = task([NAN, 5, 4, 3, NAN, 2], LOW).merged(np.array([0, 1, 0, 0, 2, 1]))
    np.testing.assert_array_equal(merged.values, [4, 5, NAN])
    assert (merged.name, merged.better) == ("task", LOW)


# Mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [[], [1.0], [1.0, NAN], [1.0, 2.0, float("inf")], [[1.0, 2.0], [3.0, 4.0]]]
)
def test_values_must_be_a_few_finite_numbers(values: object) -> None:
    with pytest.raises(ValueError, match="'naswot' needs one value for each architecture, finite"):
        task(values, name="naswot")


def test_omens_are_low_high_or_neither() -> None:
    assert Task("task", np.ones(2), 0).better is NEITHER  # type: ignore[arg-type]
    assert Task("task", np.ones(2), -1).better is HIGH  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'low' is not a valid Better"):
        Task("task", np.ones(2), "low")  # type: ignore[arg-type]


def test_tasks_do_not_change_with_the_array_they_were_made_from() -> None:
    values = np.array([1.0, 2.0])
    made = Task("task", values)
    values[0] = 7
    assert made.values.tolist() == [1, 2]


def test_every_task_needs_a_value_for_every_architecture() -> None:
    with pytest.raises(ValueError, match="there are 3 architectures, but 2 values of 'task'"):
        targets([task([1, 2])], 3)


def test_names_must_be_distinct() -> None:
    with pytest.raises(ValueError, match=r"distinct names; got \['task', 'task'\]"):
        targets([task([1, 2]), task([3, 1])], 2)
