from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from graphbo.architecture import Architecture
from graphbo.errors import InputError
from graphbo.evaluators.proxy import ProxyEvaluator, proxy_features
from graphbo.networks import NASBench201Network
from graphbo.spaces import JointSpace, NASBench201Space
from graphbo.spaces.hyperparameter_settings import hyperparameters_from_settings
from graphbo.training.proxies import PROXIES, proxy
from graphbo.trial import Job

SPACE = NASBench201Space()
BUILD = partial(NASBench201Network, channels=4, cells=1, classes=3, in_channels=1)
CELLS = [SPACE.sample(np.random.default_rng(i)) for i in range(5)]


def data(n: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 1, 6, 6, generator=generator), torch.arange(n) % 3


def evaluator(name: str | list[str] = "naswot", **options: int) -> ProxyEvaluator:
    return ProxyEvaluator(BUILD, data(), name, **{"batch_size": 8, **options})


def build_some(architecture: Architecture) -> nn.Module:
    if architecture == CELLS[1].architecture:
        raise ValueError("cannot be built")
    return BUILD(architecture)


def test_the_objective_is_minus_the_score_of_the_seeds_network() -> None:
    result = evaluator(["snip", "parameters"], seed=3).evaluate_one(Job(CELLS[0], seed=5))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = BUILD(CELLS[0].architecture)
    x, y = data()
    first = torch.randperm(len(x), generator=torch.Generator().manual_seed(3))[:8]
    score = proxy("snip", network, x[first], y[first])
    count = sum(p.numel() for p in network.parameters())
    assert result.objectives == {"minus_snip": -score, "minus_parameters": -count}
    assert evaluator(["snip", "parameters"]).objectives == ("minus_snip", "minus_parameters")
    assert result.cost > 0


def test_several_jobs_are_scored_as_one_by_one() -> None:
    scorer = evaluator(list(PROXIES), population=3)
    jobs = [Job(cell, seed=seed) for seed, cell in enumerate(CELLS)]
    reports = list(scorer.evaluate(jobs))
    assert [report.job for report in reports] == jobs
    for report in reports:
        assert report.evaluation is not None
        alone = scorer.evaluate_one(report.job).objectives
        assert report.evaluation.objectives == pytest.approx(alone, rel=1e-3)


def test_a_network_that_fails_fails_alone() -> None:
    scorer = ProxyEvaluator(build_some, data(), "snip")
    reports = list(scorer.evaluate([Job(cell) for cell in CELLS]))
    failed = [report.error is not None for report in reports]
    assert failed == [False, True, False, False, False]
    assert "cannot be built" in str(reports[1].error)


def test_the_random_state_is_left_as_it_was() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    list(evaluator().evaluate([Job(CELLS[0])]))
    assert torch.equal(torch.get_rng_state(), before)


def test_images_of_another_precision_score_alike() -> None:
    x, y = data()
    single, double = (ProxyEvaluator(BUILD, (images, y)) for images in (x, x.double()))
    assert np.array_equal(single.scores([Job(CELLS[0])]), double.scores([Job(CELLS[0])]))


def test_it_pickles() -> None:
    copy = pickle.loads(pickle.dumps(evaluator()))
    assert copy.evaluate_one(Job(CELLS[0])).objectives == (
        evaluator().evaluate_one(Job(CELLS[0])).objectives
    )


def test_features_have_a_row_for_each_architecture() -> None:
    architectures = [cell.architecture for cell in CELLS]
    names = ["parameters", "naswot", "synflow"]
    features = proxy_features(architectures, BUILD, data(), names, batch_size=8, seed=2)
    assert features.shape == (5, 3)
    assert features.dtype == np.float64
    few = proxy_features(architectures[3:], BUILD, data(), names, batch_size=8, seed=2)
    np.testing.assert_allclose(features[3:], few, rtol=1e-3)
    assert proxy_features([], BUILD, data(), names).shape == (0, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "magic"}, "no proxy 'magic'"),
        ({"name": []}, "at least one proxy"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"population": 0}, "population must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluator(**options)  # type: ignore[arg-type]


def test_a_space_with_hyperparameters_is_refused() -> None:
    space = JointSpace(SPACE, hyperparameters_from_settings({"channels": [2, 3]}))
    with pytest.raises(InputError, match="by the architecture alone, and the space"):
        evaluator().check_space(space)
