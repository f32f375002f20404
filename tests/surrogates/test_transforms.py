"""Normal scores, of which only the order counts, and logarithmic ones, which keep distances."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbo.surrogates import LogScores, NormalScores

values = st.lists(
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=30
)


def test_scores_are_normal_quantiles_of_the_ranks() -> None:
    scores = NormalScores([30.0, 10.0, 20.0]).scores
    quantile = NormalDist().inv_cdf
    np.testing.assert_allclose(scores, [quantile(5 / 6), quantile(1 / 6), quantile(1 / 2)])


@given(values)
def test_scores_keep_the_order_and_ties_share_a_score(observed: list[float]) -> None:
    scores = NormalScores(observed).scores
    for a, x in zip(observed, scores, strict=True):
        for b, y in zip(observed, scores, strict=True):
            assert (a < b) == (x < y)


@given(values)
def test_only_the_order_counts(observed: list[float]) -> None:
    scores = NormalScores(observed).scores
    np.testing.assert_array_equal(NormalScores(np.cbrt(observed)).scores, scores)
    np.testing.assert_allclose(NormalScores([-x for x in observed]).scores, -scores, atol=1e-12)


def test_an_outlier_does_not_flatten_the_rest() -> None:
    good = [5.1, 5.3, 5.2, 6.0]
    mild, broken = NormalScores([*good, 7.0]), NormalScores([*good, 90.0])
    np.testing.assert_array_equal(mild.scores, broken.scores)
    assert mild.inverse(mild.scores[:4]).tolist() == pytest.approx(good)
    assert broken.inverse(broken.scores).tolist() == pytest.approx([*good, 90.0])


@given(values)
def test_the_inverse_of_a_score_is_its_value(observed: list[float]) -> None:
    transform = NormalScores(observed)
    np.testing.assert_allclose(transform.inverse(transform.scores), observed, rtol=1e-12)


def test_the_inverse_is_linear_between_observations_and_flat_outside() -> None:
    transform = NormalScores([1.0, 3.0])
    middle = transform.scores.mean(keepdims=True)
    assert transform.inverse(middle) == pytest.approx([2.0])
    assert transform.inverse(np.array([-9.0, 9.0])).tolist() == [1.0, 3.0]


@pytest.mark.parametrize("n", [1, 2, 7])
def test_equal_values_all_score_zero(n: int) -> None:
    np.testing.assert_allclose(NormalScores([4.2] * n).scores, 0, atol=1e-15)


@pytest.mark.parametrize("observed", [[], [1.0, np.nan], [np.inf]])
def test_values_must_be_finite_and_at_least_one(observed: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers, and at least one"):
        NormalScores(observed)


def test_log_scores_by_hand() -> None:
    values = [3.0, 1.0, 2.0, 9.0]  # 2, 0, 1 and 8 above the lowest, 1.5 in the median
    logs = np.log1p(np.array([2, 0, 1, 8]) / 1.5)
    np.testing.assert_allclose(LogScores(values).scores, (logs - logs.mean()) / logs.std())
    assert LogScores([4.0, 4.0]).scores.tolist() == [0, 0]
    mostly = LogScores([1.0, 1.0, 1.0, 5.0]).scores  # half of them are no better than the lowest
    assert mostly[0] == mostly[1] < mostly[3]


@pytest.mark.parametrize("penalty", [1e3, 1e6, 1e30, 1.7e308])
def test_a_penalty_does_not_take_the_whole_scale(penalty: float) -> None:
    values = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3]
    scores = LogScores([*values, penalty]).scores
    logs = np.log1p([*(np.array(values) - 0.01) / 0.09, 20.0])  # 0.09 is the median
    np.testing.assert_allclose(scores, (logs - logs.mean()) / logs.std(), atol=0.01)
    assert LogScores([-penalty, 0.0, penalty]).scores.tolist() == sorted(
        LogScores([-penalty, 0.0, penalty]).scores.tolist()
    )


def test_the_scores_of_bad_values_go_on_where_those_of_others_end() -> None:
    typical = [0.0, 1.0, 1.0]
    near = [LogScores([*typical, 1.0, each]) for each in (9.99, 10.0, 10.01)]
    raw = [each.scores[4] * 1.0 for each in near]
    assert raw[0] < raw[1] < raw[2]
    assert raw[2] - raw[1] == pytest.approx(raw[1] - raw[0], rel=0.02)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_log_scores_keep_the_order_and_come_back(values: list[float]) -> None:
    scores = LogScores(values)
    order = np.argsort(values)
    assert (np.diff(scores.scores[order]) >= 0).all()
    if len(set(scores.scores.tolist())) == len(values):
        np.testing.assert_allclose(scores.inverse(scores.scores), values)
    for bad in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="finite numbers"):
            LogScores(bad)


@pytest.mark.parametrize("kind", [NormalScores, LogScores])
def test_values_that_were_not_observed_have_scores_in_the_same_order(
    kind: type[NormalScores | LogScores],
) -> None:
    transform = kind([3.0, 1.0, 2.0, 2.0, 7.0])
    np.testing.assert_allclose(transform.forward(transform.values), transform.scores)
    beyond = transform.forward(np.array([-9.0, 0.5, 1.0, 1.5, 2.0, 5.0, 7.0, 8.0, 99.0]))
    assert (np.diff(beyond) > 0).all()
    width = transform.scores.max() - transform.scores.min()
    assert beyond[-2] - beyond[-3] == pytest.approx(width / 6), "the mean slope of the whole range"
    assert kind([2.0]).forward(np.array([1.0, 2.0, 4.0])).tolist() == [-0.5, 0, 1]
