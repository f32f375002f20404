"""Mean ranks and critical differences."""

from __future__ import annotations

import numpy as np
import pytest

from graphbo.report.ranks import critical_difference, mean_ranks


def test_ranks_by_hand() -> None:
    values = {"a": [1.0, 1.0, 5.0], "b": [2.0, 1.0, 3.0], "c": [3.0, 4.0, 4.0]}
    ranks = mean_ranks(values)
    assert ranks["a"] == pytest.approx((1 + 1.5 + 3) / 3)
    assert ranks["b"] == pytest.approx((2 + 1.5 + 1) / 3)
    assert ranks["c"] == pytest.approx((3 + 3 + 2) / 3)


def test_what_is_unknown_comes_last() -> None:
    assert mean_ranks({"a": [np.nan], "b": [9.0]}) == {"a": 2.0, "b": 1.0}


def test_the_critical_difference_is_that_of_the_paper() -> None:
    """Demsar, JMLR 2006: four classifiers on 14 data sets, q = 2.569, 1.25."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
