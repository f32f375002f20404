"""Sorting by domination and crowding, computed by hand."""

from __future__ import annotations

import numpy as np

from graphbo.goals import Goals
from graphbo.optimizers.domination import crowding_distances, domination_ranks, ranked
from graphbo.spaces import CellSpace
from graphbo.trial import Evaluation, Trial

DESIGN = CellSpace(3, ["a"], on="edges").enumerate()[0]


def test_each_front_is_what_remains_undominated_without_those_before() -> None:
    values = np.array([[1, 4], [2, 2], [4, 1], [2, 3], [4, 4], [3, 3], [2, 2]], dtype=float)
    ranks = domination_ranks(values, np.zeros(7))
    assert ranks.tolist() == [0, 0, 0, 1, 3, 2, 0], "equal points do not dominate each other"


def test_what_keeps_the_constraints_dominates_what_breaks_them() -> None:
    values = np.array([[9, 9], [1, 1], [0, 0], [5, 5]], dtype=float)
    violations = np.array([0.0, 0.2, 0.5, 0.2])
    assert domination_ranks(values, violations).tolist() == [0, 1, 2, 1]


def test_crowding_is_the_distance_between_the_neighbours() -> None:
    values = np.array([[0, 10], [1, 6], [4, 2], [10, 0]], dtype=float)
    found = crowding_distances(values)
    assert np.isinf(found[[0, 3]]).all()
    np.testing.assert_allclose(found[1:3], [4 / 10 + 8 / 10, 9 / 10 + 6 / 10])
    assert np.isinf(crowding_distances(np.ones((2, 2)))).all()
    assert crowding_distances(np.ones((3, 2)))[1] == 0, "a front without a range"


def test_trials_are_ranked_by_front_and_the_least_crowded_first() -> None:
    points = [(4, 2), (1, 6), (10, 0), (0, 10), (4, 6)]
    trials = [
        Trial(DESIGN, value=float(a), evaluation=Evaluation({"a": float(a), "b": float(b)}))
        for a, b in points
    ]
    order = ranked(trials, Goals(("a", "b")))
    assert {trial.value for trial in order[:2]} == {0, 10}, "the ends of the front"
    assert order[2:] == [trials[0], trials[1], trials[4]]
    assert ranked([], Goals(("a", "b"))) == []
