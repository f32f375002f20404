"""What is predicted from all others is what a model without the observation predicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from graphbo.spaces import CellSpace
from graphbo.surrogates import DeepEnsemble, GraphGP, GraphSurrogate, PathEncoding, leave_one_out
from graphbo.surrogates.calibration import LeaveOneOut

SPACE = CellSpace(3, ["conv", "skip"], on="edges")
DESIGNS = list(SPACE.enumerate()[:12])
VALUES = [float(len(d.architecture.edges)) + 0.1 * i for i, d in enumerate(DESIGNS)]


@pytest.fixture(scope="module")
def surrogate() -> GraphSurrogate:
    return GraphSurrogate(SPACE).fit(DESIGNS, VALUES)


def test_the_closed_form_is_that_of_models_without_the_observation(
    surrogate: GraphSurrogate,
) -> None:
    check = leave_one_out(surrogate)
    for k, model in enumerate(surrogate.models):
        assert isinstance(model, GraphGP)
        rows, targets = model.train_inputs[0], model.train_targets
        for i in (0, 5, 11):
            others = torch.arange(len(rows)) != i
            model.observe(rows[others], targets[others].unsqueeze(-1))
            mean, variance = model.moments(rows[[i]])
            noisy = variance + model.likelihood.noise
            assert check.means[k, i] == pytest.approx(mean.item(), abs=1e-6)
            assert check.deviations[k, i] == pytest.approx(noisy.sqrt().item(), rel=1e-5)
        model.observe(rows, targets.unsqueeze(-1))


def test_a_mixture_of_equals_is_a_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    observed = rng.standard_normal(4000)
    zeros, ones = np.zeros((2, 4000)), np.ones((2, 4000))
    check = LeaveOneOut(observed, zeros, ones)
    assert check.coverage(0.95) == pytest.approx(0.95, abs=0.01)
    assert check.coverage(0.5) == pytest.approx(0.5, abs=0.02)
    assert check.mean_log_density == pytest.approx(norm.logpdf(observed).mean())
    assert np.allclose(check.deviation, 1)
    assert math.isnan(check.kendall_tau), "all predictions are alike"


def test_the_order_of_values_is_learnt(surrogate: GraphSurrogate) -> None:
    assert leave_one_out(surrogate).kendall_tau > 0.5


def test_only_fitted_gaussian_processes_are_asked() -> None:
    with pytest.raises(ValueError, match="has not been fitted"):
        leave_one_out(GraphSurrogate(SPACE))
    ensemble = GraphSurrogate(SPACE, [DeepEnsemble(SPACE, PathEncoding(SPACE.operations))])
    with pytest.raises(ValueError, match="only Gaussian processes"):
        leave_one_out(ensemble.fit(DESIGNS[:4], VALUES[:4]))
