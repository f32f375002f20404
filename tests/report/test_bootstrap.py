from __future__ import annotations

import numpy as np

from graphbo.report import bootstrap_interval


def test_runs_that_agree_have_an_interval_of_no_width() -> None:
    low, high = bootstrap_interval([[1.0, 2.0]] * 5)
    np.testing.assert_allclose(low, [1.0, 2.0])
    np.testing.assert_allclose(high, [1.0, 2.0])


def test_the_interval_is_that_of_the_normal_approximation_for_many_runs() -> None:
    samples = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    low, high = bootstrap_interval(samples)
    error = 1.96 * samples.std() / 20
    np.testing.assert_allclose([low, high], samples.mean() + error * np.array([-1, 1]), rtol=0.01)


def test_it_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.normal(size=30), resamples=500)
        covered += bool(low <= 0 <= high)
    assert 0.90 <= covered / 300 <= 0.98


def test_the_shape_is_that_of_a_run_and_nan_stays_in_its_column() -> None:
    samples = np.arange(24.0).reshape(4, 3, 2)
    samples[0, 0, 0] = np.nan
    low, high = bootstrap_interval(samples)
    assert low.shape == high.shape == (3, 2)
    assert np.isnan(low[0, 0])
    assert np.isfinite(low.ravel()[1:]).all()
    assert (low.ravel()[1:] < high.ravel()[1:]).all()
