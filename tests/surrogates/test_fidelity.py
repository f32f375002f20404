"""Gaussian processes over designs and rungs."""

from __future__ import annotations

import numpy as np
import pytest

from graphbo.spaces import CellSpace, Design
from graphbo.surrogates.fidelity import FidelitySurrogate, rung_scores
from graphbo.surrogates.transforms import NormalScores

SPACE = CellSpace(3, ["a", "b", "c"], on="edges")
DESIGNS = list(SPACE.enumerate())


def errors(designs: list[Design], seed: int = 0) -> np.ndarray:
    """Errors that depend on the operations."""
    rng = np.random.default_rng(seed)
    weights = dict(zip("abc", (3.0, 2.0, 1.0), strict=True))
    sums = [sum(weights[label or "a"] for *_, label in d.architecture.edges) for d in designs]
    return np.array(sums) + rng.normal(0, 0.01, len(designs))


def test_scores_of_the_lowest_rung_are_normal_scores() -> None:
    values = [3.0, 1.0, 2.0]
    scores = rung_scores(DESIGNS[:3], [0, 0, 0], values)
    np.testing.assert_allclose(scores, NormalScores(values).scores)


def test_those_that_climb_keep_their_mean_and_their_spread() -> None:
    """A selection of the best is not average at the next rung, whatever the unit there."""
    designs = DESIGNS[:6] + DESIGNS[:3]
    low = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    high = [130.0, 110.0, 120.0]
    scores = rung_scores(designs, [0] * 6 + [1] * 3, low + high)
    assert scores[6:].mean() == pytest.approx(scores[:3].mean())
    assert scores[6:].std() == pytest.approx(scores[:3].std())
    assert list(np.argsort(scores[6:])) == [1, 2, 0]


def test_one_that_climbs_stays_where_it_was() -> None:
    scores = rung_scores([*DESIGNS[:3], DESIGNS[1]], [0, 0, 0, 2], [3.0, 1.0, 2.0, 70.0])
    assert scores[3] == scores[1]


def test_results_at_a_low_rung_predict_the_highest() -> None:
    train = DESIGNS[::2]
    surrogate = FidelitySurrogate(SPACE).fit(train, [0] * len(train), errors(train).tolist())
    rest = DESIGNS[1::2]
    means = np.mean(
        [model.moments(surrogate.rows(rest, 2))[0].numpy() for model in surrogate.models], axis=0
    )
    assert np.corrcoef(means, errors(rest))[0, 1] > 0.8


def test_a_result_at_the_rung_itself_tells_the_most_and_noise_keeps_the_rest() -> None:
    train = DESIGNS[:20]
    surrogate = FidelitySurrogate(SPACE).fit(train, [0] * 20, errors(train).tolist())
    shares = surrogate.learned(DESIGNS[30], [0, 1, 2])
    assert 0 < shares[0] < shares[1] < shares[2] < 1


def test_a_rung_that_was_seen_tells_little_more() -> None:
    train = DESIGNS[:20]
    surrogate = FidelitySurrogate(SPACE).fit(train, [0] * 20, errors(train).tolist())
    seen, unseen = surrogate.learned(train[0], [0, 2]), surrogate.learned(DESIGNS[30], [0, 2])
    assert seen[0] < 0.5 * unseen[0]
